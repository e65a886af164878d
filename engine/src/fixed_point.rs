//! The plain fixed-point network that private inference must match, and how far it may differ.
//!
//! [`evaluate`] computes with the plan's integers, weights and scales, truncating to the nearest integer. Private
//! inference follows the **last-place rule** (`docs/protocol.md`, section 10): a linear step's accumulators may be off by
//! one; a truncation by `f` bits gives an integer strictly inside one unit of `y / 2^f`; all else is exact.
//! [`evaluate_range`] carries the rule through the network and gives, for each logit, every value that it allows.

use tacit_protocol::plan::{LinearShape, NodeId, Plan, Shape, Step};

use crate::kernels::linear_accumulate;
use crate::parameters::{LinearParameters, Parameters};

/// Why a network cannot be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The input has a wrong number of elements.
    #[error("the input has {got} elements, the plan's input {expected}")]
    InputLength {
        /// Elements of the plan's input.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// A linear step without fitting parameters.
    #[error("node {0}: the parameters do not fit the step")]
    Parameters(NodeId),
    /// A value left the bounds within which shares are meaningful.
    #[error("node {0}: a value leaves the plan's bounds")]
    Overflow(NodeId),
}

/// The logits on the ring, from an input on the ring.
///
/// # Errors
/// A wrong input length, missing parameters, or a value outside the plan's bounds.
pub fn evaluate(plan: &Plan, parameters: &Parameters, input: &[u32]) -> Result<Vec<u32>, EvaluationError> {
    let values = evaluate_nodes(plan, parameters, input)?;
    Ok(values.last().map(|logits| logits.iter().map(|value| *value as u32).collect()).unwrap_or_default())
}

/// The value of every node, as signed integers.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_nodes(plan: &Plan, parameters: &Parameters, input: &[u32]) -> Result<Vec<Vec<i64>>, EvaluationError> {
    check_length(plan, input)?;
    let mut values: Vec<Vec<i64>> = Vec::with_capacity(plan.nodes.len());
    for (id, node) in plan.nodes.iter().enumerate() {
        let value = match (&node.step, node.inputs.first()) {
            (Step::Linear(linear), Some(source)) => {
                let layer = layer(parameters, id, &linear.shape)?;
                convolve(&linear.shape, &layer.weights, &values[*source], id)?
                    .into_iter()
                    .zip(layer.bias.elements(node.shape.height * node.shape.width))
                    .map(|(sum, bias)| sum + i64::from(bias))
                    .collect()
            }
            (Step::Square { drop }, Some(source)) => {
                values[*source].iter().map(|value| nearest(*value, *drop).pow(2)).collect()
            }
            (Step::Truncate { drop }, Some(source)) => {
                values[*source].iter().map(|value| nearest(*value, *drop)).collect()
            }
            (Step::Input, _) | (_, None) => input.iter().map(|value| i64::from(*value as i32)).collect(),
            (step, Some(_)) => {
                let inputs: Vec<&[i64]> = node.inputs.iter().map(|input| values[*input].as_slice()).collect();
                local(step, &inputs, plan.nodes[node.inputs[0]].shape, node.shape)
            }
        };
        check_bounds(id, &value)?;
        values.push(value);
    }
    Ok(values)
}

/// Smallest and largest value of each logit that the last-place rule allows, on the ring's scale, before the output's
/// low bits are dropped (which adds at most `2^(drop-1)` on either side).
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_range(
    plan: &Plan,
    parameters: &Parameters,
    input: &[u32],
) -> Result<Vec<(i64, i64)>, EvaluationError> {
    check_length(plan, input)?;
    let mut lows: Vec<Vec<i64>> = Vec::with_capacity(plan.nodes.len());
    let mut highs: Vec<Vec<i64>> = Vec::with_capacity(plan.nodes.len());
    for (id, node) in plan.nodes.iter().enumerate() {
        let (low, high): (Vec<i64>, Vec<i64>) = match (&node.step, node.inputs.first()) {
            (Step::Linear(linear), Some(source)) => {
                let layer = layer(parameters, id, &linear.shape)?;
                linear_range(&linear.shape, layer, &lows[*source], &highs[*source], id)?
            }
            (Step::Square { drop }, Some(source)) => {
                let squares = lows[*source].iter().zip(&highs[*source]).map(|(low, high)| {
                    let (low, high) = (low >> drop, ceiling(*high, *drop));
                    let least = if low <= 0 && high >= 0 { 0 } else { low.abs().min(high.abs()) };
                    (least.pow(2), low.abs().max(high.abs()).pow(2))
                });
                squares.unzip()
            }
            (Step::Truncate { drop }, Some(source)) => {
                lows[*source].iter().zip(&highs[*source]).map(|(low, high)| (low >> drop, ceiling(*high, *drop))).unzip()
            }
            (Step::Input, _) | (_, None) => input.iter().map(|value| (i64::from(*value as i32), i64::from(*value as i32))).unzip(),
            (step, Some(source)) => {
                let shape = plan.nodes[*source].shape;
                let of = |values: &[Vec<i64>]| {
                    let inputs: Vec<&[i64]> = node.inputs.iter().map(|input| values[*input].as_slice()).collect();
                    local(step, &inputs, shape, node.shape)
                };
                (of(&lows), of(&highs))
            }
        };
        check_bounds(id, &low)?;
        check_bounds(id, &high)?;
        lows.push(low);
        highs.push(high);
    }
    let logits = lows.pop().unwrap_or_default().into_iter().zip(highs.pop().unwrap_or_default());
    Ok(logits.collect())
}

fn check_length(plan: &Plan, input: &[u32]) -> Result<(), EvaluationError> {
    let expected = plan.input_shape().elements();
    if input.len() == expected { Ok(()) } else { Err(EvaluationError::InputLength { expected, got: input.len() }) }
}

/// Values must fit the ring in two's complement; the sums below rely on it.
fn check_bounds(node: NodeId, values: &[i64]) -> Result<(), EvaluationError> {
    let fits = values.iter().all(|value| i32::try_from(*value).is_ok());
    if fits { Ok(()) } else { Err(EvaluationError::Overflow(node)) }
}

fn layer<'a>(
    parameters: &'a Parameters,
    node: NodeId,
    shape: &LinearShape,
) -> Result<&'a LinearParameters, EvaluationError> {
    let layer = parameters.layer(node).filter(|layer| layer.weights.len() == shape.weight_count());
    layer.ok_or(EvaluationError::Parameters(node))
}

/// `value / 2^drop` to the nearest integer, halves up.
fn nearest(value: i64, drop: u32) -> i64 {
    if drop == 0 { value } else { (value + (1 << (drop - 1))) >> drop }
}

/// The smallest integer not below `value / 2^drop`.
fn ceiling(value: i64, drop: u32) -> i64 {
    -((-value) >> drop)
}

/// An exact convolution of values that fit 32 bits: the kernel modulo `2^32` for the low half, and once more for the
/// inputs shifted right, so that the two together give sums of up to 63 bits.
fn convolve(shape: &LinearShape, weights: &[i16], values: &[i64], node: NodeId) -> Result<Vec<i64>, EvaluationError> {
    let mut low = vec![0u32; shape.output.elements()];
    let inputs: Vec<u32> = values.iter().map(|value| *value as u32).collect();
    linear_accumulate(shape, weights, &inputs, &mut low);
    let mut high = vec![0u32; shape.output.elements()];
    let inputs: Vec<u32> = values.iter().map(|value| (*value >> 14) as u32).collect();
    linear_accumulate(shape, weights, &inputs, &mut high);
    // The second sum, off by less than the absolute weights, tells whether the first one wrapped around.
    let slack = absolute_rows(shape, weights).into_iter().max().unwrap_or(0);
    let wraps = |(low, high): (u32, u32)| {
        let low = i64::from(low as i32);
        let difference = (low >> 14) - i64::from(high as i32);
        (difference.abs() <= slack + 1).then_some(low).ok_or(EvaluationError::Overflow(node))
    };
    low.into_iter().zip(high).map(wraps).collect()
}

/// For each output channel the sum of the absolute weights.
fn absolute_rows(shape: &LinearShape, weights: &[i16]) -> Vec<i64> {
    let rows = weights.chunks_exact((weights.len() / shape.output.channels).max(1));
    rows.map(|row| row.iter().map(|weight| i64::from(weight.unsigned_abs())).sum()).collect()
}

/// Bounds of `W x + bias` with the linear step's own error of one: centre plus and minus `|W|` times the half widths.
fn linear_range(
    shape: &LinearShape,
    layer: &LinearParameters,
    low: &[i64],
    high: &[i64],
    node: NodeId,
) -> Result<(Vec<i64>, Vec<i64>), EvaluationError> {
    let widths: Vec<i64> = low.iter().zip(high).map(|(low, high)| high - low).collect();
    let positive: Vec<i16> = layer.weights.iter().map(|weight| (*weight).max(0)).collect();
    let negative: Vec<i16> = layer.weights.iter().map(|weight| (*weight).min(0)).collect();
    let base = convolve(shape, &layer.weights, low, node)?;
    let up = convolve(shape, &positive, &widths, node)?;
    let down = convolve(shape, &negative, &widths, node)?;
    let biases = layer.bias.elements(shape.output.height * shape.output.width);
    let bounds = base.iter().zip(up).zip(down).zip(biases).map(|(((base, up), down), bias)| {
        let centre = base + i64::from(bias);
        (centre + down - 1, centre + up + 1)
    });
    Ok(bounds.unzip())
}

/// A local step on plain integers.
fn local(step: &Step, inputs: &[&[i64]], input: Shape, output: Shape) -> Vec<i64> {
    match step {
        Step::Add => inputs[0].iter().zip(inputs[1]).map(|(left, right)| left + right).collect(),
        Step::ShiftLeft { amount } => inputs[0].iter().map(|value| value << amount).collect(),
        Step::SumPool { kernel, stride, padding } => {
            let mut sums = Vec::with_capacity(output.elements());
            for plane in inputs[0].chunks_exact(input.height * input.width) {
                for row in 0..output.height {
                    for column in 0..output.width {
                        let mut sum = 0;
                        for tap in 0..kernel[0] * kernel[1] {
                            let row = (row * stride[0] + tap / kernel[1]).wrapping_sub(padding.top);
                            let column = (column * stride[1] + tap % kernel[1]).wrapping_sub(padding.left);
                            if row < input.height && column < input.width {
                                sum += plane[row * input.width + column];
                            }
                        }
                        sums.push(sum);
                    }
                }
            }
            sums
        }
        _ => inputs[0].to_vec(),
    }
}
