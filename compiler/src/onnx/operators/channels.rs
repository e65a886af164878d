//! `Concat`, `Slice` and `Split` along the channels of layers.

use tacit_protocol::plan::{Padding, Shape};

use super::layout::straight;
use super::slicing::{self, Slicing};
use super::window;
use crate::graph::{LayerId, Operator};
use crate::onnx::layers::Layers;
use crate::onnx::node::{Node, Value};
use crate::onnx::order::Order;
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
    let mut order = None;
    let mut inputs = Vec::with_capacity(parts.len());
    for part in &parts {
        let mut same = part.dims.clone();
        same.iter_mut().skip(axis).take(1).for_each(|dim| *dim = dims[axis]);
        if same != dims {
            return Err(format!("joins dimensions {:?} and {:?} along axis {axis}", first.dims, part.dims));
        }
        let shape = layers.shape(part.polynomial.base);
        let own_order = reordered(layers, part, axis, total.channels);
        let order = order.get_or_insert_with(|| own_order.clone());
        if own_order.is_none() || own_order != *order || (shape.height, shape.width) != (total.height, total.width) {
            return Err(other_axis("joins", axis, &part.dims));
        }
        inputs.push(layers.materialise(part)?);
    }
    let order = order.flatten().unwrap_or_default();
    let layer = layers.push_layer(node, Operator::Concat, inputs, total)?;
    Ok(layers.identity(layer, dims, order))
}

/// The order of a value's elements with another number of channels, if `axis` is that of its layer's channels.
fn reordered(layers: &Layers, value: &Activation, axis: usize, channels: usize) -> Option<Order> {
    let is_channels = layers.is_channel_axis(value, axis);
    is_channels.then(|| value.order.with_channels(&value.dims[1..], axis - 1, channels)).flatten()
}

/// `Slice` of an activation: a range of channels, or every so-many-th row or column.
pub(super) fn slice(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let mut value = node.activation(0)?.clone();
    for Slicing { axis, start, step, count } in slicing::resolve(node, &value.dims)? {
        let length = value.dims[axis];
        value = match step {
            1 => channels(layers, node, &value, axis, start..start + count)?,
            2.. if start == 0 && count == length.div_ceil(step as usize) && axis >= 2 => {
                every(layers, node, &value, axis, step as usize)?
            }
            _ => {
                return Err(format!(
                    "takes axis {axis} in steps of {step}; supported are steps of 1 and, over a whole height or width \
                     from the start, larger ones"
                ));
            }
        };
    }
    Ok(value)
}

/// Every `step`-th row or column: sums over windows of a single element.
fn every(
    layers: &mut Layers,
    node: &Node<'_>,
    value: &Activation,
    axis: usize,
    step: usize,
) -> Result<Activation, String> {
    window::image(&value.dims)?;
    let value = straight(layers, node, value)?;
    let mut stride = [1, 1];
    stride[axis - 2] = step.min(value.dims[axis]);
    let mut dims = value.dims.clone();
    dims[axis] = dims[axis].div_ceil(step);
    let layer = layers.materialise(&value)?;
    let operator = Operator::SumPool { kernel: [1, 1], stride, padding: Padding::default() };
    layers.push(node, operator, vec![layer], dims)
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

/// The value with channels of zeros before and after its own ones, of which there are some.
pub(super) fn pad(
    layers: &mut Layers,
    node: &Node<'_>,
    value: &Activation,
    before: usize,
    after: usize,
) -> Result<Activation, String> {
    let mut dims = value.dims.clone();
    dims[1] = [before, dims[1], after].into_iter().try_fold(0, usize::checked_add).ok_or("pads by too much")?;
    layers.check_dims(&dims)?;
    let value = straight(layers, node, value)?;
    let layer = layers.materialise(&value)?;
    let shape = layers.shape(layer);
    let most = before.max(after).min(shape.channels);
    // What is known to be zero is the difference of a value and itself.
    let some = first_channels(layers, node, layer, most)?;
    let zeros = layers.push_layer(node, Operator::Subtract, vec![some, some], Shape { channels: most, ..shape })?;
    let mut parts = Vec::new();
    for (amount, next) in [(before, Some(layer)), (after, None)] {
        layers.charge(amount / most)?;
        parts.extend(std::iter::repeat_n(zeros, amount / most));
        if amount % most > 0 {
            parts.push(first_channels(layers, node, zeros, amount % most)?);
        }
        parts.extend(next);
    }
    layers.push(node, Operator::Concat, parts, dims)
}

/// The first channels of a layer.
fn first_channels(layers: &mut Layers, node: &Node<'_>, layer: LayerId, channels: usize) -> Result<LayerId, String> {
    let shape = layers.shape(layer);
    if channels == shape.channels {
        return Ok(layer);
    }
    layers.push_layer(node, Operator::Slice { start: 0 }, vec![layer], Shape { channels, ..shape })
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
    let Some(order) = reordered(layers, value, axis, range.len()) else {
        return Err(other_axis("takes a part of", axis, &value.dims));
    };
    let from = layers.shape(value.polynomial.base);
    let mut dims = value.dims.clone();
    dims[axis] = range.len();
    let input = layers.materialise(value)?;
    let operator = Operator::Slice { start: range.start };
    let layer = layers.push_layer(node, operator, vec![input], Shape { channels: range.len(), ..from })?;
    Ok(layers.identity(layer, dims, order))
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
