//! Elementwise arithmetic on activations: polynomials where possible, layers where not.

use std::sync::Arc;

use crate::graph::{MAX_LAYER_ELEMENTS, Operator};
use crate::onnx::importer::Importer;
use crate::onnx::node::{Node, Value};
use crate::onnx::polynomial::{Activation, Polynomial};
use crate::onnx::tensor::Constant;

/// A constant operand, laid out as the activation needs it.
enum Operand {
    /// One value per channel, or a single one for all.
    PerChannel(Vec<f64>),
    /// One value per element, not the same within some channel.
    PerElement(Vec<f64>),
}

/// `Add`, `Sub`, `Mul`, `Div`, `Pow` with at least one activation.
pub(super) fn binary(importer: &mut Importer, node: &Node<'_>) -> Result<Activation, String> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    match (node.operator(), left, right) {
        ("Add", Value::Activation(x), Value::Activation(y)) => add(importer, node, x, y),
        ("Add", Value::Activation(x), Value::Constant(c)) | ("Add", Value::Constant(c), Value::Activation(x)) => {
            let addend = operand(importer, c, x)?;
            shift(importer, node, x, addend)
        }
        ("Sub", Value::Activation(x), Value::Activation(y)) => {
            let y = importer.rebased(y);
            let negative = with(importer, node, &y, y.polynomial.negated())?;
            add(importer, node, x, &negative)
        }
        ("Sub", Value::Activation(x), Value::Constant(c)) => {
            let negative = match operand(importer, c, x)? {
                Operand::PerChannel(values) => Operand::PerChannel(values.iter().map(|value| -value).collect()),
                Operand::PerElement(values) => Operand::PerElement(values.iter().map(|value| -value).collect()),
            };
            shift(importer, node, x, negative)
        }
        ("Sub", Value::Constant(c), Value::Activation(x)) => {
            let negative = with(importer, node, x, x.polynomial.negated())?;
            let addend = operand(importer, c, x)?;
            shift(importer, node, &negative, addend)
        }
        ("Mul", Value::Activation(x), Value::Activation(y)) => multiply(importer, node, x, y),
        ("Mul", Value::Activation(x), Value::Constant(c)) | ("Mul", Value::Constant(c), Value::Activation(x)) => {
            let factor = operand(importer, c, x)?;
            scale(importer, node, x, factor)
        }
        ("Div", Value::Activation(x), Value::Constant(c)) => match operand(importer, c, x)? {
            Operand::PerChannel(divisors) if divisors.contains(&0.0) => Err("divides by zero".to_owned()),
            Operand::PerChannel(divisors) => {
                let factor = divisors.iter().map(|divisor| 1.0 / divisor).collect();
                scale(importer, node, x, Operand::PerChannel(factor))
            }
            per_element => scale(importer, node, x, per_element),
        },
        ("Div", _, _) => Err("divides by a layer's value; only division by a constant is supported".to_owned()),
        (_, Value::Activation(x), Value::Constant(c)) => power(importer, node, x, c),
        _ => {
            Err("has an exponent that depends on the network's input; only constant exponents are supported".to_owned())
        }
    }
}

/// `Neg`.
pub(super) fn negate(importer: &mut Importer, node: &Node<'_>) -> Result<Activation, String> {
    let x = node.activation(0)?;
    with(importer, node, x, x.polynomial.negated())
}

/// `Sum` of any number of inputs.
pub(super) fn sum(importer: &mut Importer, node: &Node<'_>) -> Result<Activation, String> {
    let mut activations = node.inputs.iter().flatten().filter_map(|value| match value {
        Value::Activation(activation) => Some(activation),
        Value::Constant(_) => None,
    });
    let first = activations.next().ok_or("has no inputs")?.clone();
    let mut total = named(node, first);
    for activation in activations {
        total = add(importer, node, &total, activation)?;
    }
    for value in node.inputs.iter().flatten() {
        if let Value::Constant(addend) = value {
            let addend = operand(importer, addend, &total)?;
            total = shift(importer, node, &total, addend)?;
        }
    }
    Ok(total)
}

/// Brings a constant to the shape of an activation.
fn operand(importer: &mut Importer, constant: &Constant, activation: &Activation) -> Result<Operand, String> {
    let shape = importer.shape(activation.polynomial.base);
    let extra = activation.dims.len().checked_sub(constant.dims.len());
    if let (Some(value), Some(_)) = (constant.scalar(), extra) {
        return Ok(Operand::PerChannel(vec![value]));
    }
    let is_channel = |(axis, &dim): (usize, &usize)| dim == 1 || extra.is_some_and(|extra| axis + extra == 1);
    let only_channels = extra.is_some() && constant.dims.iter().enumerate().all(is_channel);
    if only_channels && activation.dims.get(1) == Some(&shape.channels) && constant.len() == shape.channels {
        importer.charge(shape.channels)?;
        return Ok(Operand::PerChannel(constant.to_floats()));
    }
    if shape.elements() > MAX_LAYER_ELEMENTS {
        return Err(format!("takes a value of more than {MAX_LAYER_ELEMENTS} elements"));
    }
    let mut sample = activation.dims.clone();
    sample[0] = 1;
    let values = constant.broadcast_floats(&sample).map_err(|_| {
        format!(
            "a constant of dimensions {:?} meets a value of dimensions {:?}; supported are constants that are \
             scalars, per channel or per element, and do not change the value's dimensions",
            constant.dims, activation.dims
        )
    })?;
    let channels = values.chunks_exact(shape.height * shape.width);
    if channels.clone().all(|channel| channel.iter().all(|value| *value == channel[0])) {
        importer.charge(shape.channels)?;
        return Ok(Operand::PerChannel(channels.map(|channel| channel[0]).collect()));
    }
    importer.charge(shape.elements())?;
    Ok(Operand::PerElement(values))
}

fn named(node: &Node<'_>, activation: Activation) -> Activation {
    Activation { name: node.name.clone(), ..activation }
}

/// A value of the dimensions of `activation`, computed by `node`.
fn with(
    importer: &mut Importer,
    node: &Node<'_>,
    activation: &Activation,
    polynomial: Polynomial,
) -> Result<Activation, String> {
    importer.charge(polynomial.stored())?;
    Ok(Activation { polynomial: Arc::new(polynomial), dims: activation.dims.clone(), name: node.name.clone() })
}

fn shift(importer: &mut Importer, node: &Node<'_>, x: &Activation, addend: Operand) -> Result<Activation, String> {
    match addend {
        Operand::PerChannel(addend) => with(importer, node, x, x.polynomial.shifted(&addend)),
        Operand::PerElement(map) => {
            let layer = importer.materialise(x)?;
            importer.push(node, Operator::AddMap(map), vec![layer], x.dims.clone())
        }
    }
}

fn scale(importer: &mut Importer, node: &Node<'_>, x: &Activation, factor: Operand) -> Result<Activation, String> {
    match factor {
        Operand::PerChannel(factor) => with(importer, node, x, x.polynomial.scaled(&factor)),
        Operand::PerElement(_) => Err("scales by a constant that differs between the elements of a channel; \
                                       supported are scalars and one factor per channel"
            .to_owned()),
    }
}

fn add(importer: &mut Importer, node: &Node<'_>, x: &Activation, y: &Activation) -> Result<Activation, String> {
    check_same_dimensions(x, y)?;
    if let Some((x, y)) = common_base(importer, x, y) {
        return with(importer, node, &x, x.polynomial.add(&y.polynomial));
    }
    let layers = vec![importer.materialise(x)?, importer.materialise(y)?];
    importer.push(node, Operator::Add, layers, x.dims.clone())
}

fn multiply(importer: &mut Importer, node: &Node<'_>, x: &Activation, y: &Activation) -> Result<Activation, String> {
    check_same_dimensions(x, y)?;
    let Some((x, y)) = common_base(importer, x, y) else {
        return Err("multiplies the values of two different layers; supported are constants and the product of a \
                    value with itself"
            .to_owned());
    };
    if let Some(product) = x.polynomial.product(&y.polynomial) {
        return with(importer, node, &x, product);
    }
    if x.polynomial != y.polynomial {
        let degree = x.polynomial.degree() + y.polynomial.degree();
        return Err(format!("makes a polynomial of degree {degree}; activations of degree 2 are supported"));
    }
    square_of_layer(importer, node, &x)
}

/// The square of a square: the inner one becomes a layer.
fn square_of_layer(importer: &mut Importer, node: &Node<'_>, x: &Activation) -> Result<Activation, String> {
    importer.materialise(x)?;
    let inner = importer.rebased(x);
    let square = inner.polynomial.product(&inner.polynomial).ok_or("makes a polynomial of too high a degree")?;
    with(importer, node, &inner, square)
}

fn power(importer: &mut Importer, node: &Node<'_>, x: &Activation, exponent: &Constant) -> Result<Activation, String> {
    let exponent = match operand(importer, exponent, x)? {
        Operand::PerChannel(exponents) if exponents.iter().all(|entry| *entry == exponents[0]) => exponents[0],
        _ => return Err("has several exponents; one exponent is supported".to_owned()),
    };
    if exponent == 1.0 {
        return Ok(named(node, x.clone()));
    }
    if exponent == 2.0 {
        return multiply(importer, node, x, x);
    }
    Err(format!("has exponent {exponent}; supported are 1 and 2"))
}

/// Both values in terms of one layer, if that is possible.
fn common_base(importer: &Importer, x: &Activation, y: &Activation) -> Option<(Activation, Activation)> {
    let base = |activation: &Activation| activation.polynomial.base;
    if base(x) == base(y) {
        return Some((x.clone(), y.clone()));
    }
    let (x_rebased, y_rebased) = (importer.rebased(x), importer.rebased(y));
    [(x, &y_rebased), (&x_rebased, y), (&x_rebased, &y_rebased)]
        .into_iter()
        .find(|(x, y)| base(x) == base(y))
        .map(|(x, y)| (x.clone(), y.clone()))
}

fn check_same_dimensions(x: &Activation, y: &Activation) -> Result<(), String> {
    if x.dims == y.dims {
        return Ok(());
    }
    Err(format!(
        "takes values of dimensions {:?} and {:?}; two layers' values must have the same dimensions",
        x.dims, y.dims
    ))
}
