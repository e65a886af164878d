//! The server's online linear step over the ring: `accumulators = W * share + bias` modulo `2^32`.
//!
//! Portable code on contiguous slices that the compiler vectorises; rows of output channels are spread over threads
//! where a layer is large enough for that to pay.

mod convolution;
mod matrix;

use tacit_protocol::plan::{LinearShape, Padding};

use crate::parameters::LinearParameters;

/// Multiplications from which on a layer is spread over threads.
const PARALLEL_FROM: usize = 1 << 20;

/// `accumulators = W * share + bias` modulo `2^32`.
///
/// `share` has `shape.input.elements()` elements, `accumulators` `shape.output.elements()`, both row-major; the
/// parameters belong to `shape`.
///
/// # Panics
/// If a length does not fit the shape.
pub fn linear(shape: &LinearShape, parameters: &LinearParameters, share: &[u32], accumulators: &mut [u32]) {
    assert_eq!(share.len(), shape.input.elements(), "elements of the input");
    assert_eq!(accumulators.len(), shape.output.elements(), "elements of the output");
    assert_eq!(parameters.weights.len(), shape.weight_count(), "number of weights");
    parameters.bias.fill(shape.output, accumulators);
    if is_matrix(shape) {
        matrix::add_product(shape, &parameters.weights, share, accumulators);
    } else {
        convolution::add_convolution(shape, &parameters.weights, share, accumulators);
    }
}

/// Whether every output channel has one element that reads its group's whole input: a product of a matrix and a vector.
fn is_matrix(shape: &LinearShape) -> bool {
    shape.padding == Padding::default()
        && shape.output.height * shape.output.width == 1
        && shape.kernel == [shape.input.height, shape.input.width]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::RingBias;
    use crate::runs::for_each_run;
    use crate::test_support::{Numbers, convolution, linear_shapes};
    use proptest::prelude::*;

    fn check(shape: &LinearShape, seed: u64) {
        let mut numbers = Numbers(seed);
        let extreme = |number: u64| if number.is_multiple_of(5) { i16::MIN } else { (number >> 8) as i16 };
        let weights: Vec<i16> = (0..shape.weight_count()).map(|_| extreme(numbers.integer())).collect();
        let share: Vec<u32> = (0..shape.input.elements()).map(|_| numbers.integer() as u32).collect();
        for bias in [
            RingBias::PerChannel((0..shape.output.channels).map(|_| numbers.integer() as u32).collect()),
            RingBias::PerElement((0..shape.output.elements()).map(|_| numbers.integer() as u32).collect()),
        ] {
            let mut expected = vec![0; shape.output.elements()];
            bias.fill(shape.output, &mut expected);
            for_each_run(shape, |run| {
                let weight = i32::from(weights[run.weight]) as u32;
                run.pairs().for_each(|(to, from)| {
                    expected[to] = expected[to].wrapping_add(weight.wrapping_mul(share[from]));
                });
            });
            let parameters = LinearParameters { weights: weights.clone(), bias };
            let mut accumulators = vec![7; shape.output.elements()];
            linear(shape, &parameters, &share, &mut accumulators);
            assert_eq!(accumulators, expected, "{shape:?}");
        }
    }

    #[test]
    fn every_kind_of_layer_equals_its_definition() {
        for (index, shape) in linear_shapes().iter().enumerate() {
            check(shape, index as u64);
        }
    }

    #[test]
    fn layers_that_are_spread_over_threads_equal_their_definition() {
        check(&convolution([16, 34, 34], 32, [3, 3], [1, 1], [1; 4], [1, 1], 1), 1);
        check(&LinearShape::fully_connected(2048, 1001), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn random_geometries_equal_their_definition(
            channels in 1usize..4, outputs in 1usize..5, groups in 1usize..3, height in 1usize..10, width in 1usize..40,
            kernel in [1usize..4, 1usize..4], stride in [1usize..4, 1usize..4], dilation in [1usize..3, 1usize..3],
            pads in [0usize..3, 0usize..3, 0usize..3, 0usize..3], seed in any::<u64>(),
        ) {
            let fits = |size: usize, axis: usize, around: usize| size + around > dilation[axis] * (kernel[axis] - 1);
            prop_assume!(fits(height, 0, pads[0] + pads[2]) && fits(width, 1, pads[1] + pads[3]));
            let input = [channels * groups, height, width];
            check(&convolution(input, outputs * groups, kernel, stride, pads, dilation, groups), seed);
        }
    }
}
