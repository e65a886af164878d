//! Writing the plan and its integers down, node by node.

use rayon::prelude::*;
use tacit_protocol::plan::digit_widths;
use tacit_protocol::plan::{InputSpec, LinearStep, Node, OutputSpec, Plan, Step};
use tacit_protocol::rlwe::{choose_packing, noise_report};
use tacit_protocol::share::Share;

use super::{CompileError, CompileOptions, LayerReport};
use crate::graph::FloatLinear;
use crate::quantize::VALUE_BITS;
use crate::quantize::integers::{correct_bias, quantize_linear, quantize_offset};
use crate::quantize::ranges::Ranges;
use crate::quantize::scaling::{Groups, Origin};
use crate::quantize::search::{MIN_OUTPUT_DROP, Scales};
use crate::quantize::skeleton::{Kind, Skeleton};
use tacit_engine::Parameters;
use tacit_engine::fixed_point::Evaluator;

/// Fractional bits of the logits that are worth revealing.
const OUTPUT_FRACTION: f64 = 12.0;
/// Bits of the largest logit that are worth revealing where logits are small.
const OUTPUT_PRECISION: f64 = 14.0;

/// Everything that was decided.
pub(super) struct Builder<'a> {
    pub skeleton: &'a Skeleton,
    pub groups: &'a Groups,
    pub ranges: &'a Ranges,
    pub scales: &'a Scales,
    pub options: &'a CompileOptions,
    /// Inputs and the float values of all nodes for them.
    pub samples: &'a [Vec<f64>],
    pub values: &'a [Vec<Vec<f64>>],
    pub correct_biases: bool,
}

/// The result.
pub(super) struct Built {
    pub plan: Plan,
    pub parameters: Parameters,
    pub layers: Vec<LayerReport>,
}

impl Builder<'_> {
    pub fn build(&self, input: InputSpec, output: OutputSpec) -> Result<Built, CompileError> {
        let fractions = self.fraction_bits();
        let mut plan = Plan {
            input,
            nodes: Vec::with_capacity(self.skeleton.nodes.len()),
            output,
            transfers: self.options.transfers,
        };
        let mut parameters = Parameters::default();
        let mut layers = Vec::new();
        let mut shares: Vec<Vec<Share>> = vec![Vec::new(); self.samples.len()];
        for (id, node) in self.skeleton.nodes.iter().enumerate() {
            let mut report = None;
            let step = match &node.kind {
                Kind::Input => Step::Input,
                Kind::Linear(linear) => {
                    let (step, layer) = self.linear(id, linear, &mut parameters)?;
                    report = Some(layer);
                    step
                }
                Kind::Square => Step::Square { drop: self.dropped(id) },
                Kind::Truncate => Step::Truncate { drop: self.dropped(id) },
                Kind::Relu => {
                    let (bits, drop) = (plan.nodes[node.inputs[0]].bits, self.dropped(id));
                    Step::Relu { drop, digits: self.digits_of(bits - 1 - drop) }
                }
                Kind::Maximum => {
                    // A difference has one bit more; as many bits are compared as in a ReLU behind a pool, and two more.
                    let bits = node.inputs.iter().map(|input| plan.nodes[*input].bits).max().unwrap_or(0);
                    let ignored = bits.saturating_sub(self.options.compared_bits + 2);
                    Step::Maximum { ignored, digits: self.digits_of(bits - ignored) }
                }
                Kind::Shift => match self.scales.drops[id].unsigned_abs() {
                    0 => Step::Reshape,
                    amount => Step::ShiftLeft { amount },
                },
                Kind::Subtract => Step::Subtract,
                Kind::Offset(constants) => {
                    parameters.insert_offset(id, quantize_offset(&node.name, constants, &self.channel_scales(id))?);
                    Step::Offset
                }
                Kind::Multiply { rows, columns } => Step::Multiply { rows: rows.clone(), columns: columns.clone() },
                Kind::Concat => Step::Concat,
                Kind::Slice { axis, start, step, spacing } => {
                    Step::Slice { axis: *axis, start: *start, step: *step, spacing: *spacing }
                }
                Kind::SumPool(pool) => {
                    Step::SumPool { kernel: pool.kernel, stride: pool.stride, padding: pool.padding }
                }
                Kind::Add => Step::Add,
                Kind::Reshape => Step::Reshape,
                Kind::Output => Step::Output { drop: self.output_drop(id) },
            };
            let bits = self.bits(id);
            plan.nodes.push(Node {
                step,
                inputs: node.inputs.clone(),
                shape: node.shape,
                fraction_bits: fractions[id],
                bits,
            });
            if let Some(mut layer) = report {
                layer.bits = bits;
                layer.fraction_bits = fractions[id];
                layers.push(layer);
            }
            self.advance(id, &plan, &mut parameters, &mut shares);
        }
        Ok(Built { plan, parameters, layers })
    }

    /// Integers and packing of a linear node.
    fn linear(
        &self,
        id: usize,
        linear: &FloatLinear,
        parameters: &mut Parameters,
    ) -> Result<(Step, LayerReport), CompileError> {
        let node = &self.skeleton.nodes[id];
        let source = node.inputs[0];
        let integers = quantize_linear(&node.name, linear, &self.channel_scales(source), &self.channel_scales(id))?;
        let failed = |source| CompileError::Packing { layer: node.name.clone(), source };
        let packing = choose_packing(&linear.shape, &integers.weights).map_err(failed)?;
        let step = LinearStep { shape: linear.shape, packing };
        let noise = noise_report(&step, &integers.weights).map_err(failed)?;
        let largest = integers.weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0);
        let limit = f64::from(VALUE_BITS);
        let headroom = self.log_sizes(id).fold(f64::INFINITY, |least, size| least.min(limit - size));
        let dropping = self.skeleton.nodes.iter().position(|user| user.inputs.contains(&id) && user.kind.drops_bits());
        let report = LayerReport {
            node: id,
            name: node.name.clone(),
            shape: format!("{} -> {}", linear.shape.input, linear.shape.output),
            bits: 0,
            fraction_bits: 0,
            headroom_bits: headroom,
            weight_bits: u16::BITS - largest.leading_zeros() + 1,
            kept_bits: dropping
                .map(|user| (self.bits(id) - self.options.headroom_bits).saturating_sub(self.dropped(user))),
            packing: super::report::describe(&packing),
            noise_margin_bits: noise.margin_bits(),
        };
        parameters.insert(id, integers);
        Ok((Step::Linear(step), report))
    }

    /// Evaluates the new node on all samples and corrects its bias.
    fn advance(&self, id: usize, plan: &Plan, parameters: &mut Parameters, shares: &mut [Vec<Share>]) {
        if !self.correct_biases {
            return;
        }
        let scale = self.scales.logarithms[self.groups.input].exp2();
        let evaluate = |parameters: &Parameters, shares: &mut [Vec<Share>]| {
            let evaluator = Evaluator::of_nodes(plan, parameters, id..id + 1);
            shares.par_iter_mut().zip(self.samples).for_each(|(values, sample)| {
                let input: Vec<u32> = match id {
                    0 => sample.iter().map(|value| (value * scale).round() as i32 as u32).collect(),
                    _ => Vec::new(),
                };
                let value = evaluator.value(id, values, &input);
                values.truncate(id);
                values.push(value);
            });
        };
        evaluate(parameters, shares);
        let node = &self.skeleton.nodes[id];
        if let (Kind::Linear(_), Some(mut integers)) = (&node.kind, parameters.get(id).cloned()) {
            let exact: Vec<&[f64]> = self.values.iter().map(|values| values[id].as_slice()).collect();
            let got: Vec<&Share> = shares.iter().map(|values| &values[id]).collect();
            correct_bias(&mut integers, node.shape.height * node.shape.width, &self.channel_scales(id), &exact, &got);
            parameters.insert(id, integers);
            evaluate(parameters, shares);
        }
    }

    /// Binary logarithms of a node's channels' scales.
    fn channel_scales(&self, id: usize) -> Vec<f64> {
        self.groups.of_channel[id].iter().map(|group| self.scales.logarithms[*group]).collect()
    }

    /// Binary logarithms of the largest integers of a node's channels, without headroom.
    fn log_sizes(&self, id: usize) -> impl Iterator<Item = f64> + '_ {
        let channels = self.groups.of_channel[id].iter().zip(&self.ranges.of_channel[id]);
        channels.map(|(group, range)| self.scales.logarithms[*group] + range.log2())
    }

    /// Bits that hold a node's values with their headroom.
    fn bits(&self, id: usize) -> u32 {
        let power = self.groups.of_channel[id].iter().map(|group| self.groups.root(*group).1).max().unwrap_or(1);
        let room = f64::from(self.options.headroom_bits) * f64::from(power);
        let largest = self.log_sizes(id).fold(f64::NEG_INFINITY, f64::max) + room;
        // One unit more for the error of a truncation, and what is added before bits are dropped.
        let users = self.skeleton.nodes.iter().enumerate().filter(|(_, user)| user.inputs.contains(&id));
        let dropped = users.map(|(user, _)| self.dropped(user)).max().unwrap_or(0);
        // A comparison of two such values also needs room for the bits that it ignores.
        let margin = largest.exp2() / 2f64.powi(self.options.compared_bits as i32);
        let bits = (largest.exp2() + f64::from(dropped).exp2() + margin + 2.0).log2().ceil() as i64 + 1;
        bits.clamp(2 + i64::from(dropped), i64::from(VALUE_BITS) + 1) as u32
    }

    /// Low bits that a node drops, 0 for a shift.
    fn dropped(&self, id: usize) -> u32 {
        self.scales.drops[id].max(0) as u32
    }

    /// Groups of compared bits.
    fn digits_of(&self, compared: u32) -> Vec<u32> {
        digit_widths(compared, self.options.comparison_round_trips)
    }

    /// Low bits of the logits that are not revealed.
    fn output_drop(&self, id: usize) -> u32 {
        let fraction = self.scales.logarithms[self.groups.output];
        let largest = self.ranges.of_channel[id].iter().fold(0.0f64, |most, range| most.max(*range)).log2();
        let kept = OUTPUT_FRACTION.max(OUTPUT_PRECISION - largest);
        (fraction - kept).clamp(MIN_OUTPUT_DROP, f64::from(VALUE_BITS)) as u32
    }

    /// Declared fractional bits: exact for input and output; in between the channels' factors make them nominal, and
    /// they only follow the steps' rules.
    fn fraction_bits(&self) -> Vec<i32> {
        let nodes = &self.skeleton.nodes;
        let mut fractions: Vec<Option<i32>> = vec![None; nodes.len()];
        let root_fraction = |group: usize| {
            if group == self.groups.input || group == self.groups.output {
                self.scales.logarithms[group].round() as i32
            } else {
                // Near the size of the accumulators' scale, and such that squares stay declarable.
                (self.scales.logarithms[group].round() as i32).clamp(-8, 40)
            }
        };
        let mut by_node = Vec::with_capacity(nodes.len());
        for id in 0..nodes.len() {
            by_node.push(self.nominal(id, &mut fractions, &root_fraction));
        }
        by_node
    }

    /// The declared fractional bits of a node from the first group of its channels, resolved along its origin, so that
    /// nodes that share a scale also share the declaration.
    fn nominal(&self, id: usize, cache: &mut [Option<i32>], root: &impl Fn(usize) -> i32) -> i32 {
        if let Some(known) = cache[id] {
            return known;
        }
        let node = &self.skeleton.nodes[id];
        let value = match node.kind {
            Kind::Square => 2 * (self.nominal(node.inputs[0], cache, root) - self.scales.drops[id]),
            Kind::Truncate | Kind::Relu | Kind::Shift => {
                self.nominal(node.inputs[0], cache, root) - self.scales.drops[id]
            }
            Kind::SumPool(_)
            | Kind::Add
            | Kind::Subtract
            | Kind::Maximum
            | Kind::Offset(_)
            | Kind::Multiply { .. }
            | Kind::Concat
            | Kind::Slice { .. }
            | Kind::Reshape
            | Kind::Output => self.nominal(node.inputs[0], cache, root),
            Kind::Input | Kind::Linear(_) => {
                let group = self.groups.of_channel[id][0];
                match self.groups.origins[group] {
                    Origin::Root => root(group),
                    Origin::Derived { node, .. } => self.nominal(node, cache, root),
                }
            }
        };
        cache[id] = Some(value);
        value
    }
}
