//! From the nodes of a file to layers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tacit_protocol::plan::Shape;

use super::node::{Node, Value, display_name};
use super::polynomial::{Activation, Polynomial};
use super::schema::{GraphProto, ModelProto, NodeProto, ValueInfoProto, data_type};
use super::tensor::{self, Constant};
use super::{NEWEST_OPSET, OLDEST_OPSET, OnnxError, labels, operators, shape};
use crate::graph::{Graph, Layer, LayerId, MAX_LAYERS, Operator};

/// Elements of constants and coefficients that one file may make, copies included.
const ELEMENT_BUDGET: usize = 1 << 27;

/// Brings a decoded model to a layer graph.
pub(super) fn import(model: &ModelProto) -> Result<Graph, OnnxError> {
    let opset = default_opset(model);
    if !(OLDEST_OPSET..=NEWEST_OPSET).contains(&opset) {
        return Err(OnnxError::Opset { version: opset, oldest: OLDEST_OPSET, newest: NEWEST_OPSET });
    }
    let graph = model.graph.as_ref().ok_or_else(|| OnnxError::Malformed("there is no graph".to_owned()))?;
    if graph.node.len() > MAX_LAYERS {
        return Err(OnnxError::Graph(format!("{} nodes; at most {MAX_LAYERS} are supported", graph.node.len())));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(OnnxError::Graph("sparse initializers are not supported; store them dense".to_owned()));
    }
    let input = single_input(graph)?;
    let [output] = graph.output.as_slice() else {
        let names = graph.output.iter().map(|output| output.name.as_str()).collect::<Vec<_>>();
        return Err(OnnxError::Graph(format!("exactly one output is supported, the file has {names:?}")));
    };

    let input_dims = input_dimensions(input)?;
    let mut importer = Importer::new(&input.name, &input_dims);
    importer.read_initializers(graph)?;
    let needed = needed_nodes(graph, &output.name);
    for (node, _) in graph.node.iter().zip(needed).filter(|(_, needed)| *needed) {
        importer.read_node(node)?;
    }
    let result = match importer.values.remove(&output.name) {
        Some(Value::Activation(activation)) => activation,
        Some(Value::Constant(_)) => {
            return Err(output_error(&output.name, "does not depend on the input"));
        }
        None => return Err(output_error(&output.name, "is not computed by any node")),
    };
    check_declared_output(output, &result.dims)?;
    let output_layer = importer.materialise(&result).map_err(OnnxError::Graph)?;
    let (layers, output_layer) = remove_unused(importer.layers, output_layer);
    if output_layer == 0 {
        return Err(output_error(&output.name, "is the input itself, there is nothing to compute"));
    }
    let elements = layers[output_layer].shape.elements();
    let result = Graph {
        input_name: input.name.clone(),
        input_dimensions: input_dims[1..].to_vec(),
        output_name: output.name.clone(),
        output_dimensions: result.dims[1..].to_vec(),
        labels: labels::read(&model.metadata_props, elements),
        layers,
        output: output_layer,
    };
    result.validate()?;
    Ok(result)
}

fn output_error(name: &str, reason: &str) -> OnnxError {
    OnnxError::Graph(format!("output `{name}` {reason}"))
}

fn default_opset(model: &ModelProto) -> i64 {
    let mut sets = model.opset_import.iter().filter(|set| is_default_domain(&set.domain));
    sets.next().map_or(0, |set| set.version)
}

fn is_default_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The one graph input that is not an initializer (old exporters list those too).
fn single_input(graph: &GraphProto) -> Result<&ValueInfoProto, OnnxError> {
    let initializers: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs = graph.input.iter().filter(|input| !initializers.contains(input.name.as_str())).collect::<Vec<_>>();
    match inputs.as_slice() {
        [input] => Ok(input),
        _ => {
            let names = inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>();
            Err(OnnxError::Graph(format!("exactly one input is supported, the file has {names:?}")))
        }
    }
}

/// The declared dimensions: `None` where a dimension has no fixed size, and if there is no shape at all.
fn declared_dimensions(value: &ValueInfoProto) -> Option<Vec<Option<usize>>> {
    let shape = value.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    let size = |value: i64| usize::try_from(value).ok().filter(|&size| size > 0);
    Some(shape.dim.iter().map(|dim| dim.dim_value.and_then(size)).collect())
}

/// Dimensions of the input, batch first: 1 if it is not fixed.
fn input_dimensions(input: &ValueInfoProto) -> Result<Vec<usize>, OnnxError> {
    let error = |reason: String| OnnxError::Graph(format!("input `{}` {reason}", input.name));
    let element = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()).map_or(0, |kind| kind.elem_type);
    if ![data_type::FLOAT, data_type::DOUBLE, data_type::FLOAT16, data_type::BFLOAT16].contains(&element) {
        return Err(error(format!("is a tensor of {}; only floats are supported", data_type::name(element))));
    }
    let declared = declared_dimensions(input).ok_or_else(|| error("has no declared shape".to_owned()))?;
    if !(2..=4).contains(&declared.len()) {
        return Err(error(format!(
            "has {} dimensions; supported are [batch, features] to [batch, channels, height, width]",
            declared.len()
        )));
    }
    let mut dims = vec![declared[0].unwrap_or(1)];
    for (axis, size) in declared.iter().enumerate().skip(1) {
        dims.push(size.ok_or_else(|| {
            error(format!("has no fixed size in dimension {axis}; only the batch (dimension 0) may be symbolic"))
        })?);
    }
    match shape::element_count(&dims) {
        Some(_) => Ok(dims),
        None => Err(error(format!("has dimensions {dims:?}, which are too large"))),
    }
}

/// Refuses a declared output shape that contradicts the computed one.
fn check_declared_output(output: &ValueInfoProto, dims: &[usize]) -> Result<(), OnnxError> {
    let Some(declared) = declared_dimensions(output) else {
        return Ok(());
    };
    let fixed = declared.iter().zip(dims).skip(1);
    if declared.len() != dims.len() || fixed.into_iter().any(|(size, dim)| size.is_some_and(|size| size != *dim)) {
        let reason = format!("is declared with other dimensions than the computed {dims:?}");
        return Err(output_error(&output.name, &reason));
    }
    Ok(())
}

/// Which nodes the output depends on: nodes in dead branches need not be supported.
fn needed_nodes(graph: &GraphProto, output: &str) -> Vec<bool> {
    let mut wanted = HashSet::from([output]);
    let mut needed = vec![false; graph.node.len()];
    for (index, node) in graph.node.iter().enumerate().rev() {
        if node.output.iter().any(|name| wanted.contains(name.as_str())) {
            needed[index] = true;
            wanted.extend(node.input.iter().map(String::as_str));
        }
    }
    needed
}

/// Drops layers that the output does not depend on (only their dimensions were used), and renumbers the rest.
fn remove_unused(layers: Vec<Layer>, output: LayerId) -> (Vec<Layer>, LayerId) {
    let mut used = vec![false; layers.len()];
    used[0] = true;
    used[output] = true;
    for index in (0..layers.len()).rev().filter(|&index| index <= output) {
        if used[index] {
            layers[index].inputs.iter().for_each(|&input| used[input] = true);
        }
    }
    let mut renumbered = vec![0; layers.len()];
    let mut kept = Vec::with_capacity(layers.len());
    for (index, mut layer) in layers.into_iter().enumerate().filter(|(index, _)| used[*index]) {
        renumbered[index] = kept.len();
        layer.inputs.iter_mut().for_each(|input| *input = renumbered[*input]);
        kept.push(layer);
    }
    (kept, renumbered[output])
}

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
    fn new(input_name: &str, input_dims: &[usize]) -> Self {
        let mut importer = Self {
            batch: input_dims[0],
            budget: ELEMENT_BUDGET,
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

    fn read_initializers(&mut self, graph: &GraphProto) -> Result<(), OnnxError> {
        for proto in &graph.initializer {
            let error = |reason| OnnxError::Initializer { name: proto.name.clone(), reason };
            let constant = tensor::read(proto).map_err(error)?;
            self.charge(constant.len()).map_err(error)?;
            self.values.insert(proto.name.clone(), Value::Constant(Arc::new(constant)));
        }
        Ok(())
    }

    fn read_node(&mut self, proto: &NodeProto) -> Result<(), OnnxError> {
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

    /// Counts elements about to be allocated.
    pub fn charge(&mut self, elements: usize) -> Result<(), String> {
        self.budget = self
            .budget
            .checked_sub(elements)
            .ok_or_else(|| format!("the constants of the file have more than {ELEMENT_BUDGET} elements"))?;
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
