//! `Relu` and what consists of it: `LeakyRelu`, `PRelu`, `Max`, `Min`.

use super::clip;
use super::emit::{add, check_same_dimensions, named, relu, subtract, with};
use super::operand::per_channel;
use crate::onnx::layers::Layers;
use crate::onnx::node::{Node, Value};
use crate::onnx::polynomial::Activation;

/// `LeakyRelu`.
pub(super) fn leaky(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let slope = node.float("alpha")?.unwrap_or(f64::from(0.01_f32));
    with_slope(layers, node, node.activation(0)?, &[slope])
}

/// `PRelu` with a constant slope.
pub(super) fn parametric(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let x = node.activation(0)?;
    let slope = node.required_constant(1, "the slope")?.clone();
    let slope = per_channel(layers, &slope, x, "the slope")?;
    with_slope(layers, node, x, &slope)
}

/// `x` where it is positive and `slope * x` elsewhere: `(1 - slope) max(x, 0) + slope * x`.
fn with_slope(layers: &mut Layers, node: &Node<'_>, x: &Activation, slope: &[f64]) -> Result<Activation, String> {
    if slope.iter().all(|&slope| slope == 1.0) {
        return Ok(named(node, x.clone()));
    }
    let positive = relu(layers, node, x)?;
    if slope.iter().all(|&slope| slope == 0.0) {
        return Ok(positive);
    }
    let rest: Vec<f64> = slope.iter().map(|slope| 1.0 - slope).collect();
    let positive = with(layers, node, &positive, positive.polynomial.scaled(&rest))?;
    let x = layers.rebased(x);
    let straight = with(layers, node, &x, x.polynomial.scaled(slope))?;
    add(layers, node, &positive, &straight)
}

/// `Max` and `Min` of layers' values and constants.
pub(super) fn extremum(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let largest = node.operator() == "Max";
    let mut found: Option<Activation> = None;
    for value in node.inputs.iter().flatten() {
        let Value::Activation(y) = value else { continue };
        found = Some(match found {
            None => named(node, y.clone()),
            Some(x) => {
                // max(x, y) = y + max(x - y, 0), min(x, y) = x - max(x - y, 0)
                check_same_dimensions(&x, y)?;
                let difference = subtract(layers, node, &x, y)?;
                let above = relu(layers, node, &difference)?;
                if largest { add(layers, node, y, &above)? } else { subtract(layers, node, &x, &above)? }
            }
        });
    }
    let mut found = found.ok_or("has no inputs")?;
    for value in node.inputs.iter().flatten() {
        if let Value::Constant(bound) = value {
            let bound = Some(per_channel(layers, bound, &found, "a bound")?);
            let (low, high) = if largest { (bound, None) } else { (None, bound) };
            found = clip::between(layers, node, &found, low.as_deref(), high.as_deref())?;
        }
    }
    Ok(found)
}
