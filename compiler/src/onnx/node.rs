//! One node with its inputs resolved and its attributes typed.

use std::sync::Arc;

use super::polynomial::Activation;
use super::schema::{AttributeProto, NodeProto, TensorProto, attribute_kind};
use super::shape;
use super::tensor::Constant;

/// Characters of a name that are kept.
const LONGEST_NAME: usize = 200;

/// What a name of the graph stands for.
#[derive(Clone)]
pub(super) enum Value {
    /// Known now.
    Constant(Arc<Constant>),
    /// Depends on the network's input.
    Activation(Activation),
}

impl Value {
    /// A constant value.
    pub fn constant(constant: Constant) -> Self {
        Self::Constant(Arc::new(constant))
    }

    /// Dimensions, with the batch first for an activation.
    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Constant(constant) => &constant.dims,
            Self::Activation(activation) => &activation.dims,
        }
    }
}

/// A node of the file; the values that it takes in order, `None` where an optional one is left out.
pub(super) struct Node<'a> {
    /// Name for messages and layers: the node's own, or that of its output.
    pub name: String,
    /// Inputs.
    pub inputs: Vec<Option<Value>>,
    proto: &'a NodeProto,
}

/// The name by which messages call a node: exporters may leave the name empty, never the output's.
pub(super) fn display_name(proto: &NodeProto) -> String {
    let names = std::iter::once(&proto.name).chain(&proto.output);
    let name = names.into_iter().find(|name| !name.is_empty()).map_or("unnamed", String::as_str);
    // A node may make many layers, each of which has its name.
    name.chars().take(LONGEST_NAME).collect()
}

impl<'a> Node<'a> {
    /// A node whose inputs have been looked up.
    pub fn new(proto: &'a NodeProto, inputs: Vec<Option<Value>>) -> Self {
        Self { name: display_name(proto), inputs, proto }
    }

    /// The operator.
    pub fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// An input that must be there.
    pub fn input(&self, index: usize) -> Result<&Value, String> {
        match self.inputs.get(index) {
            Some(Some(value)) => Ok(value),
            _ => Err(format!("input {index} is missing")),
        }
    }

    /// An input that must be there and depend on the network's input.
    pub fn activation(&self, index: usize) -> Result<&Activation, String> {
        match self.input(index)? {
            Value::Activation(activation) => Ok(activation),
            Value::Constant(_) => {
                Err(format!("input {index} must be a layer's value, not a constant, where another input is one"))
            }
        }
    }

    /// A constant input, called `what` in messages, or `None` if it is left out.
    pub fn constant(&self, index: usize, what: &str) -> Result<Option<&Arc<Constant>>, String> {
        match self.inputs.get(index) {
            None | Some(None) => Ok(None),
            Some(Some(Value::Constant(constant))) => Ok(Some(constant)),
            Some(Some(Value::Activation(_))) => Err(format!(
                "{what} must be a constant; only initializers, Constant nodes and what is computed \
                             from them are supported"
            )),
        }
    }

    /// A constant input that must be there.
    pub fn required_constant(&self, index: usize, what: &str) -> Result<&Arc<Constant>, String> {
        self.constant(index, what)?.ok_or_else(|| format!("{what} (input {index}) is missing"))
    }

    /// Integers that came as an attribute in old operator sets and come as an input in new ones.
    pub fn integers(&self, attribute: &str, input: usize) -> Result<Option<Vec<i64>>, String> {
        if let Some(values) = self.ints(attribute)? {
            return Ok(Some(values.to_vec()));
        }
        let constant = self.constant(input, attribute)?;
        constant.map(|constant| constant.integers().map(<[i64]>::to_vec)).transpose()
    }

    /// Refuses attributes that are not in `known`: they might change what the node computes.
    pub fn check_attributes(&self, known: &[&str]) -> Result<(), String> {
        match self.proto.attribute.iter().find(|attribute| !known.contains(&attribute.name.as_str())) {
            None => Ok(()),
            Some(attribute) if known.is_empty() => {
                Err(format!("attribute `{}` is not supported; none is", attribute.name))
            }
            Some(attribute) => {
                Err(format!("attribute `{}` is not supported; supported are {}", attribute.name, known.join(", ")))
            }
        }
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.attribute(name, attribute_kind::INT)?.map(|attribute| attribute.i))
    }

    /// A float attribute.
    pub fn float(&self, name: &str) -> Result<Option<f64>, String> {
        Ok(self.attribute(name, attribute_kind::FLOAT)?.map(|attribute| f64::from(attribute.f)))
    }

    /// An attribute that is a list of integers.
    pub fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, String> {
        Ok(self.attribute(name, attribute_kind::INTS)?.map(|attribute| attribute.ints.as_slice()))
    }

    /// An attribute that is a list of floats.
    pub fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, String> {
        Ok(self.attribute(name, attribute_kind::FLOATS)?.map(|attribute| attribute.floats.as_slice()))
    }

    /// A string attribute.
    pub fn string(&self, name: &str) -> Result<Option<&'a str>, String> {
        let attribute = self.attribute(name, attribute_kind::STRING)?;
        attribute
            .map(|attribute| std::str::from_utf8(&attribute.s).map_err(|_| format!("attribute `{name}` is not UTF-8")))
            .transpose()
    }

    /// A tensor attribute.
    pub fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, String> {
        let attribute = self.attribute(name, attribute_kind::TENSOR)?;
        attribute
            .map(|attribute| attribute.t.as_ref().ok_or_else(|| format!("attribute `{name}` has no tensor")))
            .transpose()
    }

    /// The attribute of that name, after a check of its type, which some old exporters leave unset.
    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&'a AttributeProto>, String> {
        match self.proto.attribute.iter().find(|attribute| attribute.name == name) {
            Some(attribute) if attribute.kind != kind && attribute.kind != 0 => {
                Err(format!("attribute `{name}` has the wrong type"))
            }
            found => Ok(found),
        }
    }

    /// Dimensions after `Flatten`, `Reshape`, `Squeeze` or `Unsqueeze`.
    pub fn new_dimensions(&self, dims: &[usize]) -> Result<Vec<usize>, String> {
        match self.operator() {
            "Flatten" => shape::flatten(dims, self.int("axis")?.unwrap_or(1)),
            "Reshape" => {
                let target = self.required_constant(1, "the new shape")?;
                shape::reshape(dims, target.integers()?, self.int("allowzero")?.unwrap_or(0) != 0)
            }
            "Squeeze" => shape::squeeze(dims, self.integers("axes", 1)?.as_deref()),
            _ => shape::unsqueeze(dims, &self.integers("axes", 1)?.ok_or("has no axes")?),
        }
    }
}
