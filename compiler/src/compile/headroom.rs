//! What is left between the values that samples reach and those that a plan has bits for.

use rayon::prelude::*;
use tacit_engine::fixed_point::Evaluator;
use tacit_protocol::plan::Node;
use tacit_protocol::share::Share;

use super::CompiledModel;
use crate::quantize::Calibration;

/// Part of a bit that rounding may take, since the compiler reckons with exact values.
const ROUNDING: f64 = 0.25;

/// The calibration samples come closer to the bounds of a layer than its owner allows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "layer `{layer}`: the calibration inputs leave {left:.1} bits of headroom on the integers, less than the {asked} \
     asked for; lower --headroom, or normalise the activations around the layer"
)]
pub struct TooLittleHeadroom {
    layer: String,
    left: f64,
    asked: u32,
}

/// Absolute value of a ring element in two's complement.
pub(crate) fn magnitude(element: &u32) -> u32 {
    (*element as i32).unsigned_abs()
}

/// Largest magnitude of each node's value.
pub(crate) fn largest_magnitudes(values: &[Share]) -> Vec<u32> {
    values.iter().map(|value| value.iter().map(magnitude).max().unwrap_or(0)).collect()
}

/// Bits between a magnitude and the bound of a node, `2^(bits - 1)`. That of 0 is all that there are.
pub(crate) fn bits_left(node: &Node, magnitude: u32) -> f64 {
    f64::from(node.bits - 1) - f64::from(magnitude.max(1)).log2()
}

/// Holds the integers that calibration samples lead to against the headroom that was asked for. The compiler chooses
/// scales that leave it to exact values; what rounding adds where scales are very small is seen here.
pub(crate) fn check(compiled: &CompiledModel, calibration: &Calibration) -> Result<(), TooLittleHeadroom> {
    let evaluator = Evaluator::new(&compiled.plan, &compiled.parameters);
    let seen: Vec<Vec<u32>> = calibration
        .samples()
        .par_iter()
        .filter_map(|sample| compiled.plan.encode_input(sample).ok())
        .map(|input| largest_magnitudes(&evaluator.values(&input)))
        .collect();
    let asked = compiled.report.headroom_bits;
    for layer in &compiled.report.layers {
        let largest = seen.iter().map(|magnitudes| magnitudes[layer.node]).max().unwrap_or(0);
        let left = bits_left(&compiled.plan.nodes[layer.node], largest);
        if left < f64::from(asked) - ROUNDING {
            return Err(TooLittleHeadroom { layer: layer.name.clone(), left, asked });
        }
    }
    Ok(())
}
