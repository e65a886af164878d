//! What several operators consist of: values as polynomials of a layer, sums, differences, ReLU.

use std::sync::Arc;

use crate::graph::Operator;
use crate::onnx::layers::Layers;
use crate::onnx::node::Node;
use crate::onnx::polynomial::{Activation, Polynomial};

/// The value under the name of the node that computes it.
pub(super) fn named(node: &Node<'_>, activation: Activation) -> Activation {
    Activation { name: node.name.clone(), ..activation }
}

/// A value of the dimensions of `activation`, computed by `node`.
pub(super) fn with(
    layers: &mut Layers,
    node: &Node<'_>,
    activation: &Activation,
    polynomial: Polynomial,
) -> Result<Activation, String> {
    layers.charge(polynomial.stored())?;
    Ok(Activation { polynomial: Arc::new(polynomial), ..named(node, activation.clone()) })
}

/// `max(x, 0)`.
pub(super) fn relu(layers: &mut Layers, node: &Node<'_>, x: &Activation) -> Result<Activation, String> {
    let layer = layers.materialise(x)?;
    layers.push_like(node, Operator::Relu, vec![layer], x)
}

/// The sum of two values.
pub(super) fn add(layers: &mut Layers, node: &Node<'_>, x: &Activation, y: &Activation) -> Result<Activation, String> {
    check_same_dimensions(x, y)?;
    if let Some((x, y)) = common_base(layers, x, y) {
        return with(layers, node, &x, x.polynomial.add(&y.polynomial));
    }
    let (x, y) = in_same_shape(layers, node, x, y)?;
    let inputs = vec![layers.materialise(&x)?, layers.materialise(&y)?];
    layers.push_like(node, Operator::Add, inputs, &x)
}

/// The first value less the second.
pub(super) fn subtract(
    layers: &mut Layers,
    node: &Node<'_>,
    x: &Activation,
    y: &Activation,
) -> Result<Activation, String> {
    check_same_dimensions(x, y)?;
    if let Some((x, y)) = common_base(layers, x, y) {
        return with(layers, node, &x, x.polynomial.add(&y.polynomial.negated()));
    }
    let (x, y) = in_same_shape(layers, node, x, y)?;
    let inputs = vec![layers.materialise(&x)?, layers.materialise(&y)?];
    layers.push_like(node, Operator::Subtract, inputs, &x)
}

/// Both values in terms of one layer, if that is possible.
pub(super) fn common_base(layers: &Layers, x: &Activation, y: &Activation) -> Option<(Activation, Activation)> {
    let base = |activation: &Activation| activation.polynomial.base;
    if base(x) == base(y) {
        return Some((x.clone(), y.clone()));
    }
    let (x_rebased, y_rebased) = (layers.rebased(x), layers.rebased(y));
    [(x, &y_rebased), (&x_rebased, y), (&x_rebased, &y_rebased)]
        .into_iter()
        .find(|(x, y)| base(x) == base(y))
        .map(|(x, y)| (x.clone(), y.clone()))
}

/// Checks that two values have the same dimensions, of which their elements are in the same order.
pub(super) fn check_same_dimensions(x: &Activation, y: &Activation) -> Result<(), String> {
    if x.dims != y.dims {
        return Err(format!(
            "takes values of dimensions {:?} and {:?}; two layers' values must have the same dimensions",
            x.dims, y.dims
        ));
    }
    if x.order != y.order {
        return Err("takes two values of which transpositions have permuted one only; supported are transpositions \
                    that cancel out"
            .to_owned());
    }
    Ok(())
}

/// Two values of the same dimensions and order on layers of the same shape.
fn in_same_shape(
    layers: &mut Layers,
    node: &Node<'_>,
    x: &Activation,
    y: &Activation,
) -> Result<(Activation, Activation), String> {
    let shape = |layers: &Layers, value: &Activation| layers.shape(value.polynomial.base);
    if shape(layers, x) == shape(layers, y) {
        return Ok((x.clone(), y.clone()));
    }
    if !x.order.is_straight() {
        return Err("takes two values that are stored in different ways".to_owned());
    }
    Ok((layers.in_shape(node, x)?, layers.in_shape(node, y)?))
}
