//! The supported operators.

mod arithmetic;
mod fold;
mod layout;
mod linear;
mod normalization;
mod pooling;
mod window;

use super::importer::{Importer, constant};
use super::node::{Node, Value};
use super::polynomial::Activation;
use super::tensor::{self, Constant};

/// An operator that the reader accepts and the attributes that it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedOperator {
    /// Name in the default ONNX domain.
    pub name: &'static str,
    /// Attributes that are read or do not matter for inference; a node with any other is refused.
    pub attributes: &'static [&'static str],
}

const fn operator(name: &'static str, attributes: &'static [&'static str]) -> SupportedOperator {
    SupportedOperator { name, attributes }
}

/// Every operator that the reader accepts, by name. `Cast`, `Concat`, `ConstantOfShape`, `Gather`, `Reciprocal`,
/// `Slice` and `Sqrt` only on constants, `Shape` on anything.
pub const SUPPORTED_OPERATORS: &[SupportedOperator] = &[
    operator("Add", &[]),
    operator(
        "AveragePool",
        &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"],
    ),
    operator("BatchNormalization", &["epsilon", "momentum", "training_mode"]),
    operator("Cast", &["saturate", "to"]),
    operator("Concat", &["axis"]),
    operator("Constant", &["value", "value_float", "value_floats", "value_int", "value_ints"]),
    operator("ConstantOfShape", &["value"]),
    operator("Conv", &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]),
    operator("Div", &[]),
    operator("Dropout", &["ratio", "seed"]),
    operator("Flatten", &["axis"]),
    operator("Gather", &["axis"]),
    operator("Gemm", &["alpha", "beta", "transA", "transB"]),
    operator("GlobalAveragePool", &[]),
    operator("Identity", &[]),
    operator("MatMul", &[]),
    operator("Mul", &[]),
    operator("Neg", &[]),
    operator("Pad", &["mode", "pads", "value"]),
    operator("Pow", &[]),
    operator("Reciprocal", &[]),
    operator("Reshape", &["allowzero"]),
    operator("Shape", &["end", "start"]),
    operator("Slice", &["axes", "ends", "starts"]),
    operator("Sqrt", &[]),
    operator("Squeeze", &["axes"]),
    operator("Sub", &[]),
    operator("Sum", &[]),
    operator("Transpose", &["perm"]),
    operator("Unsqueeze", &["axes"]),
];

/// The first output of a node. The error is the reason only; the caller adds node and operator.
pub(super) fn apply(importer: &mut Importer, node: &Node<'_>) -> Result<Value, String> {
    match node.operator() {
        "Constant" => return read_constant(importer, node),
        "Shape" => return fold::shape(node).map(constant),
        _ => {}
    }
    if node.inputs.iter().flatten().all(|value| matches!(value, Value::Constant(_))) {
        return fold::evaluate(importer, node).map(constant);
    }
    let activation = match node.operator() {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => arithmetic::binary(importer, node),
        "Neg" => arithmetic::negate(importer, node),
        "Sum" => arithmetic::sum(importer, node),
        "AveragePool" => pooling::average(importer, node),
        "GlobalAveragePool" => pooling::global_average(importer, node),
        "BatchNormalization" => normalization::batch(importer, node),
        "Conv" => linear::convolution(importer, node),
        "Gemm" => linear::gemm(importer, node),
        "MatMul" => linear::matrix_product(importer, node),
        "Pad" => pooling::pad(importer, node),
        "Identity" => node.activation(0).cloned(),
        "Dropout" => dropout(node),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose" => layout::change(importer, node),
        _ => Err("is supported for constants only, and its input depends on the network's input".to_owned()),
    };
    activation.map(Value::Activation)
}

/// `Dropout` in inference passes its input on.
fn dropout(node: &Node<'_>) -> Result<Activation, String> {
    let training = node.constant(2, "training_mode")?.and_then(|flag| flag.scalar()).unwrap_or(0.0);
    if training != 0.0 {
        return Err("is in training mode; export the model for inference (model.eval())".to_owned());
    }
    node.activation(0).cloned()
}

fn read_constant(importer: &mut Importer, node: &Node<'_>) -> Result<Value, String> {
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
    importer.charge(value.len())?;
    Ok(constant(value))
}
