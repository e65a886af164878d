//! Functions at the very end of a network: the client applies them to the logits, nothing is computed for them.

use tacit_protocol::plan::OutputFunction;

use super::error::OnnxError;
use super::layers::Layers;
use super::node::{Node, Value, display_name};
use super::polynomial::Activation;
use super::schema::NodeProto;
use super::shape;

/// The operator set in which `Softmax` stopped to take all dimensions from its axis on.
const SOFTMAX_OF_ONE_AXIS: i64 = 13;

/// The value of a function at the end.
#[derive(Clone)]
pub(super) struct Answer {
    /// What it is applied to.
    pub value: Activation,
    /// The function.
    pub function: OutputFunction,
    /// Dimensions of its value, batch first.
    pub dims: Vec<usize>,
    node: String,
    operator: String,
}

/// Whether a node is a function that is supported at the very end.
pub(super) fn is_function(node: &Node<'_>) -> bool {
    let of_activation = matches!(node.inputs.first(), Some(Some(Value::Activation(_))));
    of_activation && matches!(node.operator(), "ArgMax" | "LogSoftmax" | "Sigmoid" | "Softmax")
}

impl Answer {
    /// A value as it is.
    pub fn of_value(value: Activation) -> Self {
        let (dims, node) = (value.dims.clone(), value.name.clone());
        Self { value, function: OutputFunction::Identity, dims, node, operator: String::new() }
    }

    /// The function that a node applies to a layer's value.
    pub fn new(layers: &Layers, node: &Node<'_>, opset: i64) -> Result<Self, String> {
        let value = node.activation(0)?.clone();
        let mut dims = value.dims.clone();
        let function = match node.operator() {
            "Sigmoid" => OutputFunction::Sigmoid,
            "ArgMax" => {
                dims = index_dimensions(node, &dims)?;
                OutputFunction::ArgMax
            }
            operator => {
                check_softmax(node, &dims, opset)?;
                if operator == "Softmax" { OutputFunction::Softmax } else { OutputFunction::LogSoftmax }
            }
        };
        layers.check_dims(&value.dims)?;
        Ok(Self { value, function, dims, node: node.name.clone(), operator: node.operator().to_owned() })
    }

    /// Refuses a node that computes with this value, its input number `input`: it is known only where the client is.
    pub fn check_follower(&self, follower: &NodeProto, input: usize) -> Result<(), OnnxError> {
        let index = self.function == OutputFunction::ArgMax;
        match follower.op_type.as_str() {
            _ if input != 0 => {}
            "Cast" | "Flatten" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => return Ok(()),
            "ArgMax" if !index => return Ok(()),
            _ => {}
        }
        Err(OnnxError::Node {
            node: self.node.clone(),
            operator: self.operator.clone(),
            reason: format!(
                "is supported at the very end of the network only, where the client applies it; here node `{}` ({}) \
                 takes its value",
                display_name(follower),
                follower.op_type
            ),
        })
    }

    /// This with a node behind it that [`Answer::check_follower`] accepts.
    pub fn followed_by(self, node: &Node<'_>) -> Result<Self, String> {
        match node.operator() {
            "Cast" | "Identity" => Ok(self),
            // Softmax, its logarithm and the sigmoid keep the order of the outputs.
            "ArgMax" => Ok(Self {
                dims: index_dimensions(node, &self.dims)?,
                function: OutputFunction::ArgMax,
                node: node.name.clone(),
                operator: node.operator().to_owned(),
                ..self
            }),
            _ => {
                let dims = node.new_dimensions(&self.dims)?;
                if shape::element_count(&dims) != shape::element_count(&self.dims) {
                    return Err(format!("dimensions {:?} cannot become {dims:?}", self.dims));
                }
                Ok(Self { dims, ..self })
            }
        }
    }
}

fn outputs(dims: &[usize]) -> usize {
    dims.iter().skip(1).product()
}

/// Dimensions of the index that `ArgMax` gives, which must be one over all outputs.
fn index_dimensions(node: &Node<'_>, dims: &[usize]) -> Result<Vec<usize>, String> {
    let axis = shape::axis(node.int("axis")?.unwrap_or(0), dims.len())?;
    if axis == 0 || dims[axis] != outputs(dims) {
        return Err(not_all_outputs(axis, dims));
    }
    if node.int("select_last_index")?.unwrap_or(0) != 0 {
        return Err("selects the last of several largest outputs; the first is supported".to_owned());
    }
    let mut dims = dims.to_vec();
    if node.int("keepdims")?.unwrap_or(1) == 0 {
        dims.remove(axis);
    } else {
        dims[axis] = 1;
    }
    Ok(dims)
}

/// Checks that `Softmax` or `LogSoftmax` runs over all outputs.
fn check_softmax(node: &Node<'_>, dims: &[usize], opset: i64) -> Result<(), String> {
    let one_axis = opset >= SOFTMAX_OF_ONE_AXIS;
    let axis = shape::axis(node.int("axis")?.unwrap_or(if one_axis { -1 } else { 1 }), dims.len())?;
    let covered = if one_axis { dims[axis] } else { dims[axis..].iter().product() };
    if axis == 0 || covered != outputs(dims) {
        return Err(not_all_outputs(axis, dims));
    }
    Ok(())
}

fn not_all_outputs(axis: usize, dims: &[usize]) -> String {
    format!("runs over axis {axis} of dimensions {dims:?}; supported is one vector of outputs and its axis")
}
