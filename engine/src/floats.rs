//! Linear layers in double precision, as compiling needs them: their values, what a gradient by the output means for the
//! input, and for the weights.
//!
//! Sums are taken in an order that the shape alone decides, so that a network gives the same plan on every machine.

use tacit_protocol::plan::{LinearShape, Padding};

use crate::runs::{Run, for_each_run};

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
