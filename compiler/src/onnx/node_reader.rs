//! From nodes, one after the other, to values.

use std::collections::HashMap;

use super::answer::{self, Answer};
use super::error::OnnxError;
use super::layers::Layers;
use super::node::{Node, Value, display_name};
use super::schema::{GraphProto, NodeProto};
use super::{operators, tensor};

/// The state while nodes are read in order.
pub(super) struct NodeReader {
    /// The layers so far.
    pub layers: Layers,
    /// Version of the default operator set.
    opset: i64,
    values: HashMap<String, Value>,
    /// Values of functions that stand at the very end of the network.
    answers: HashMap<String, Answer>,
    /// Outputs of nodes that are not computed, and the node.
    left_out: HashMap<String, String>,
}

impl NodeReader {
    /// Starts with the input, whose dimensions have the batch first, and a budget of constant elements.
    pub fn new(input_name: &str, input_dims: &[usize], budget: usize, opset: i64) -> Self {
        let (layers, input) = Layers::new(input_name, input_dims, budget);
        let values = HashMap::from([(input_name.to_owned(), Value::Activation(input))]);
        Self { layers, opset, values, answers: HashMap::new(), left_out: HashMap::new() }
    }

    /// Reads the constants of the file.
    pub fn read_initializers(&mut self, graph: &GraphProto) -> Result<(), OnnxError> {
        for proto in &graph.initializer {
            let error = |reason| OnnxError::Initializer { name: proto.name.clone(), reason };
            let constant = tensor::read(proto).map_err(error)?;
            self.layers.charge(constant.len()).map_err(error)?;
            self.values.insert(proto.name.clone(), Value::constant(constant));
        }
        Ok(())
    }

    /// Reads a node whose inputs have been read.
    pub fn read_node(&mut self, proto: &NodeProto) -> Result<(), OnnxError> {
        let known = operators::SUPPORTED_OPERATORS.iter().find(|operator| operator.name == proto.op_type);
        let Some(known) = known.filter(|_| is_default_domain(&proto.domain)) else {
            let standard = is_default_domain(&proto.domain);
            let domain = if standard { String::new() } else { format!("{}.", proto.domain) };
            return Err(OnnxError::UnsupportedOperator {
                node: display_name(proto),
                operator: format!("{domain}{}", proto.op_type),
                reason: if standard { operators::refusal(&proto.op_type) } else { operators::OTHER_DOMAIN },
            });
        };
        let error = |reason| OnnxError::Node { node: display_name(proto), operator: proto.op_type.clone(), reason };
        let mut answers =
            proto.input.iter().enumerate().filter_map(|(index, name)| Some((index, self.answers.get(name)?)));
        let before = answers.next().map(|(index, answer)| (index, answer.clone()));
        if let Some((index, before)) = &before {
            before.check_follower(proto, *index)?;
        }
        let inputs = self.node_inputs(proto).map_err(error)?;
        let node = Node::new(proto, inputs);
        node.check_attributes(known.attributes).map_err(error)?;
        let name = proto.output.first().cloned().unwrap_or_default();
        if let Some((_, before)) = before {
            self.answers.insert(name, before.followed_by(&node).map_err(error)?);
        } else if answer::is_function(&node) {
            self.answers.insert(name, Answer::new(&self.layers, &node, self.opset).map_err(error)?);
        } else {
            let values = operators::apply(&mut self.layers, &node).map_err(error)?;
            for name in proto.output.iter().skip(values.len()) {
                self.left_out.insert(name.clone(), format!("of node `{}` ({})", node.name, proto.op_type));
            }
            self.values.extend(proto.output.iter().cloned().zip(values));
        }
        Ok(())
    }

    fn node_inputs(&self, proto: &NodeProto) -> Result<Vec<Option<Value>>, String> {
        let find = |name: &String| match (self.values.get(name), self.answers.get(name)) {
            _ if name.is_empty() => Ok(None),
            (Some(value), _) => Ok(Some(value.clone())),
            (_, Some(answer)) => Ok(Some(Value::Activation(answer.value.clone()))),
            _ => Err(match self.left_out.get(name) {
                Some(node) => format!("takes the output `{name}` {node}, which is not supported"),
                None => {
                    format!("takes `{name}`, which is no input, initializer or supported output of an earlier node")
                }
            }),
        };
        proto.input.iter().map(find).collect()
    }

    /// What the output's name stands for, if it is known; a value without a function is its own answer.
    pub fn take_output(&mut self, name: &str) -> Result<Answer, &'static str> {
        match (self.answers.remove(name), self.values.remove(name)) {
            (Some(answer), _) => Ok(answer),
            (_, Some(Value::Activation(value))) => Ok(Answer::of_value(value)),
            (_, Some(Value::Constant(_))) => Err("does not depend on the input"),
            _ => Err("is not computed by any node"),
        }
    }
}

/// Whether a domain is that of the standard operators.
pub(super) fn is_default_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}
