//! The expected error of the logits and the limits on scales, as functions of the scales' binary logarithms `L`
//! (see [`super::search`]).

use std::collections::{BTreeMap, HashMap};

use super::VALUE_BITS;
use super::ranges::Ranges;
use super::scaling::Groups;
use super::sensitivity::Sensitivity;
use super::skeleton::{Kind, Skeleton};

/// Variance of the error of a private truncation, in units of the last place.
const TRUNCATION_VARIANCE: f64 = 1.0 / 6.0;
/// Variance of the last place of an accumulator.
const ACCUMULATOR_VARIANCE: f64 = 0.5;
/// Bits of an input beyond those that are compared.
const INPUT_BITS: f64 = 3.0;
/// Variance of rounding to nearest.
const ROUNDING_VARIANCE: f64 = 1.0 / 12.0;
/// Part of the bound, in bits, that is kept for `2^(drop+1)`.
const DROP_MARGIN: f64 = 0.06;

/// `coefficient * noise * 2^(sum of power * L)`.
pub(super) struct Term {
    pub coefficient: f64,
    /// The step whose dropped bits make the noise.
    pub dropping: Option<usize>,
    pub slots: [(usize, i32); 2],
}

/// `sum of power * L <= limit`.
pub(super) struct Limit {
    pub limit: f64,
    pub slots: [(usize, i32); 2],
    /// Node that it comes from, for messages.
    pub node: usize,
}

impl Term {
    /// Its part of the squared error.
    pub fn value(&self, logarithms: &[f64], drops: &[i32]) -> f64 {
        let noise = match self.dropping.map(|node| drops[node]) {
            Some(0) => ACCUMULATOR_VARIANCE,
            Some(drop) => TRUNCATION_VARIANCE * 4f64.powi(drop) + ACCUMULATOR_VARIANCE,
            None => ROUNDING_VARIANCE,
        };
        self.coefficient * noise * exponent(&self.slots, logarithms).exp2()
    }
}

/// Most bits of magnitudes.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    /// Of weights.
    pub weights: f64,
    /// Of values in a comparison.
    pub compared: f64,
}

/// The sum of `power * L`.
pub(super) fn exponent(slots: &[(usize, i32); 2], logarithms: &[f64]) -> f64 {
    let parts =
        slots.iter().map(|(group, power)| if *power == 0 { 0.0 } else { f64::from(*power) * logarithms[*group] });
    parts.sum()
}

/// All parts of the squared error.
pub(super) fn error_terms(skeleton: &Skeleton, groups: &Groups, sensitivity: &Sensitivity) -> Vec<Term> {
    let mut terms = Vec::new();
    let input: f64 = sensitivity.of_value[0].iter().sum();
    terms.push(Term { coefficient: input, dropping: None, slots: [(groups.input, -2), (0, 0)] });
    for (id, node) in skeleton.nodes.iter().enumerate() {
        let Some(source) = node.inputs.first().copied() else { continue };
        match &node.kind {
            Kind::Square | Kind::Truncate | Kind::Relu => {
                let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
                for (group, value) in groups.of_channel[source].iter().zip(&sensitivity.of_value[source]) {
                    *sums.entry(*group).or_default() += value;
                }
                let make =
                    |(group, coefficient)| Term { coefficient, dropping: Some(id), slots: [(group, -2), (0, 0)] };
                terms.extend(sums.into_iter().map(make));
            }
            Kind::Linear(linear) => {
                let mut sums: BTreeMap<(usize, usize), f64> = BTreeMap::new();
                let shape = &linear.shape;
                let per_group = shape.channels_per_group();
                for (index, value) in sensitivity.of_weights[id].iter().enumerate() {
                    let (output, channel) = (index / per_group, index % per_group);
                    let input = output / (shape.output.channels / shape.groups) * per_group + channel;
                    let pair = (groups.of_channel[source][input], groups.of_channel[id][output]);
                    *sums.entry(pair).or_default() += value;
                }
                let make = |((input, output), coefficient)| Term {
                    coefficient,
                    dropping: None,
                    slots: [(input, 2), (output, -2)],
                };
                terms.extend(sums.into_iter().map(make));
            }
            _ => {}
        }
    }
    terms.retain(|term| term.coefficient > 0.0);
    terms
}

/// All limits.
pub(super) fn limits(skeleton: &Skeleton, groups: &Groups, ranges: &Ranges, headroom: f64, bits: Bits) -> Vec<Limit> {
    let mut values: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    let mut weights: HashMap<(usize, usize), (f64, usize)> = HashMap::new();
    for (id, node) in skeleton.nodes.iter().enumerate() {
        let mut bound = |group: usize, bits: f64, range: f64| {
            // A value that is `h` bits above its range becomes `2 h` bits above it when squared.
            let room = headroom * f64::from(groups.root(group).1);
            let limit = bits - DROP_MARGIN - room - range.log2();
            let entry = values.entry(group).or_insert((limit, id));
            if limit < entry.0 {
                *entry = (limit, id);
            }
        };
        for (group, range) in groups.of_channel[id].iter().zip(&ranges.of_channel[id]) {
            bound(*group, f64::from(VALUE_BITS), *range);
        }
        match node.kind {
            // Its scale is free like an accumulator's, but what follows compares no more bits of it than of others.
            Kind::Input if skeleton.compares() => {
                let channels = groups.of_channel[id].iter().zip(&ranges.of_channel[id]);
                channels.for_each(|(group, range)| bound(*group, bits.compared + INPUT_BITS, *range));
            }
            // Compared are the bits that are left once the low ones are dropped.
            Kind::Relu => {
                let source = &ranges.of_channel[node.inputs[0]];
                groups.of_channel[id]
                    .iter()
                    .zip(source)
                    .for_each(|(group, range)| bound(*group, bits.compared, *range));
            }
            Kind::Maximum => {
                // The difference of two compared values has one bit more than they.
                for input in &node.inputs {
                    let source = groups.of_channel[*input].iter().zip(&ranges.of_channel[*input]);
                    source.for_each(|(group, range)| bound(*group, f64::from(VALUE_BITS - 1), *range));
                }
            }
            _ => {}
        }
        if let Kind::Linear(linear) = &node.kind {
            let shape = &linear.shape;
            let (per_group, taps) = (shape.channels_per_group(), shape.kernel[0] * shape.kernel[1]);
            for (index, kernel) in linear.weights.chunks_exact(taps).enumerate() {
                let (output, channel) = (index / per_group, index % per_group);
                let input = output / (shape.output.channels / shape.groups) * per_group + channel;
                let largest = kernel.iter().fold(0.0f64, |most, weight| most.max(weight.abs()));
                if largest > 0.0 {
                    let limit = bits.weights - largest.log2();
                    let pair = (groups.of_channel[id][output], groups.of_channel[node.inputs[0]][input]);
                    let entry = weights.entry(pair).or_insert((limit, id));
                    if limit < entry.0 {
                        *entry = (limit, id);
                    }
                }
            }
        }
    }
    let output = skeleton.nodes.len() - 1;
    let values = values.into_iter().map(|(group, (limit, node))| Limit { limit, node, slots: [(group, 1), (0, 0)] });
    let mut weights: Vec<_> = weights.into_iter().collect();
    weights.sort_by_key(|(pair, _)| *pair);
    let weights = weights.into_iter().map(|((output, input), (limit, node))| Limit {
        limit,
        node,
        slots: [(output, 1), (input, -1)],
    });
    // Input and output scales have to be declarable.
    let ends = [(groups.input, 0), (groups.output, output)];
    let ends = ends.into_iter().map(|(group, node)| Limit { limit: 62.0, node, slots: [(group, 1), (0, 0)] });
    values.chain(weights).chain(ends).collect()
}
