//! From nodes, one after the other, to layers.

use std::collections::HashMap;
use std::sync::Arc;

use tacit_protocol::plan::Shape;

use super::node::{Node, Value, display_name};
use super::polynomial::{Activation, Polynomial};
use super::schema::{GraphProto, NodeProto};
use super::tensor::{self, Constant};
use super::{OnnxError, operators, shape};
use crate::graph::{Layer, LayerId, Operator};

/// The state while nodes are read in order.
pub(super) struct Importer {
    batch: usize,
    budget: usize,
    values: HashMap<String, Value>,
    layers: Vec<Layer>,
    /// Polynomials that have become layers, by base.
    materialised: HashMap<LayerId, Vec<(Arc<Polynomial>, LayerId)>>,
}

impl Importer {
    /// Starts with the input, whose dimensions have the batch first, and a budget of constant elements.
    pub fn new(input_name: &str, input_dims: &[usize], budget: usize) -> Self {
        let mut importer = Self {
            batch: input_dims[0],
            budget,
            values: HashMap::new(),
            layers: Vec::new(),
            materialised: HashMap::new(),
        };
        let shape = shape::layer_shape(input_dims);
        importer.layers.push(Layer { name: input_name.to_owned(), operator: Operator::Input, inputs: vec![], shape });
        let input = importer.identity(0, input_dims.to_vec());
        importer.values.insert(input_name.to_owned(), Value::Activation(input));
        importer
    }

    /// Reads the constants of the file.
    pub fn read_initializers(&mut self, graph: &GraphProto) -> Result<(), OnnxError> {
        for proto in &graph.initializer {
            let error = |reason| OnnxError::Initializer { name: proto.name.clone(), reason };
            let constant = tensor::read(proto).map_err(error)?;
            self.charge(constant.len()).map_err(error)?;
            self.values.insert(proto.name.clone(), Value::Constant(Arc::new(constant)));
        }
        Ok(())
    }

    /// Reads a node whose inputs have been read.
    pub fn read_node(&mut self, proto: &NodeProto) -> Result<(), OnnxError> {
        let known = operators::SUPPORTED_OPERATORS.iter().find(|operator| operator.name == proto.op_type);
        let Some(known) = known.filter(|_| is_default_domain(&proto.domain)) else {
            let domain = if is_default_domain(&proto.domain) { String::new() } else { format!("{}.", proto.domain) };
            return Err(OnnxError::UnsupportedOperator {
                node: display_name(proto),
                operator: format!("{domain}{}", proto.op_type),
            });
        };
        let value = self.node_inputs(proto).and_then(|inputs| {
            let node = Node::new(proto, inputs);
            node.check_attributes(known.attributes)?;
            operators::apply(self, &node)
        });
        let value = value.map_err(|reason| OnnxError::Node {
            node: display_name(proto),
            operator: proto.op_type.clone(),
            reason,
        })?;
        if let Some(name) = proto.output.first() {
            self.values.insert(name.clone(), value);
        }
        Ok(())
    }

    fn node_inputs(&self, proto: &NodeProto) -> Result<Vec<Option<Value>>, String> {
        let find = |name: &String| match self.values.get(name) {
            _ if name.is_empty() => Ok(None),
            Some(value) => Ok(Some(value.clone())),
            None => {
                Err(format!("takes `{name}`, which is no input, initializer or supported output of an earlier node"))
            }
        };
        proto.input.iter().map(find).collect()
    }

    /// What a name stands for, if it is known.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name)
    }

    /// The layers, in topological order.
    pub fn into_layers(self) -> Vec<Layer> {
        self.layers
    }

    /// Counts elements about to be allocated.
    pub fn charge(&mut self, elements: usize) -> Result<(), String> {
        let rest = self.budget.checked_sub(elements);
        self.budget = rest.ok_or("makes too many elements of constants for the size of the file")?;
        Ok(())
    }

    /// Size of the first dimension of every activation.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Shape of the value of a layer.
    pub fn shape(&self, layer: LayerId) -> Shape {
        self.layers[layer].shape
    }

    /// Checks dimensions that a node gives to an activation.
    pub fn check_dims(&self, dims: &[usize]) -> Result<(), String> {
        if dims.first() != Some(&self.batch) {
            return Err(format!(
                "gives dimensions {dims:?}; the batch of {} must stay the first dimension",
                self.batch
            ));
        }
        shape::element_count(dims).map(|_| ()).ok_or_else(|| format!("dimensions {dims:?} are too large"))
    }

    /// Adds a layer.
    pub fn push(
        &mut self,
        node: &Node<'_>,
        operator: Operator,
        inputs: Vec<LayerId>,
        dims: Vec<usize>,
    ) -> Result<Activation, String> {
        self.check_dims(&dims)?;
        let shape = shape::layer_shape(&dims);
        self.layers.push(Layer { name: node.name.clone(), operator, inputs, shape });
        Ok(self.identity(self.layers.len() - 1, dims))
    }

    /// The value of a layer under the given dimensions.
    fn identity(&self, layer: LayerId, dims: Vec<usize>) -> Activation {
        let name = self.layers[layer].name.clone();
        Activation { polynomial: Arc::new(Polynomial::identity(layer)), dims, name }
    }

    /// The layer that holds a value: an elementwise polynomial becomes a layer the first time.
    pub fn materialise(&mut self, activation: &Activation) -> Result<LayerId, String> {
        if let Some(layer) = self.find_layer(&activation.polynomial) {
            return Ok(layer);
        }
        let base = activation.polynomial.base;
        let channels = self.layers[base].shape.channels;
        self.charge(3 * channels)?;
        self.layers.push(Layer {
            name: activation.name.clone(),
            operator: activation.polynomial.to_operator(channels),
            inputs: vec![base],
            shape: self.layers[base].shape,
        });
        let layer = self.layers.len() - 1;
        self.materialised.entry(base).or_default().push((activation.polynomial.clone(), layer));
        Ok(layer)
    }

    /// The same value in terms of the layer that already holds it, if there is one.
    pub fn rebased(&self, activation: &Activation) -> Activation {
        match self.find_layer(&activation.polynomial) {
            Some(layer) => {
                Activation { name: activation.name.clone(), ..self.identity(layer, activation.dims.clone()) }
            }
            None => activation.clone(),
        }
    }

    fn find_layer(&self, polynomial: &Polynomial) -> Option<LayerId> {
        if polynomial.is_identity() {
            return Some(polynomial.base);
        }
        let known = self.materialised.get(&polynomial.base)?;
        known.iter().find(|(known, _)| **known == *polynomial).map(|(_, layer)| *layer)
    }

    /// The same elements in the same order under other dimensions, with a layer only if the shape changes.
    pub fn reshaped(&mut self, node: &Node<'_>, value: &Activation, dims: Vec<usize>) -> Result<Activation, String> {
        self.check_dims(&dims)?;
        let elements = |dims: &[usize]| shape::element_count(dims);
        if elements(&dims) != elements(&value.dims) {
            return Err(format!("dimensions {:?} cannot become {dims:?}", value.dims));
        }
        if shape::layer_shape(&dims) == self.shape(value.polynomial.base) {
            return Ok(Activation { dims, ..value.clone() });
        }
        let layer = self.materialise(value)?;
        self.push(node, Operator::Reshape, vec![layer], dims)
    }
}

/// A constant value.
pub(super) fn constant(constant: Constant) -> Value {
    Value::Constant(Arc::new(constant))
}

/// Whether a domain is that of the standard operators.
pub(super) fn is_default_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}
