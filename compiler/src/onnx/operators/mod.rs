//! The supported operators.

mod arithmetic;
mod channels;
mod clip;
mod emit;
mod fold;
mod layout;
mod linear;
mod normalization;
mod operand;
mod pad;
mod pooling;
mod rectifier;
mod reduce;
mod slicing;
mod supported;
mod window;

use super::layers::Layers;
use super::node::{Node, Value};
use super::polynomial::Activation;
use super::schema::data_type;
use super::tensor::{self, Constant};

pub(super) use supported::{OTHER_DOMAIN, refusal};
pub use supported::{SUPPORTED_OPERATORS, SupportedOperator};

/// The first outputs of a node, at least one. The error is the reason only; the caller adds node and operator.
pub(super) fn apply(layers: &mut Layers, node: &Node<'_>) -> Result<Vec<Value>, String> {
    match node.operator() {
        "Constant" => return Ok(vec![read_constant(layers, node)?]),
        "Shape" => return Ok(vec![Value::constant(fold::shape(node)?)]),
        _ => {}
    }
    if node.inputs.iter().flatten().all(|value| matches!(value, Value::Constant(_))) {
        return Ok(vec![Value::constant(fold::evaluate(layers, node)?)]);
    }
    if node.operator() == "Split" {
        return Ok(channels::split(layers, node)?.into_iter().map(Value::Activation).collect());
    }
    let activation = match node.operator() {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => arithmetic::binary(layers, node),
        "Neg" => arithmetic::negate(layers, node),
        "Sum" => arithmetic::sum(layers, node),
        "AveragePool" => pooling::average(layers, node),
        "MaxPool" => pooling::max(layers, node),
        "GlobalAveragePool" | "GlobalMaxPool" => reduce::global(layers, node),
        "ReduceMax" | "ReduceMean" | "ReduceSum" => reduce::reduce(layers, node),
        "BatchNormalization" => normalization::batch(layers, node),
        "Conv" => linear::convolution(layers, node),
        "Gemm" => linear::gemm(layers, node),
        "MatMul" => linear::matrix_product(layers, node),
        "Pad" => pad::pad(layers, node),
        "Relu" => emit::relu(layers, node, node.activation(0)?),
        "LeakyRelu" => rectifier::leaky(layers, node),
        "PRelu" => rectifier::parametric(layers, node),
        "Max" | "Min" => rectifier::extremum(layers, node),
        "Clip" => clip::clip(layers, node),
        "HardSigmoid" => clip::hard_sigmoid(layers, node),
        "HardSwish" => clip::hard_swish(layers, node),
        "Concat" => channels::concat(layers, node),
        "Slice" => channels::slice(layers, node),
        "Cast" => cast(node),
        "Identity" => node.activation(0).cloned(),
        "Dropout" => dropout(node),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => layout::change(layers, node),
        "Transpose" => layout::transpose(node),
        _ => Err("is supported for constants only, and its input depends on the network's input".to_owned()),
    };
    activation.map(|activation| vec![Value::Activation(activation)])
}

/// `Dropout` in inference passes its input on.
fn dropout(node: &Node<'_>) -> Result<Activation, String> {
    let training = node.constant(2, "training_mode")?.and_then(|flag| flag.scalar()).unwrap_or(0.0);
    if training != 0.0 {
        return Err("is in training mode; export the model for inference (model.eval())".to_owned());
    }
    node.activation(0).cloned()
}

/// `Cast` to a type that holds what floats hold passes its input on.
fn cast(node: &Node<'_>) -> Result<Activation, String> {
    let to = node.int("to")?.and_then(|to| i32::try_from(to).ok()).unwrap_or(0);
    if ![data_type::FLOAT, data_type::DOUBLE].contains(&to) {
        let name = data_type::name(to);
        return Err(format!("casts a layer's value to {name}; supported are float32 and float64"));
    }
    node.activation(0).cloned()
}

fn read_constant(layers: &mut Layers, node: &Node<'_>) -> Result<Value, String> {
    let float = |value: f64| Constant::floats(vec![], vec![value]);
    let value = if let Some(tensor) = node.tensor("value")? {
        tensor::read(tensor)?
    } else if let Some(value) = node.float("value_float")? {
        float(value)
    } else if let Some(values) = node.floats("value_floats")? {
        Constant::floats(vec![values.len()], values.iter().map(|&value| f64::from(value)).collect())
    } else if let Some(value) = node.int("value_int")? {
        Constant { dims: vec![], ..Constant::integer_vector(vec![value]) }
    } else if let Some(values) = node.ints("value_ints")? {
        Constant::integer_vector(values.to_vec())
    } else {
        return Err("has no value".to_owned());
    };
    layers.charge(value.len())?;
    Ok(Value::constant(value))
}
