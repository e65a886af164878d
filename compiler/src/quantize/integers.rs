//! Rounding weights and biases.

use tacit_protocol::share::Share;

use super::QuantizeError;
use crate::graph::{Bias, FloatLinear};
use tacit_engine::{LinearParameters, RingBias};

/// Integer weights `round(w * S_out / S_in)` and the bias at the accumulators' scale.
///
/// `input` and `output` are the binary logarithms of the channels' scales. A weight may exceed 16 bits by the rounding of
/// the scales only, and is then cut.
pub(crate) fn quantize_linear(
    name: &str,
    linear: &FloatLinear,
    input: &[f64],
    output: &[f64],
) -> Result<LinearParameters, QuantizeError> {
    let shape = &linear.shape;
    let (per_group, taps) = (shape.channels_per_group(), shape.kernel[0] * shape.kernel[1]);
    let outputs_per_group = shape.output.channels / shape.groups;
    let mut weights = Vec::with_capacity(linear.weights.len());
    for (index, kernel) in linear.weights.chunks_exact(taps).enumerate() {
        let (channel, source) = (index / per_group, index % per_group);
        let factor = (output[channel] - input[channel / outputs_per_group * per_group + source]).exp2();
        for weight in kernel {
            let scaled = if *weight == 0.0 { 0.0 } else { (weight * factor).round() };
            if scaled.is_nan() || scaled.abs() > f64::from(i16::MAX) + 1.0 {
                return Err(QuantizeError::layer(name, "its weights do not fit 16 bits"));
            }
            weights.push(scaled.clamp(-f64::from(i16::MAX), f64::from(i16::MAX)) as i16);
        }
    }
    let bias = match &linear.bias {
        Bias::PerChannel(bias) => {
            let values = bias.iter().zip(output).map(|(value, scale)| ring(name, value * scale.exp2()));
            RingBias::PerChannel(values.collect::<Result<_, _>>()?)
        }
        Bias::PerElement(bias) => quantize_offset(name, bias, output)?,
    };
    Ok(LinearParameters { weights, bias })
}

/// One constant per element, at the scales of the channels, whose binary logarithms `scales` are.
pub(crate) fn quantize_offset(name: &str, constants: &[f64], scales: &[f64]) -> Result<RingBias, QuantizeError> {
    let area = constants.len() / scales.len().max(1);
    let values = constants.iter().enumerate().map(|(index, value)| ring(name, value * scales[index / area].exp2()));
    Ok(RingBias::PerElement(values.collect::<Result<_, _>>()?))
}

/// A bias modulo `2^32`. It may be larger than the accumulator that it is part of, but not without bound.
fn ring(name: &str, value: f64) -> Result<u32, QuantizeError> {
    if value.is_nan() || value.abs() > 2f64.powi(48) {
        return Err(QuantizeError::layer(name, "its bias is too large for the size of its values"));
    }
    Ok(value.round() as i64 as u32)
}

/// Moves the bias of each channel by the mean difference between the exact accumulators and those of the samples: this
/// cancels the mean of all rounding errors up to here.
///
/// `exact` are the float values and `got` the accumulators of each sample, `scales` the binary logarithms of the scales.
pub(crate) fn correct_bias(
    parameters: &mut LinearParameters,
    area: usize,
    scales: &[f64],
    exact: &[&[f64]],
    got: &[&Share],
) {
    let correction = |channel: usize| {
        let scale = scales[channel].exp2();
        let mut sum = 0.0;
        for (exact, got) in exact.iter().zip(got) {
            let range = channel * area..(channel + 1) * area;
            let pairs = exact[range.clone()].iter().zip(&got[range]);
            sum += pairs.map(|(exact, got)| exact * scale - f64::from(*got as i32)).sum::<f64>();
        }
        (sum / (area * exact.len()).max(1) as f64).round() as i64 as u32
    };
    match &mut parameters.bias {
        RingBias::PerChannel(values) => {
            values.iter_mut().enumerate().for_each(|(channel, value)| *value = value.wrapping_add(correction(channel)));
        }
        RingBias::PerElement(values) => {
            for (channel, plane) in values.chunks_exact_mut(area).enumerate() {
                let correction = correction(channel);
                plane.iter_mut().for_each(|value| *value = value.wrapping_add(correction));
            }
        }
    }
}
