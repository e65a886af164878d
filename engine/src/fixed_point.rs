//! The plain fixed-point evaluation that private inference must match, and how far apart the two may be.
//!
//! [`evaluate`] computes on integers: linear steps exactly modulo `2^32`, truncations to the nearest integer (halves
//! up), squares of the truncated value exactly.
//!
//! Private inference differs from it in the last place of each step, within the following rule. If a value lies in the
//! interval `[low, high]` of integers, then after
//! - a linear step: in the interval of `W x + bias`, made larger by 1 at both ends (the rounding of the decrypted mask);
//! - a truncation by `f` bits: strictly inside one unit of `x / 2^f`, that is from `floor(low / 2^f)` to
//!   `ceil(high / 2^f)`; `f = 0` changes nothing;
//! - a square with `f` bits dropped: the interval of squares of that;
//! - a ReLU with `f` bits dropped: from `floor(max(low, 0) / 2^f)` to `ceil(max(high, 0) / 2^f)`;
//! - a maximum of intervals that ignores `f` bits: from the larger low end less `2^f - 1` to the larger high end;
//! - a local step: the interval of its sums;
//! - the output with `f` bits dropped: larger by `2^(f-1)` at both ends (the bits that the server does not reveal).
//!
//! [`evaluate_range`] gives these intervals for the logits, cut to the bits that the plan guarantees.

use std::collections::BTreeMap;
use std::ops::Range;

use tacit_protocol::plan::{NodeId, Plan, Shape, Step};
use tacit_protocol::share::Share;
use tacit_protocol::steps::local;

use crate::kernels::LinearKernel;
use crate::parameters::Parameters;
use crate::runs::{for_each_run, pool_as_linear};

/// The logits on the ring, their low bits included, for an input on the ring ([`Plan::encode_input`]). For many inputs an
/// [`Evaluator`] is faster.
///
/// # Panics
/// If the plan is not valid, the parameters are of another plan, or the input has the wrong length.
pub fn evaluate(plan: &Plan, parameters: &Parameters, input: &[u32]) -> Vec<u32> {
    Evaluator::new(plan, parameters).logits(input)
}

/// A network with its weights brought into the order of the kernels, to be evaluated on many inputs. Holds secrets.
#[derive(Debug)]
pub struct Evaluator<'a> {
    plan: &'a Plan,
    parameters: &'a Parameters,
    kernels: BTreeMap<NodeId, LinearKernel>,
}

impl<'a> Evaluator<'a> {
    /// Prepares all layers.
    ///
    /// # Panics
    /// If the parameters do not fit the plan.
    pub fn new(plan: &'a Plan, parameters: &'a Parameters) -> Self {
        Self::of_nodes(plan, parameters, 0..plan.nodes.len())
    }

    /// Prepares the layers among some nodes, which alone can then be evaluated.
    pub fn of_nodes(plan: &'a Plan, parameters: &'a Parameters, nodes: Range<NodeId>) -> Self {
        let kernel = |node: NodeId| match (&plan.nodes[node].step, parameters.get(node)) {
            (Step::Linear(linear), Some(parameters)) => Some((node, LinearKernel::new(&linear.shape, parameters))),
            _ => None,
        };
        Self { plan, parameters, kernels: nodes.filter_map(kernel).collect() }
    }

    /// [`evaluate`].
    ///
    /// # Panics
    /// If the plan is not valid, or the input has the wrong length.
    pub fn logits(&self, input: &[u32]) -> Vec<u32> {
        self.values(input).pop().map(|mut logits| std::mem::take(&mut logits.0)).unwrap_or_default()
    }

    /// The values of all nodes on the ring: what the bits of the plan must hold.
    ///
    /// # Panics
    /// As [`Evaluator::logits`].
    pub fn values(&self, input: &[u32]) -> Vec<Share> {
        let mut values: Vec<Share> = Vec::with_capacity(self.plan.nodes.len());
        for index in 0..self.plan.nodes.len() {
            values.push(self.value(index, &values, input));
        }
        values
    }

    /// The value of node `index` from those of the nodes before it.
    pub fn value(&self, index: usize, values: &[Share], input: &[u32]) -> Share {
        let node = &self.plan.nodes[index];
        let inputs: Vec<&Share> = node.inputs.iter().map(|input| &values[*input]).collect();
        let map = |value: fn(u32, u32) -> u32, drop: u32| {
            Share(inputs[0].iter().map(|element| value(*element, drop)).collect())
        };
        match &node.step {
            Step::Input => {
                assert_eq!(input.len(), node.shape.elements(), "elements of the input");
                Share(input.to_vec())
            }
            Step::Linear(_) => {
                let mut accumulators = Share::zeros(node.shape.elements());
                if let Some(kernel) = self.kernels.get(&index) {
                    kernel.apply(inputs[0], &mut accumulators);
                }
                accumulators
            }
            Step::Truncate { drop } => map(truncate, *drop),
            Step::Square { drop } => map(
                |element, drop| {
                    let root = truncate(element, drop);
                    root.wrapping_mul(root)
                },
                *drop,
            ),
            Step::Relu { drop, .. } => map(|element, drop| truncate((element as i32).max(0) as u32, drop), *drop),
            Step::Maximum { .. } => {
                let larger = |(first, second): (&u32, &u32)| (*first as i32).max(*second as i32) as u32;
                Share(inputs[0].iter().zip(inputs[1].iter()).map(larger).collect())
            }
            Step::Offset => {
                let mut value = inputs[0].clone();
                if let Some(offset) = self.parameters.offset(index) {
                    offset.add_to(node.shape, &mut value);
                }
                value
            }
            Step::Output { .. } => inputs[0].clone(),
            Step::Class { bits } => map(|element, bits| element & ((1 << bits) - 1), *bits),
            step @ (Step::SumPool { .. }
            | Step::Add
            | Step::Subtract
            | Step::Multiply { .. }
            | Step::Concat
            | Step::Slice { .. }
            | Step::ShiftLeft { .. }
            | Step::Reshape) => {
                let shape = self.plan.nodes[node.inputs[0]].shape;
                local::evaluate(step, &inputs, shape, node.shape).unwrap_or_default()
            }
        }
    }
}

/// `round(element / 2^drop)`, halves up, in two's complement.
fn truncate(element: u32, drop: u32) -> u32 {
    let half = (1i64 << drop) >> 1;
    ((i64::from(element as i32) + half) >> drop) as u32
}

/// For each logit the smallest and the largest value that private inference may give, by the rule above.
///
/// The bounds hold as long as no value leaves the plan's bits; they are computed without wrapping.
///
/// # Panics
/// As [`evaluate`].
pub fn evaluate_range(plan: &Plan, parameters: &Parameters, input: &[u32]) -> Vec<(i64, i64)> {
    let mut values: Vec<Vec<(i64, i64)>> = Vec::with_capacity(plan.nodes.len());
    for (index, node) in plan.nodes.iter().enumerate() {
        let inputs: Vec<&Vec<(i64, i64)>> = node.inputs.iter().map(|input| &values[*input]).collect();
        let map = |value: &dyn Fn((i64, i64)) -> (i64, i64)| inputs[0].iter().map(|range| value(*range)).collect();
        let value = match &node.step {
            Step::Input => {
                assert_eq!(input.len(), node.shape.elements(), "elements of the input");
                input.iter().map(|element| i64::from(*element as i32)).map(|element| (element, element)).collect()
            }
            Step::Linear(_) => linear_range(plan, parameters, index, inputs[0]),
            Step::Truncate { drop } => map(&|range| truncate_range(range, *drop)),
            Step::Square { drop } => map(&|range| square_range(truncate_range(range, *drop))),
            Step::SumPool { kernel, stride, padding } => {
                let from = plan.nodes[node.inputs[0]].shape;
                sum_pool_range(inputs[0], from, node.shape, |from, to| {
                    pool_as_linear(from, to, *kernel, *stride, *padding)
                })
            }
            Step::Add => inputs[0]
                .iter()
                .zip(inputs[1])
                .map(|(a, b)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1)))
                .collect(),
            Step::Subtract => inputs[0]
                .iter()
                .zip(inputs[1])
                .map(|(a, b)| (a.0.saturating_sub(b.1), a.1.saturating_sub(b.0)))
                .collect(),
            Step::Relu { drop, .. } => map(&|(low, high)| truncate_range((low.max(0), high.max(0)), *drop)),
            Step::Maximum { ignored, .. } => {
                let larger = |(a, b): (&(i64, i64), &(i64, i64))| (a.0.max(b.0) - ((1 << ignored) - 1), a.1.max(b.1));
                inputs[0].iter().zip(inputs[1]).map(larger).collect()
            }
            Step::Offset => {
                let mut constants = vec![0; node.shape.elements()];
                if let Some(offset) = parameters.offset(index) {
                    offset.add_to(node.shape, &mut constants);
                }
                let constants = constants.iter().map(|constant| i64::from(*constant as i32));
                let shifted = |((low, high), constant): (&(i64, i64), i64)| centred((low + constant, high + constant));
                inputs[0].iter().zip(constants).map(shifted).collect()
            }
            Step::Multiply { rows, columns } => {
                let factors = rows.iter().flat_map(|row| columns.iter().map(move |column| i64::from(row * column)));
                let scaled = |((low, high), factor): (&(i64, i64), i64)| (low * factor, high * factor);
                inputs[0].iter().zip(factors.cycle()).map(scaled).collect()
            }
            Step::Concat => inputs.iter().flat_map(|input| input.iter().copied()).collect(),
            Step::Slice { axis, start, step, spacing } => {
                let from = plan.nodes[node.inputs[0]].shape;
                let places = local::slice_places(from, node.shape, *axis, *start, [*step, *spacing]);
                places.map(|place| inputs[0][place]).collect()
            }
            Step::Class { .. } => inputs[0].clone(),
            Step::ShiftLeft { amount } => map(&|(low, high)| (low << amount, high << amount)),
            Step::Reshape => inputs[0].clone(),
            Step::Output { drop } => map(&|(low, high)| {
                let half = (1i64 << drop) >> 1;
                (low - half, high + half)
            }),
        };
        // A value never leaves its bits, however far worst cases add up over many layers.
        let limit = 1i64 << node.bits;
        let bounded = |(low, high): (i64, i64)| (low.clamp(-limit, limit), high.clamp(-limit, limit));
        values.push(value.into_iter().map(bounded).collect());
    }
    values.pop().unwrap_or_default()
}

fn truncate_range((low, high): (i64, i64), drop: u32) -> (i64, i64) {
    (low >> drop, -(-high >> drop))
}

fn square_range((low, high): (i64, i64)) -> (i64, i64) {
    let (small, large) = if low.abs() < high.abs() { (low, high) } else { (high, low) };
    let least = if low <= 0 && high >= 0 { 0 } else { small.saturating_mul(small) };
    (least, large.saturating_mul(large))
}

fn linear_range(plan: &Plan, parameters: &Parameters, index: usize, input: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let node = &plan.nodes[index];
    let (Step::Linear(linear), Some(parameters)) = (&node.step, parameters.get(index)) else { return vec![] };
    let mut bias = vec![0; node.shape.elements()];
    parameters.bias.fill(node.shape, &mut bias);
    let bias = bias.iter().map(|bias| i64::from(*bias as i32));
    let mut output: Vec<(i64, i64)> = bias.map(|bias| (bias - 1, bias + 1)).collect();
    for_each_run(&linear.shape, |run| {
        let weight = i64::from(parameters.weights[run.weight]);
        run.pairs().for_each(|(to, from)| {
            let (low, high) = input[from];
            let (least, most) = if weight < 0 { (high, low) } else { (low, high) };
            output[to].0 = output[to].0.saturating_add(weight.saturating_mul(least));
            output[to].1 = output[to].1.saturating_add(weight.saturating_mul(most));
        });
    });
    output.into_iter().map(centred).collect()
}

/// The interval modulo `2^32` whose middle lies in `[-2^31, 2^31)`: biases are known modulo `2^32` only.
fn centred((low, high): (i64, i64)) -> (i64, i64) {
    let middle = low / 2 + high / 2;
    let turns = (middle + (1 << 31)) >> 32 << 32;
    (low.saturating_sub(turns), high.saturating_sub(turns))
}

fn sum_pool_range(
    input: &[(i64, i64)],
    from: Shape,
    to: Shape,
    geometry: impl Fn(Shape, Shape) -> tacit_protocol::plan::LinearShape,
) -> Vec<(i64, i64)> {
    let mut output = vec![(0i64, 0i64); to.elements()];
    for_each_run(&geometry(from, to), |run| {
        run.pairs().for_each(|(to, from)| {
            output[to].0 = output[to].0.saturating_add(input[from].0);
            output[to].1 = output[to].1.saturating_add(input[from].1);
        });
    });
    output
}

#[cfg(test)]
mod tests;
