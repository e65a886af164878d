//! Linear layers in double precision, as compiling needs them: their values, what a gradient by the output means for the
//! input, and for the weights.
//!
//! Sums are taken in an order that the shape alone decides, so that a network gives the same plan on every machine.

use tacit_protocol::plan::{LinearShape, Padding};

use tacit_engine::runs::{Run, for_each_run};

/// Sums of a product of vectors that are taken side by side.
const LANES: usize = 8;

/// `W x`, without bias.
pub(crate) fn apply_linear(shape: &LinearShape, weights: &[f64], input: &[f64]) -> Vec<f64> {
    if is_dense(shape) {
        return weights.chunks_exact(input.len()).map(|row| product(row, input)).collect();
    }
    let mut output = vec![0.0; shape.output.elements()];
    for_each_run(shape, |run| add_to_output(run, weights[run.weight], input, &mut output));
    output
}

/// Adds to `into`, the gradient by the input of a layer, what the gradient by its output means.
pub(crate) fn pull_back_linear(shape: &LinearShape, weights: &[f64], gradient: &[f64], into: &mut [f64]) {
    if is_dense(shape) {
        let rows = weights.chunks_exact(into.len()).zip(gradient);
        rows.for_each(|(row, gradient)| add_scaled(*gradient, row, into));
    } else {
        for_each_run(shape, |run| add_to_input(run, weights[run.weight], gradient, into));
    }
}

/// The derivative by each weight, from the gradient by the output.
pub(crate) fn weight_derivatives(shape: &LinearShape, input: &[f64], gradient: &[f64]) -> Vec<f64> {
    if is_dense(shape) {
        return gradient.iter().flat_map(|gradient| input.iter().map(move |input| gradient * input)).collect();
    }
    let mut derivatives = vec![0.0; shape.weight_count()];
    for_each_run(shape, |run| {
        derivatives[run.weight] += match run.step {
            1 => product(&gradient[run.output..][..run.length], &input[run.input..][..run.length]),
            _ => run.pairs().map(|(to, from)| gradient[to] * input[from]).sum(),
        };
    });
    derivatives
}

/// Sums over the windows of a pool.
pub(crate) fn apply_sum_pool(pool: &LinearShape, input: &[f64]) -> Vec<f64> {
    let mut output = vec![0.0; pool.output.elements()];
    for_each_run(pool, |run| add_to_output(run, 1.0, input, &mut output));
    output
}

/// [`pull_back_linear`] of a sum pool.
pub(crate) fn pull_back_sum_pool(pool: &LinearShape, gradient: &[f64], into: &mut [f64]) {
    for_each_run(pool, |run| add_to_input(run, 1.0, gradient, into));
}

/// Whether the weights of each output meet all elements of the input in their order.
fn is_dense(shape: &LinearShape) -> bool {
    let (input, output) = (shape.input, shape.output);
    let whole = shape.kernel == [input.height, input.width] && shape.padding == Padding::default();
    whole && shape.groups == 1 && [output.height, output.width] == [1, 1]
}

fn add_to_output(run: Run, weight: f64, input: &[f64], output: &mut [f64]) {
    match run.step {
        1 => add_scaled(weight, &input[run.input..][..run.length], &mut output[run.output..][..run.length]),
        _ => run.pairs().for_each(|(to, from)| output[to] += weight * input[from]),
    }
}

fn add_to_input(run: Run, weight: f64, gradient: &[f64], into: &mut [f64]) {
    match run.step {
        1 => add_scaled(weight, &gradient[run.output..][..run.length], &mut into[run.input..][..run.length]),
        _ => run.pairs().for_each(|(to, from)| into[from] += weight * gradient[to]),
    }
}

#[inline]
fn add_scaled(factor: f64, from: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

/// The sum of products of two vectors of the same length.
#[inline]
fn product(first: &[f64], second: &[f64]) -> f64 {
    let ((first, first_rest), (second, second_rest)) = (first.as_chunks::<LANES>(), second.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (first, second) in first.iter().zip(second) {
        sums.iter_mut().zip(first).zip(second).for_each(|((sum, first), second)| *sum += first * second);
    }
    let rest = first_rest.iter().zip(second_rest).map(|(first, second)| first * second).sum::<f64>();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, position by position.
    fn direct(shape: &LinearShape, weights: &[f64], input: &[f64]) -> Vec<f64> {
        let (per_group, outputs) = (shape.channels_per_group(), shape.output.channels / shape.groups);
        let mut result = Vec::new();
        for channel in 0..shape.output.channels {
            for i in 0..shape.output.height {
                for j in 0..shape.output.width {
                    let mut sum = 0.0;
                    for c in 0..per_group {
                        for a in 0..shape.kernel[0] {
                            for b in 0..shape.kernel[1] {
                                let y =
                                    (i * shape.stride[0] + a * shape.dilation[0]) as isize - shape.padding.top as isize;
                                let x = (j * shape.stride[1] + b * shape.dilation[1]) as isize
                                    - shape.padding.left as isize;
                                let inside = (0..shape.input.height as isize).contains(&y)
                                    && (0..shape.input.width as isize).contains(&x);
                                if inside {
                                    let from = channel / outputs * per_group + c;
                                    let position =
                                        (from * shape.input.height + y as usize) * shape.input.width + x as usize;
                                    let weight =
                                        ((channel * per_group + c) * shape.kernel[0] + a) * shape.kernel[1] + b;
                                    sum += weights[weight] * input[position];
                                }
                            }
                        }
                    }
                    result.push(sum);
                }
            }
        }
        result
    }

    #[test]
    fn layers_equal_their_definition() {
        for shape in crate::test_support::linear_shapes() {
            let weights: Vec<f64> = (0..shape.weight_count()).map(|i| ((i * 7) % 11) as f64 - 5.0).collect();
            let input: Vec<f64> = (0..shape.input.elements()).map(|i| ((i * 5) % 13) as f64 - 6.0).collect();
            assert_eq!(apply_linear(&shape, &weights, &input), direct(&shape, &weights, &input), "{shape:?}");
        }
    }

    /// Every weight alone, that is every column of the derivative.
    #[test]
    fn derivatives_by_inputs_and_weights_are_those_of_the_definition() {
        for shape in crate::test_support::linear_shapes() {
            let weights: Vec<f64> = (0..shape.weight_count()).map(|i| ((i * 7) % 11) as f64 - 5.0).collect();
            let input: Vec<f64> = (0..shape.input.elements()).map(|i| ((i * 5) % 13) as f64 - 6.0).collect();
            let gradient: Vec<f64> = (0..shape.output.elements()).map(|i| ((i * 3) % 7) as f64 - 3.0).collect();
            let weighted = |output: Vec<f64>| output.iter().zip(&gradient).map(|(y, g)| y * g).sum::<f64>();
            let unit = |length: usize, place: usize| (0..length).map(|i| f64::from(u8::from(i == place))).collect();

            let mut into = vec![2.0; input.len()];
            pull_back_linear(&shape, &weights, &gradient, &mut into);
            for (place, found) in into.iter().enumerate() {
                let unit: Vec<f64> = unit(input.len(), place);
                assert_eq!(*found, 2.0 + weighted(direct(&shape, &weights, &unit)), "input {place} of {shape:?}");
            }
            let derivatives = weight_derivatives(&shape, &input, &gradient);
            for (place, found) in derivatives.iter().enumerate() {
                let unit: Vec<f64> = unit(weights.len(), place);
                assert_eq!(*found, weighted(direct(&shape, &unit, &input)), "weight {place} of {shape:?}");
            }
        }
    }
}
