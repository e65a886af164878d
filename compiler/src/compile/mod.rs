//! Compiling: float graph to public plan and secret parameters.

mod build;
mod class;
mod comparison;
mod error;
mod headroom;
mod report;

use std::sync::Arc;

use rayon::prelude::*;
use tacit_protocol::plan::ExtensionKind;
use tacit_protocol::plan::{InputSpec, OutputSpec, Plan};

use crate::graph::Graph;
use crate::merge::merge;
use crate::quantize::objective::Bits;
use crate::quantize::ranges::Ranges;
use crate::quantize::scaling::Groups;
use crate::quantize::search::find_scales;
use crate::quantize::sensitivity::Sensitivity;
use crate::quantize::skeleton::Skeleton;
use crate::quantize::{Calibration, VALUE_BITS};
use tacit_engine::Parameters;
use tacit_engine::fixed_point::Evaluator;
use tacit_engine::prepared::PreparedModel;

pub use comparison::{Comparison, compare};
pub use error::CompileError;
pub use headroom::TooLittleHeadroom;
pub use report::{Accuracy, CompileReport, LayerReport};

/// Most samples that the values of all layers are kept for.
const MAX_SAMPLES: usize = 64;
/// Most layer values kept in memory, all samples together.
const MAX_VALUES: usize = 1 << 25;
/// Calibration samples below which means are not trusted and the owner is warned.
const MIN_SAMPLES: usize = 16;
/// Part of the logits' size from which on the expected error is worth a warning.
const LARGE_ERROR: f64 = 0.05;
/// Inputs drawn where there are no calibration samples.
const DRAWN_SAMPLES: usize = 16;

/// Choices of the model's owner.
#[derive(Clone, Debug, PartialEq)]
pub struct CompileOptions {
    /// Bits between the largest value seen in calibration and what can be represented.
    pub headroom_bits: u32,
    /// Smallest and largest input value. By default from the calibration samples, `[0, 1]` if they lie in it or if there
    /// are none.
    pub input_range: Option<(f32, f32)>,
    /// Bits that a ReLU compares and keeps, the sign apart: more cost more transfers and bytes.
    pub compared_bits: u32,
    /// Bits of weights where values are compared, the sign apart, 8 to 15: more make the encryption dearer.
    pub weight_bits: u32,
    /// Most round trips of a comparison, 2 or 3; with 3 wide comparisons need fewer bytes of preprocessing.
    pub comparison_round_trips: u32,
    /// How random transfers are made: fewer bytes, less computation, or fewer assumptions.
    pub transfers: ExtensionKind,
    /// What the client gets.
    pub answer: Answer,
}

/// What the client gets of the network's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// All logits.
    #[default]
    Logits,
    /// The index of the largest logit only, computed under the protocol.
    Class,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            headroom_bits: 1,
            input_range: None,
            compared_bits: 12,
            weight_bits: 11,
            comparison_round_trips: 2,
            transfers: ExtensionKind::DEFAULT,
            answer: Answer::Logits,
        }
    }
}

/// A compiled network.
#[derive(Clone, Debug)]
pub struct CompiledModel {
    /// What both parties follow; public.
    pub plan: Arc<Plan>,
    /// Integer weights and biases; secret.
    pub parameters: Parameters,
    /// What was done, for the owner.
    pub report: CompileReport,
    /// Calibration leaves less headroom than was asked for: the model can be looked at, but [`Self::prepare`] refuses it.
    pub too_little_headroom: Option<TooLittleHeadroom>,
}

impl CompiledModel {
    /// Makes the model ready to be served, with at most `weight_memory` bytes of weights held as the HE engine
    /// multiplies them; the others are transformed for every session.
    ///
    /// # Errors
    /// [`CompileError`] if calibration leaves too little headroom, or if the noise bound of a layer does not hold.
    pub fn prepare(&self, weight_memory: usize) -> Result<PreparedModel, CompileError> {
        if let Some(error) = self.too_little_headroom.clone() {
            return Err(error.into());
        }
        Ok(PreparedModel::with_memory(&self.plan, &self.parameters, weight_memory)?)
    }
}

/// Merges, calibrates and quantises a network.
///
/// # Errors
/// [`CompileError`] names the layer and what to do.
pub fn compile(
    graph: Graph,
    calibration: Option<&Calibration>,
    options: &CompileOptions,
) -> Result<CompiledModel, CompileError> {
    graph.validate()?;
    let elements = graph.layers[0].shape.elements();
    if let Some(found) = calibration.map(Calibration::elements).filter(|found| *found != elements) {
        return Err(CompileError::CalibrationLength { expected: elements, found });
    }
    if options.headroom_bits > VALUE_BITS / 2 {
        return Err(CompileError::HeadroomBits(options.headroom_bits));
    }
    let mut warnings = Vec::new();
    let (low, high) = input_range(calibration, options, &mut warnings)?;
    let input = InputSpec { name: graph.input_name.clone(), dimensions: graph.input_dimensions.clone(), low, high };
    let output = OutputSpec {
        name: graph.output_name.clone(),
        dimensions: graph.output_dimensions.clone(),
        labels: graph.labels.clone(),
        function: graph.output_function,
    };
    let (graph, merges) = merge(graph)?;
    let skeleton = Skeleton::of_graph(&graph)?;
    let groups = Groups::of_skeleton(&skeleton)?;
    let samples = balancing_samples(&skeleton, calibration, (low, high));
    let values: Vec<Vec<Vec<f64>>> = samples.par_iter().map(|sample| skeleton.evaluate(sample)).collect();
    let ranges = measure_ranges(&skeleton, calibration, &values, (low, high))?;
    let correct_biases = calibration.is_some() && samples.len() >= MIN_SAMPLES;
    let sensitivity = Sensitivity::new(&skeleton, &values, correct_biases);
    let weight_bits = if skeleton.compares() { options.weight_bits.clamp(8, 15) } else { 15 };
    let bits =
        Bits { weights: (f64::from(weight_bits).exp2() - 1.0).log2(), compared: f64::from(options.compared_bits) };
    let scales = find_scales(&skeleton, &groups, &ranges, &sensitivity, options.headroom_bits, bits)?;
    warn_of_errors(scales.expected_error, &values, &mut warnings);
    let builder = build::Builder {
        skeleton: &skeleton,
        groups: &groups,
        ranges: &ranges,
        scales: &scales,
        options,
        samples: &samples,
        values: &values,
        correct_biases,
    };
    let mut built = builder.build(input, output)?;
    built.plan.validate()?;
    let accuracy = calibration.map(|_| measure(&built.plan, &built.parameters, &samples, &values));
    if options.answer == Answer::Class {
        class::reveal_class_only(&mut built.plan, &mut built.parameters, options)?;
        built.plan.validate()?;
    }
    let report = CompileReport {
        merges,
        layers: built.layers,
        expected_error: scales.expected_error,
        accuracy,
        headroom_bits: options.headroom_bits,
        warnings,
    };
    let mut compiled =
        CompiledModel { plan: Arc::new(built.plan), parameters: built.parameters, report, too_little_headroom: None };
    compiled.too_little_headroom = calibration.and_then(|samples| headroom::check(&compiled, samples).err());
    Ok(compiled)
}

/// Smallest and largest accepted input value.
fn input_range(
    calibration: Option<&Calibration>,
    options: &CompileOptions,
    warnings: &mut Vec<String>,
) -> Result<(f32, f32), CompileError> {
    let seen = calibration.map(Calibration::range);
    let (low, high) = match (options.input_range, seen) {
        (Some(range), _) => range,
        (None, Some((low, high))) if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        // A tenth more on each side: samples rarely hold the extremes of all channels.
        (None, Some((low, high))) => (low - (high - low) / 10.0, high + (high - low) / 10.0),
        (None, None) => {
            warnings.push("no calibration samples: inputs are taken to lie in [0, 1]".to_string());
            (0.0, 1.0)
        }
    };
    if calibration.is_none() {
        warnings.push(
            "no calibration samples: ranges come from interval analysis, which wastes bits, and errors are balanced for \
             inputs drawn evenly from the input range; give calibration samples for good accuracy"
                .to_string(),
        );
    }
    if let Some(count) = calibration.map(Calibration::len).filter(|count| *count < MIN_SAMPLES) {
        warnings.push(format!(
            "{count} calibration samples are few: other inputs may leave the ranges seen; give {MIN_SAMPLES} or more"
        ));
    }
    // A range of one value, for example of blank samples, still needs an interval.
    let (low, high) = if low == high { (low.min(0.0), high.max(1.0)) } else { (low, high) };
    let outside = seen.is_some_and(|seen| seen.0 < low || seen.1 > high);
    if !(low.is_finite() && high.is_finite() && low < high) || outside {
        return Err(CompileError::InputRange { low, high });
    }
    Ok((low, high))
}

/// Warns if the expected error is large against the logits.
fn warn_of_errors(expected: f64, values: &[Vec<Vec<f64>>], warnings: &mut Vec<String>) {
    let logits = values.iter().filter_map(|values| values.last()).flatten();
    let (sum, count) = logits.fold((0.0, 0.0), |(sum, count), logit| (sum + logit * logit, count + 1.0));
    let size = (sum / f64::max(count, 1.0)).sqrt();
    if expected.is_nan() || expected > LARGE_ERROR * size {
        warnings.push(format!(
            "the expected error of a logit, {expected:.1e}, is large against the logits, {size:.1e}: calibrate with samples \
             of real inputs, or normalise the activations"
        ));
    }
}

/// Most inputs on which errors are balanced: of that many all values are kept.
fn balancing_count(skeleton: &Skeleton) -> usize {
    let elements: usize = skeleton.nodes.iter().map(|node| node.shape.elements()).sum();
    (MAX_VALUES / elements.max(1)).clamp(2, MAX_SAMPLES)
}

/// Inputs on which errors are balanced.
fn balancing_samples(skeleton: &Skeleton, calibration: Option<&Calibration>, range: (f32, f32)) -> Vec<Vec<f64>> {
    let count = balancing_count(skeleton);
    match calibration {
        Some(calibration) => {
            let step = calibration.len().div_ceil(count);
            calibration.samples().iter().step_by(step).map(|sample| widened(sample)).collect()
        }
        None => {
            let (low, high) = (f64::from(range.0), f64::from(range.1));
            let mut state = 1u64;
            let mut draw = || {
                // Knuth's linear congruential generator: these inputs only weigh errors against each other.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                low + (high - low) * (state >> 11) as f64 / (1u64 << 53) as f64
            };
            let length = skeleton.nodes[0].shape.elements();
            (0..count.min(DRAWN_SAMPLES)).map(|_| (0..length).map(|_| draw()).collect()).collect()
        }
    }
}

/// Ranges of all values. `balancing` are those of the balancing samples, which are not evaluated again.
fn measure_ranges(
    skeleton: &Skeleton,
    calibration: Option<&Calibration>,
    balancing: &[Vec<Vec<f64>>],
    (low, high): (f32, f32),
) -> Result<Ranges, CompileError> {
    let ranges = match calibration {
        Some(calibration) => {
            let step = calibration.len().div_ceil(balancing_count(skeleton));
            let others = calibration.samples().par_iter().enumerate().filter(|(index, _)| index % step != 0);
            let of_other = |(_, sample): (usize, &Vec<f32>)| {
                Ranges::from_values(skeleton, std::iter::once(&skeleton.evaluate(&widened(sample))))
            };
            let mut seen: Vec<Option<Ranges>> = others.map(of_other).collect();
            seen.push(Ranges::from_values(skeleton, balancing.iter()));
            seen.into_iter().collect::<Option<Vec<Ranges>>>().and_then(Ranges::join)
        }
        None => Ranges::from_intervals(skeleton, f64::from(low), f64::from(high)),
    };
    let mut ranges = ranges.ok_or(CompileError::NotFinite)?;
    // The whole input range has to fit, not only what was seen.
    let input = f64::from(low.abs().max(high.abs()));
    ranges.of_channel[0].iter_mut().for_each(|range| *range = range.max(input));
    Ok(ranges)
}

fn widened(sample: &[f32]) -> Vec<f64> {
    sample.iter().map(|value| f64::from(*value)).collect()
}

/// Compares the fixed-point logits of the samples with the float ones.
fn measure(plan: &Plan, parameters: &Parameters, samples: &[Vec<f64>], values: &[Vec<Vec<f64>>]) -> Accuracy {
    let evaluator = Evaluator::new(plan, parameters);
    let differences: Vec<(f64, f64, bool)> =
        samples
            .par_iter()
            .zip(values)
            .map(|(sample, values)| {
                let sample: Vec<f32> = sample.iter().map(|value| *value as f32).collect();
                let Ok(input) = plan.encode_input(&sample) else { return (f64::INFINITY, f64::INFINITY, false) };
                let logits = plan.decode_output(&evaluator.logits(&input));
                let Some(exact) = values.last() else { return (f64::INFINITY, f64::INFINITY, false) };
                let differences = exact.iter().zip(&logits).map(|(exact, got)| (exact - f64::from(*got)).abs());
                let (sum, most) = differences.fold((0.0, 0.0f64), |(sum, most), value| (sum + value, most.max(value)));
                let class =
                    |values: &mut dyn Iterator<Item = f64>| {
                        values.enumerate().fold((0, f64::NEG_INFINITY), |best, (index, value)| {
                            if value > best.1 { (index, value) } else { best }
                        })
                    };
                let same = class(&mut exact.iter().copied()).0 == class(&mut logits.iter().map(|x| f64::from(*x))).0;
                (sum / exact.len() as f64, most, same)
            })
            .collect();
    let count = differences.len();
    Accuracy {
        samples: count,
        mean_difference: differences.iter().map(|item| item.0).sum::<f64>() / count.max(1) as f64,
        largest_difference: differences.iter().fold(0.0, |most, item| item.1.max(most)),
        same_class: differences.iter().filter(|item| item.2).count(),
    }
}

#[cfg(test)]
mod tests;
