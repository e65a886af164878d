//! `Clip` and what consists of it: `HardSigmoid`, `HardSwish`.

use super::emit::{add, named, relu, subtract, with};
use crate::graph::{LayerId, Operator};
use crate::onnx::layers::{Clipped, Layers};
use crate::onnx::node::Node;
use crate::onnx::polynomial::{Activation, Polynomial};
use tacit_protocol::plan::Shape;

/// `Clip`, with its bounds as attributes or as inputs; either may be left out or infinite.
pub(super) fn clip(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let bound = |attribute: &str, input: usize, none: f64| {
        let value = match (node.float(attribute)?, node.constant(input, "a bound")?) {
            (Some(value), _) => Some(value),
            (None, Some(constant)) => Some(constant.scalar().ok_or("has a bound that is not a scalar")?),
            (None, None) => None,
        };
        // Exporters write the largest float32 for no bound.
        let finite = value.filter(|value| value.is_nan() || (*value != none && *value != finite_end(none)));
        Ok::<_, String>(finite)
    };
    let low = bound("min", 1, f64::NEG_INFINITY)?;
    let high = bound("max", 2, f64::INFINITY)?;
    if low.into_iter().chain(high).any(|bound| !bound.is_finite()) {
        return Err("has a bound that is not a finite number".to_owned());
    }
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        return Err("has a lower bound above the upper one".to_owned());
    }
    let (low, high) = (low.map(|low| [low]), high.map(|high| [high]));
    between(
        layers,
        node,
        node.activation(0)?,
        low.as_ref().map(<[_; 1]>::as_slice),
        high.as_ref().map(<[_; 1]>::as_slice),
    )
}

/// The finite number of float32 next to an infinite one.
fn finite_end(infinite: f64) -> f64 {
    f64::from(f32::MAX).copysign(infinite)
}

/// `max(0, min(1, alpha * x + beta))`.
pub(super) fn hard_sigmoid(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let x = node.activation(0)?;
    let alpha = node.float("alpha")?.unwrap_or(f64::from(0.2_f32));
    let beta = node.float("beta")?.unwrap_or(0.5);
    let line = with(layers, node, x, x.polynomial.scaled(&[alpha]).shifted(&[beta]))?;
    between(layers, node, &line, Some(&[0.0]), Some(&[1.0]))
}

/// `x * max(0, min(6, x + 3)) / 6`.
pub(super) fn hard_swish(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    // The factor has to be a multiple of what is clipped, and that of a layer.
    let layer = layers.materialise(node.activation(0)?)?;
    let x = Activation { polynomial: Polynomial::identity(layer).into(), ..node.activation(0)?.clone() };
    let line = with(layers, node, &x, x.polynomial.shifted(&[3.0]))?;
    let gate = between(layers, node, &line, Some(&[0.0]), Some(&[6.0]))?;
    let gate = with(layers, node, &gate, gate.polynomial.scaled(&[1.0 / 6.0]))?;
    times_clipped(layers, node, &x, &gate)?.ok_or_else(|| "is not a product with a clipped value".to_owned())
}

/// `min(max(x, low), high)`, with one bound for each channel or for all.
pub(super) fn between(
    layers: &mut Layers,
    node: &Node<'_>,
    x: &Activation,
    low: Option<&[f64]>,
    high: Option<&[f64]>,
) -> Result<Activation, String> {
    let negated = |bound: &[f64]| bound.iter().map(|bound| -bound).collect::<Vec<_>>();
    match (low, high) {
        (None, None) => Ok(named(node, x.clone())),
        (Some(low), None) => {
            let above = with(layers, node, x, x.polynomial.shifted(&negated(low)))?;
            let above = relu(layers, node, &above)?;
            with(layers, node, &above, above.polynomial.shifted(low))
        }
        (None, Some(high)) => {
            let below = with(layers, node, x, x.polynomial.negated().shifted(high))?;
            let below = relu(layers, node, &below)?;
            with(layers, node, &below, below.polynomial.negated().shifted(high))
        }
        (Some(low), Some(high)) => {
            let above = |layers: &mut Layers, bound: &[f64]| {
                let difference = with(layers, node, x, x.polynomial.shifted(&negated(bound)))?;
                layers.materialise(&difference)
            };
            let inputs = [above(layers, low)?, above(layers, high)?];
            let [above_low, above_high] = both_relu(layers, node, inputs)?;
            let part = |layers: &Layers, layer| layers.identity(layer, x.dims.clone(), x.order.clone());
            let (from, to) = (part(layers, above_low), part(layers, above_high));
            let clipped = subtract(layers, node, &from, &to)?;
            if low.iter().all(|&low| low == 0.0) {
                layers.charge(high.len())?;
                let known = Clipped { value: x.polynomial.clone(), high: high.to_vec(), above: above_high };
                layers.remember_clipped(clipped.polynomial.base, known);
            }
            with(layers, node, &clipped, clipped.polynomial.shifted(low))
        }
    }
}

/// `max(x, 0)` of two layers of the same shape, as a single layer: both take the same round trips.
fn both_relu(layers: &mut Layers, node: &Node<'_>, inputs: [LayerId; 2]) -> Result<[LayerId; 2], String> {
    let one = layers.shape(inputs[0]);
    let two = Shape { channels: 2 * one.channels, ..one };
    let joined = layers.push_layer(node, Operator::Concat, inputs.to_vec(), two)?;
    let positive = layers.push_layer(node, Operator::Relu, vec![joined], two)?;
    let mut half = |start| layers.push_layer(node, Operator::Slice { start }, vec![positive], one);
    Ok([half(0)?, half(one.channels)?])
}

/// `x * y` where `y` is `scale * c + shift` with `c = min(max(u, 0), h)`, and `x` is `factor * u + offset`, as in the
/// hard swish of exporters that know no such operator; `None` if the two are not of that form.
///
/// No product of two secrets but a square is needed: `u * c = c^2 + h * max(u - h, 0)`.
pub(super) fn times_clipped(
    layers: &mut Layers,
    node: &Node<'_>,
    x: &Activation,
    y: &Activation,
) -> Result<Option<Activation>, String> {
    let Some(Clipped { value: u, high, above }) = layers.clipped(y.polynomial.base).cloned() else {
        return Ok(None);
    };
    let rebased = layers.rebased(x);
    let Some(line) = [x, &rebased].map(|x| &x.polynomial).into_iter().find(|x| x.base == u.base) else {
        return Ok(None);
    };
    if u.degree() != 1 || line.degree() > 1 || y.polynomial.degree() > 1 || u.linear.contains(&0.0) {
        return Ok(None);
    }
    let inverse: Vec<f64> = u.linear.iter().map(|slope| 1.0 / slope).collect();
    // x = factor * u + offset
    let factor = line.scaled(&inverse).linear;
    let in_base = u.scaled(&factor).negated();
    let offset = line.add(&in_base).constant;
    // x * c = factor * c^2 + offset * c + factor * high * max(u - high, 0)
    let identity = Polynomial::identity(y.polynomial.base);
    let square = identity.product(&identity).ok_or("makes a polynomial of too high a degree")?;
    let scale = &y.polynomial.linear;
    let inside = square.scaled(&factor).add(&identity.scaled(&offset)).scaled(scale);
    let outside = Polynomial::identity(above).scaled(&factor).scaled(&high).scaled(scale);
    let inside = with(layers, node, y, inside)?;
    let outside = with(layers, node, y, outside)?;
    let product = add(layers, node, &inside, &outside)?;
    if y.polynomial.constant.iter().all(|&shift| shift == 0.0) {
        return Ok(Some(product));
    }
    let shifted = with(layers, node, x, x.polynomial.scaled(&y.polynomial.constant))?;
    add(layers, node, &product, &shifted).map(Some)
}
