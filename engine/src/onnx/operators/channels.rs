//! `Concat`, `Slice` and `Split` along the channels of layers.

use tacit_protocol::plan::Shape;

use crate::graph::Operator;
use crate::onnx::layers::Layers;
use crate::onnx::node::{Node, Value};
use crate::onnx::polynomial::Activation;
use crate::onnx::shape;

/// `Concat` of activations.
pub(super) fn concat(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let part = |value: &Value| match value {
        Value::Activation(activation) => Ok(activation.clone()),
        Value::Constant(_) => Err("joins a layer's value and a constant; supported are layers' values only".to_owned()),
    };
    let parts = node.inputs.iter().flatten().map(part).collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or("has no inputs")?;
    let axis = shape::axis(node.int("axis")?.ok_or("has no axis")?, first.dims.len())?;
    if let [only] = parts.as_slice() {
        return Ok(only.clone());
    }
    let mut dims = first.dims.clone();
    dims[axis] = parts.iter().map(|part| part.dims.get(axis).copied().unwrap_or(0)).sum();
    layers.check_dims(&dims)?;
    let from = layers.shape(first.polynomial.base);
    let total = Shape { channels: dims[axis], ..from };
    let order = first.order.with_channels(from.channels, total.channels);
    let mut inputs = Vec::with_capacity(parts.len());
    for part in &parts {
        let mut same = part.dims.clone();
        same.iter_mut().skip(axis).take(1).for_each(|dim| *dim = dims[axis]);
        if same != dims {
            return Err(format!("joins dimensions {:?} and {:?} along axis {axis}", first.dims, part.dims));
        }
        let shape = layers.shape(part.polynomial.base);
        let same_image = (shape.height, shape.width) == (total.height, total.width);
        let same_order = part.order.with_channels(shape.channels, total.channels) == order;
        if layers.channel_axis(part) != Some(axis) || !same_image || !same_order {
            return Err(other_axis("joins", axis, &part.dims));
        }
        inputs.push(layers.materialise(part)?);
    }
    let layer = layers.push_layer(node, Operator::Concat, inputs, total)?;
    let joined = layers.identity(layer, dims.clone(), order);
    layers.reshaped(node, &joined, dims)
}

/// `Slice` of an activation, with its bounds as attributes or as inputs.
pub(super) fn slice(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let mut value = node.activation(0)?.clone();
    let starts = node.integers("starts", 1)?.ok_or("has no starts")?;
    let ends = node.integers("ends", 2)?.ok_or("has no ends")?;
    let axes = match node.integers("axes", 3)? {
        Some(axes) => axes,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match node.constant(4, "steps")? {
        Some(steps) => steps.integers()?.to_vec(),
        None => vec![1; starts.len()],
    };
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("has starts, ends, axes and steps of different lengths".to_owned());
    }
    for (index, &axis) in axes.iter().enumerate() {
        let axis = shape::axis(axis, value.dims.len())?;
        if steps[index] != 1 {
            return Err(format!("takes axis {axis} in steps of {}; steps of 1 are supported", steps[index]));
        }
        let length = value.dims[axis] as i64;
        let bound = |at: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(0, length) as usize;
        let (start, end) = (bound(starts[index]), bound(ends[index]));
        value = channels(layers, node, &value, axis, start..end.max(start))?;
    }
    Ok(value)
}

/// `Split`: the parts one after the other.
pub(super) fn split(layers: &mut Layers, node: &Node<'_>) -> Result<Vec<Activation>, String> {
    let value = node.activation(0)?;
    let axis = shape::axis(node.int("axis")?.unwrap_or(0), value.dims.len())?;
    let (length, outputs) = (value.dims[axis], node.outputs());
    if node.int("num_outputs")?.is_some_and(|count| usize::try_from(count) != Ok(outputs)) {
        return Err(format!("has {outputs} outputs, not num_outputs"));
    }
    let sizes = match node.integers("split", 1)? {
        Some(sizes) => sizes.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect(),
        None => {
            // The last part may be smaller.
            let size = length.div_ceil(outputs.max(1));
            (0..outputs).map(|part| length.saturating_sub(part * size).min(size)).collect::<Vec<_>>()
        }
    };
    let total = sizes.iter().try_fold(0_usize, |sum, size| sum.checked_add(*size));
    if sizes.len() != outputs || sizes.contains(&0) || total != Some(length) {
        return Err(format!("splits a length of {length} into {outputs} parts of {sizes:?}"));
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(outputs);
    for size in sizes {
        parts.push(channels(layers, node, value, axis, start..start + size)?);
        start += size;
    }
    Ok(parts)
}

/// A range of a dimension, which must be that of the channels unless the range is all of it.
fn channels(
    layers: &mut Layers,
    node: &Node<'_>,
    value: &Activation,
    axis: usize,
    range: std::ops::Range<usize>,
) -> Result<Activation, String> {
    if range == (0..value.dims[axis]) {
        return Ok(value.clone());
    }
    if range.is_empty() {
        return Err(format!("takes nothing of axis {axis} of dimensions {:?}", value.dims));
    }
    if layers.channel_axis(value) != Some(axis) {
        return Err(other_axis("takes a part of", axis, &value.dims));
    }
    let from = layers.shape(value.polynomial.base);
    let mut dims = value.dims.clone();
    dims[axis] = range.len();
    let input = layers.materialise(value)?;
    let operator = Operator::Slice { start: range.start };
    let layer = layers.push_layer(node, operator, vec![input], Shape { channels: range.len(), ..from })?;
    let order = value.order.with_channels(from.channels, range.len());
    let part = layers.identity(layer, dims.clone(), order);
    layers.reshaped(node, &part, dims)
}

fn other_axis(what: &str, axis: usize, dims: &[usize]) -> String {
    let name = match (axis, dims.len()) {
        (0, _) => " (the batch)",
        (2, 4) => " (the height)",
        (3, 4) => " (the width)",
        _ => "",
    };
    format!("{what} axis {axis}{name} of dimensions {dims:?}; supported is the axis of the channels")
}
