//! Convolution over the share ring: `W * share` modulo `2^32`.
//!
//! The input is padded once into a buffer; then each output channel is a sum of shifted image rows, each scaled by one
//! weight: the inner loop runs along contiguous outputs and vectorises. Strided rows are gathered into contiguous
//! phases first. A fully connected layer is a dot product per output. Output channels are independent and spread over
//! the cores where there is enough to do.

mod image;

use rayon::prelude::*;
use tacit_protocol::plan::LinearShape;

use image::PhasedImage;

/// Multiplications below which one thread is faster than two.
const PARALLEL_WORK: usize = 1 << 18;

/// `accumulators += W * share`, all modulo `2^32`.
///
/// `weights` are ordered `[output channel][input channel of the group][row][column]`, `share` has
/// `shape.input.elements()` elements and `accumulators` `shape.output.elements()`.
pub fn linear_accumulate(shape: &LinearShape, weights: &[i16], share: &[u32], accumulators: &mut [u32]) {
    let area = shape.output.height * shape.output.width;
    let per_output = shape.channels_per_group() * shape.kernel[0] * shape.kernel[1];
    let work = accumulators.len() * per_output;
    let is_vector = shape.kernel == [1, 1] && shape.input.height * shape.input.width == 1 && area == 1;
    let outputs_per_group = shape.output.channels / shape.groups;
    if is_vector && shape.padding == Default::default() {
        let channels = shape.channels_per_group();
        let output = |(index, (accumulator, row)): (usize, (&mut u32, &[i16]))| {
            let inputs = &share[index / outputs_per_group * channels..][..channels];
            *accumulator = accumulator.wrapping_add(dot(row, inputs));
        };
        if work >= PARALLEL_WORK {
            accumulators.par_iter_mut().zip(weights.par_chunks_exact(per_output)).enumerate().for_each(output);
        } else {
            accumulators.iter_mut().zip(weights.chunks_exact(per_output)).enumerate().for_each(output);
        }
        return;
    }
    let image = PhasedImage::new(shape, share);
    let output = |(index, (plane, kernel)): (usize, (&mut [u32], &[i16]))| {
        convolve(shape, &image, index / outputs_per_group, kernel, plane);
    };
    if work >= PARALLEL_WORK {
        accumulators.par_chunks_exact_mut(area).zip(weights.par_chunks_exact(per_output)).enumerate().for_each(output);
    } else {
        accumulators.chunks_exact_mut(area).zip(weights.chunks_exact(per_output)).enumerate().for_each(output);
    }
}

/// Sum of products modulo `2^32`.
fn dot(weights: &[i16], inputs: &[u32]) -> u32 {
    let products = weights.iter().zip(inputs).map(|(weight, input)| (i32::from(*weight) as u32).wrapping_mul(*input));
    products.fold(0, u32::wrapping_add)
}

/// One output channel: adds each tap times the image shifted to it.
fn convolve(shape: &LinearShape, image: &PhasedImage, group: usize, kernel: &[i16], plane: &mut [u32]) {
    let [taps_high, taps_wide] = shape.kernel;
    let first_channel = group * shape.channels_per_group();
    for (channel, taps) in kernel.chunks_exact(taps_high * taps_wide).enumerate() {
        for (row, line) in plane.chunks_exact_mut(shape.output.width).enumerate() {
            for (tap_row, taps) in taps.chunks_exact(taps_wide).enumerate() {
                for (tap_column, weight) in taps.iter().enumerate() {
                    let source = image.line(first_channel + channel, row, [tap_row, tap_column]);
                    let weight = i32::from(*weight) as u32;
                    for (sum, element) in line.iter_mut().zip(source) {
                        *sum = sum.wrapping_add(weight.wrapping_mul(*element));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tacit_protocol::plan::{Padding, Shape};

    /// The convolution by its definition.
    fn reference(shape: &LinearShape, weights: &[i16], share: &[u32]) -> Vec<u32> {
        let LinearShape { input, output, groups, kernel, stride, padding, dilation } = *shape;
        let channels = shape.channels_per_group();
        let mut sums = Vec::new();
        for target in 0..output.channels {
            let group = target / (output.channels / groups);
            for row in 0..output.height {
                for column in 0..output.width {
                    let mut sum = 0u32;
                    for channel in 0..channels {
                        for tap_row in 0..kernel[0] {
                            for tap_column in 0..kernel[1] {
                                let y = (row * stride[0] + tap_row * dilation[0]).wrapping_sub(padding.top);
                                let x = (column * stride[1] + tap_column * dilation[1]).wrapping_sub(padding.left);
                                if y < input.height && x < input.width {
                                    let weight = weights[((target * channels + channel) * kernel[0] + tap_row) * kernel[1] + tap_column];
                                    let element = share[((group * channels + channel) * input.height + y) * input.width + x];
                                    sum = sum.wrapping_add((i32::from(weight) as u32).wrapping_mul(element));
                                }
                            }
                        }
                    }
                    sums.push(sum);
                }
            }
        }
        sums
    }

    fn numbers(count: usize, seed: u64) -> Vec<u32> {
        let mut state = seed | 1;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 32) as u32
            })
            .collect()
    }

    fn check(shape: &LinearShape, seed: u64) {
        let weights: Vec<i16> = numbers(shape.weight_count(), seed).into_iter().map(|number| number as i16).collect();
        let share = numbers(shape.input.elements(), seed ^ 99);
        let bias = numbers(shape.output.elements(), seed ^ 7);
        let mut accumulators = bias.clone();
        linear_accumulate(shape, &weights, &share, &mut accumulators);
        let expected: Vec<u32> =
            reference(shape, &weights, &share).iter().zip(&bias).map(|(sum, bias)| sum.wrapping_add(*bias)).collect();
        assert_eq!(accumulators, expected, "{shape:?}");
    }

    proptest! {
        #[test]
        fn convolutions_equal_their_definition(
            groups in 1usize..4, inputs in 1usize..4, outputs in 1usize..4,
            size in [1usize..12, 1usize..12], kernel in [1usize..5, 1usize..5], stride in [1usize..5, 1usize..5],
            dilation in [1usize..3, 1usize..3], pads in [0usize..3, 0usize..3, 0usize..3, 0usize..3], seed in any::<u64>(),
        ) {
            let padding = Padding { top: pads[0], left: pads[1], bottom: pads[2], right: pads[3] };
            let (rows, columns) = (size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3]);
            let extent = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
            prop_assume!(rows >= extent(0) && columns >= extent(1));
            let input = Shape::new(groups * inputs, size[0], size[1]);
            let output = Shape::new(groups * outputs, (rows - extent(0)) / stride[0] + 1, (columns - extent(1)) / stride[1] + 1);
            check(&LinearShape { input, output, groups, kernel, stride, padding, dilation }, seed);
        }
    }

    #[test]
    fn large_layers_are_spread_over_threads_with_the_same_result() {
        check(&LinearShape::fully_connected(1000, 300), 1);
        check(&LinearShape { groups: 3, ..LinearShape::fully_connected(999, 900) }, 2);
        let shape = LinearShape { input: Shape::new(8, 20, 20), output: Shape::new(9, 18, 18), kernel: [3, 3], ..LinearShape::fully_connected(1, 1) };
        check(&shape, 3);
    }
}
