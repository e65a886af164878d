//! Elementwise arithmetic on activations: polynomials where possible, layers where not.

use super::clip;
use super::emit::{add, check_same_dimensions, common_base, named, subtract, with};
use super::layout::channels_first;
use super::operand::{Operand, operand};
use crate::graph::Operator;
use crate::onnx::layers::Layers;
use crate::onnx::node::{Node, Value};
use crate::onnx::order::Order;
use crate::onnx::polynomial::Activation;
use crate::onnx::tensor::Constant;
use tacit_protocol::plan::Shape;

/// `Add`, `Sub`, `Mul`, `Div`, `Pow` with at least one activation.
pub(super) fn binary(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    match (node.operator(), left, right) {
        ("Add", Value::Activation(x), Value::Activation(y)) => add(layers, node, x, y),
        ("Add", Value::Activation(x), Value::Constant(c)) | ("Add", Value::Constant(c), Value::Activation(x)) => {
            let addend = operand(layers, c, x)?;
            shift(layers, node, x, addend)
        }
        ("Sub", Value::Activation(x), Value::Activation(y)) => subtract(layers, node, x, y),
        ("Sub", Value::Activation(x), Value::Constant(c)) => {
            let addend = operand(layers, c, x)?.negated();
            shift(layers, node, x, addend)
        }
        ("Sub", Value::Constant(c), Value::Activation(x)) => {
            let negative = with(layers, node, x, x.polynomial.negated())?;
            let addend = operand(layers, c, x)?;
            shift(layers, node, &negative, addend)
        }
        ("Mul", Value::Activation(x), Value::Activation(y)) => multiply(layers, node, x, y),
        ("Mul", Value::Activation(x), Value::Constant(c)) | ("Mul", Value::Constant(c), Value::Activation(x)) => {
            scale(layers, node, x, c, |factor| factor)
        }
        ("Div", Value::Activation(_), Value::Constant(c)) if c.to_floats().contains(&0.0) => {
            Err("divides by zero".to_owned())
        }
        ("Div", Value::Activation(x), Value::Constant(c)) => scale(layers, node, x, c, |divisor| 1.0 / divisor),
        ("Div", _, _) => Err("divides by a layer's value; only division by a constant is supported".to_owned()),
        (_, Value::Activation(x), Value::Constant(c)) => power(layers, node, x, c),
        _ => {
            Err("has an exponent that depends on the network's input; only constant exponents are supported".to_owned())
        }
    }
}

/// `Neg`.
pub(super) fn negate(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let x = node.activation(0)?;
    with(layers, node, x, x.polynomial.negated())
}

/// `Sum` of any number of inputs.
pub(super) fn sum(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let mut activations = node.inputs.iter().flatten().filter_map(|value| match value {
        Value::Activation(activation) => Some(activation),
        Value::Constant(_) => None,
    });
    let first = activations.next().ok_or("has no inputs")?.clone();
    let mut total = named(node, first);
    for activation in activations {
        total = add(layers, node, &total, activation)?;
    }
    for value in node.inputs.iter().flatten() {
        if let Value::Constant(addend) = value {
            let addend = operand(layers, addend, &total)?;
            total = shift(layers, node, &total, addend)?;
        }
    }
    Ok(total)
}

fn shift(layers: &mut Layers, node: &Node<'_>, x: &Activation, addend: Operand) -> Result<Activation, String> {
    match addend {
        Operand::PerChannel(addend) => with(layers, node, x, x.polynomial.shifted(&addend)),
        Operand::PerElement(map) => {
            let layer = layers.materialise(x)?;
            layers.push_like(node, Operator::AddMap(map), vec![layer], x)
        }
    }
}

/// `x` times what `of` makes of each element of a constant.
fn scale(
    layers: &mut Layers,
    node: &Node<'_>,
    x: &Activation,
    constant: &Constant,
    of: fn(f64) -> f64,
) -> Result<Activation, String> {
    if let Operand::PerChannel(factor) = operand(layers, constant, x)? {
        let factor: Vec<f64> = factor.into_iter().map(of).collect();
        return with(layers, node, x, x.polynomial.scaled(&factor));
    }
    // One factor per channel where the channels are last in the layer, too: they have to be moved sooner or later.
    if let ([_, height, width, channels], true) = (&x.dims[..], x.order.is_straight()) {
        let image = Shape::new(*channels, *height, *width);
        let last_only = constant.dims.last() == Some(channels) && constant.len() == *channels;
        if last_only && constant.dims.len() <= x.dims.len() {
            let order = Order::channels_last(*channels, height * width);
            let first = channels_first(layers, node, x, image, order)?;
            let factor: Vec<f64> = constant.to_floats().into_iter().map(of).collect();
            return with(layers, node, &first, first.polynomial.scaled(&factor));
        }
    }
    Err("scales by a constant that differs between the elements of a channel; supported are scalars and one factor \
         per channel"
        .to_owned())
}

fn multiply(layers: &mut Layers, node: &Node<'_>, x: &Activation, y: &Activation) -> Result<Activation, String> {
    let secrets = || {
        "multiplies two values that both depend on the input; supported are constants and, as the product of two \
         secrets, the square of one value"
            .to_owned()
    };
    if x.dims != y.dims {
        return Err(secrets());
    }
    check_same_dimensions(x, y)?;
    let Some((x, y)) = common_base(layers, x, y) else {
        for (x, y) in [(x, y), (y, x)] {
            if let Some(product) = clip::times_clipped(layers, node, x, y)? {
                return Ok(product);
            }
        }
        return Err(secrets());
    };
    if let Some(product) = x.polynomial.product(&y.polynomial) {
        return with(layers, node, &x, product);
    }
    if x.polynomial != y.polynomial {
        let degree = x.polynomial.degree() + y.polynomial.degree();
        return Err(format!("makes a polynomial of degree {degree}; activations of degree 2 are supported"));
    }
    square_of_layer(layers, node, &x)
}

/// The square of a square: the inner one becomes a layer.
fn square_of_layer(layers: &mut Layers, node: &Node<'_>, x: &Activation) -> Result<Activation, String> {
    layers.materialise(x)?;
    let inner = layers.rebased(x);
    let square = inner.polynomial.product(&inner.polynomial).ok_or("makes a polynomial of too high a degree")?;
    with(layers, node, &inner, square)
}

fn power(layers: &mut Layers, node: &Node<'_>, x: &Activation, exponent: &Constant) -> Result<Activation, String> {
    let exponent = match operand(layers, exponent, x)? {
        Operand::PerChannel(exponents) if exponents.iter().all(|entry| *entry == exponents[0]) => exponents[0],
        _ => return Err("has several exponents; one exponent is supported".to_owned()),
    };
    if exponent == 1.0 {
        return Ok(named(node, x.clone()));
    }
    if exponent == 2.0 {
        return multiply(layers, node, x, x);
    }
    Err(format!("has exponent {exponent}; supported are 1 and 2"))
}
