//! A file as a whole: its input and output, which nodes matter, and the finished graph.

use std::collections::HashSet;

use super::error::OnnxError;
use super::node_reader::{NodeReader, is_default_domain};
use super::schema::{GraphProto, ModelProto, ValueInfoProto, data_type};
use super::{labels, shape};
use crate::graph::{Graph, Layer, LayerId, MAX_LAYER_ELEMENTS, MAX_LAYERS};

/// Oldest supported version of the default operator set.
pub const OLDEST_OPSET: i64 = 9;

/// Newest supported version of the default operator set.
pub const NEWEST_OPSET: i64 = 21;

/// Elements of constants and coefficients, copies included, that any file may make: one large map.
const FREE_ELEMENTS: usize = MAX_LAYER_ELEMENTS;

/// Elements that a file may make for each of its bytes: a weight may be copied, transposed and copied again.
const ELEMENTS_PER_BYTE: usize = 4;

/// Brings a model, decoded from a file of `file_bytes` bytes, to a layer graph.
pub(super) fn read(model: &ModelProto, file_bytes: usize) -> Result<Graph, OnnxError> {
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
    let budget = FREE_ELEMENTS + ELEMENTS_PER_BYTE * file_bytes;
    let mut nodes = NodeReader::new(&input.name, &input_dims, budget, opset);
    nodes.read_initializers(graph)?;
    let needed = needed_nodes(graph, &output.name);
    for (node, _) in graph.node.iter().zip(needed).filter(|(_, needed)| *needed) {
        nodes.read_node(node)?;
    }
    let answer = nodes.take_output(&output.name).map_err(|reason| output_error(&output.name, reason))?;
    check_declared_output(output, &answer.dims)?;
    let value = answer.value;
    if !value.order.is_straight() {
        let reason = "has been transposed; supported are transpositions that cancel out before the end";
        return Err(output_error(&output.name, reason));
    }
    let mut layers = nodes.layers;
    let output_layer = layers.materialise(&value).map_err(OnnxError::Graph)?;
    let (layers, output_layer) = remove_unused(layers.into_layers(), output_layer);
    if output_layer == 0 {
        return Err(output_error(&output.name, "is the input itself, there is nothing to compute"));
    }
    let elements = layers[output_layer].shape.elements();
    let result = Graph {
        input_name: input.name.clone(),
        input_dimensions: input_dims[1..].to_vec(),
        output_name: output.name.clone(),
        output_dimensions: value.dims[1..].to_vec(),
        labels: labels::read(&model.metadata_props, elements),
        layers,
        output: output_layer,
        output_function: answer.function,
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
