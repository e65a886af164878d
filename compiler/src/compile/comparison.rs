//! How far inputs that were not used for calibration leave what calibration found.

use std::fmt::{self, Display};

use rayon::prelude::*;
use serde::Serialize;
use tacit_engine::fixed_point::Evaluator;
use tacit_protocol::plan::Plan;

use super::headroom::{bits_left, largest_magnitudes, magnitude};
use super::{CompileError, CompiledModel, LayerReport};
use crate::graph::Graph;
use crate::quantize::Calibration;

/// A calibration set against an independent one, on the integers that private inference computes with.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Independent samples in all.
    pub samples: usize,
    /// Of them, those outside the input range: a client refuses them. They are left out of the rest.
    refused: usize,
    /// Of them, those that leave the bits of the plan at some node.
    pub overflowing: usize,
    /// Of them, those with the class of plain inference.
    same_class: usize,
    /// Logits against those of plain inference; none if classes only are revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<Distance>,
    layers: Vec<LayerComparison>,
}

/// Absolute differences of logits.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Distance {
    mean: f64,
    largest: f64,
}

/// One linear layer.
#[derive(Debug, Serialize)]
struct LayerComparison {
    node: usize,
    name: String,
    bits: u32,
    /// Bits between the largest value of the calibration samples and the largest that the plan allows.
    calibration_headroom: f64,
    /// The same for the independent samples; negative where they leave the plan's bits.
    independent_headroom: f64,
    /// Values of the independent samples that are larger than any of the calibration samples.
    values_beyond: usize,
    /// Values of the independent samples.
    values: usize,
}

/// What one sample does at each node, and in the end. Integers wrap at 32 bits: a value that is three to five times the bound
/// of a node of 31 bits looks small, which others of the same sample that are nearer to the bound, and its logits, give away.
struct Observation {
    /// Largest absolute value of each node.
    magnitudes: Vec<u32>,
    /// Values of each node that are larger than any of the calibration samples.
    beyond: Vec<usize>,
    same_class: bool,
    logits: Option<Distance>,
}

/// Compares the calibration samples with independent ones.
///
/// # Errors
/// [`CompileError::CalibrationLength`] if the samples do not fit the network.
pub fn compare(
    graph: &Graph,
    compiled: &CompiledModel,
    calibration: &Calibration,
    independent: &Calibration,
) -> Result<Comparison, CompileError> {
    let (expected, found) = (compiled.plan.input_shape().elements(), independent.elements());
    if expected != found {
        return Err(CompileError::CalibrationLength { expected, found });
    }
    let nothing = vec![0; compiled.plan.nodes.len()];
    let evaluator = Evaluator::new(&compiled.plan, &compiled.parameters);
    let seen = |sample: &Vec<f32>| observe(graph, &compiled.plan, &evaluator, sample, &nothing);
    let seen: Vec<Observation> = calibration.samples().par_iter().filter_map(seen).collect();
    let seen = largest(&nothing, &seen);
    let observe = |sample: &Vec<f32>| observe(graph, &compiled.plan, &evaluator, sample, &seen);
    let observed: Vec<Observation> = independent.samples().par_iter().filter_map(observe).collect();
    Ok(Comparison::new(compiled, independent.len(), &seen, &observed))
}

impl Comparison {
    /// Of samples in all, largest magnitudes of the calibration samples, and what those did that a client accepts.
    fn new(compiled: &CompiledModel, samples: usize, seen: &[u32], observed: &[Observation]) -> Self {
        let nodes = &compiled.plan.nodes;
        let count = |holds: &dyn Fn(&Observation) -> bool| observed.iter().filter(|sample| holds(sample)).count();
        let overflows = |sample: &Observation| {
            nodes.iter().zip(&sample.magnitudes).any(|(node, most)| *most >> (node.bits - 1) > 0)
        };
        let reached = largest(&vec![0; nodes.len()], observed);
        let layer = |layer: &LayerReport| {
            let node = &nodes[layer.node];
            LayerComparison {
                node: layer.node,
                name: layer.name.clone(),
                bits: node.bits,
                calibration_headroom: bits_left(node, seen[layer.node]),
                independent_headroom: bits_left(node, reached[layer.node]),
                values_beyond: observed.iter().map(|sample| sample.beyond[layer.node]).sum(),
                values: observed.len() * node.shape.elements(),
            }
        };
        let logits: Vec<Distance> = observed.iter().filter_map(|sample| sample.logits).collect();
        Self {
            samples,
            refused: samples - observed.len(),
            overflowing: count(&overflows),
            same_class: count(&|sample| sample.same_class),
            logits: (!logits.is_empty()).then(|| Distance {
                mean: logits.iter().map(|logits| logits.mean).sum::<f64>() / logits.len() as f64,
                largest: logits.iter().map(|logits| logits.largest).fold(0.0, f64::max),
            }),
            layers: compiled.report.layers.iter().map(layer).collect(),
        }
    }
}

/// Evaluates a sample in fixed point and in floats; nothing if it is outside the input range.
fn observe(graph: &Graph, plan: &Plan, evaluator: &Evaluator<'_>, sample: &[f32], seen: &[u32]) -> Option<Observation> {
    let input = plan.encode_input(sample).ok()?;
    let plain = graph.evaluate(sample).ok()?;
    let values = evaluator.values(&input);
    let beyond = values.iter().zip(seen).map(|(value, most)| value.iter().filter(|x| magnitude(x) > *most).count());
    let answer = values.last()?;
    let (class, logits) = match plan.decode_class(answer) {
        Some(class) => (class, None),
        None => {
            let logits = plan.decode_output(answer);
            (largest_index(&logits), Some(distance(&logits, &plain)))
        }
    };
    Some(Observation {
        magnitudes: largest_magnitudes(&values),
        beyond: beyond.collect(),
        same_class: class == largest_index(&plain),
        logits,
    })
}

/// The largest magnitude at each node, of `start` and all samples.
fn largest(start: &[u32], samples: &[Observation]) -> Vec<u32> {
    samples.iter().fold(start.to_vec(), |mut most, sample| {
        most.iter_mut().zip(&sample.magnitudes).for_each(|(most, magnitude)| *most = (*most).max(*magnitude));
        most
    })
}

fn distance(logits: &[f32], plain: &[f32]) -> Distance {
    let differences = logits.iter().zip(plain).map(|(left, right)| f64::from((left - right).abs()));
    let (sum, largest) = differences.fold((0.0, 0.0f64), |(sum, most), value| (sum + value, most.max(value)));
    Distance { mean: sum / logits.len() as f64, largest }
}

/// The first of the largest.
fn largest_index(values: &[f32]) -> usize {
    let best = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    values.iter().copied().enumerate().reduce(best).map_or(0, |(index, _)| index)
}

impl Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.layers.iter().map(|layer| format!("{:>3} {}", layer.node, layer.name)).collect();
        let title = "headroom in bits";
        let width = names.iter().map(|name| name.chars().count()).fold(title.len(), usize::max);
        writeln!(formatter, "{title:<width$}  calibration  independent  larger values than in calibration")?;
        for (layer, name) in self.layers.iter().zip(names) {
            writeln!(
                formatter,
                "{name:<width$}  {:>11.2}  {:>11.2}  {} of {}",
                layer.calibration_headroom, layer.independent_headroom, layer.values_beyond, layer.values
            )?;
        }
        writeln!(
            formatter,
            "\nof {} independent samples {} leave the bits of the plan, {} are outside the input range and would be refused",
            self.samples, self.overflowing, self.refused
        )?;
        write!(formatter, "same class as plain inference {}", self.same_class)?;
        match self.logits {
            Some(Distance { mean, largest }) => {
                writeln!(formatter, ", logits off by {mean:.2e} on average, {largest:.2e} at most")
            }
            None => writeln!(formatter),
        }
    }
}
