//! Averages, sums and maxima over height and width: global pools and reductions.

use tacit_protocol::plan::{Padding, Shape};

use super::layout::straight;
use super::window;
use crate::graph::Operator;
use crate::onnx::layers::Layers;
use crate::onnx::node::Node;
use crate::onnx::order::Order;
use crate::onnx::polynomial::Activation;
use crate::onnx::shape;

/// `GlobalAveragePool` and `GlobalMaxPool`: one window as large as the image.
pub(super) fn global(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let image = window::image(&input.dims)?;
    let input = straight(layers, node, input)?;
    let layer = layers.materialise(&input)?;
    let dims = vec![layers.batch(), image.channels, 1, 1];
    layers.push(node, pool(node, [image.height, image.width]), vec![layer], dims)
}

/// `ReduceMean`, `ReduceSum` and `ReduceMax` over height, width or both, wherever these are.
pub(super) fn reduce(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let value = node.activation(0)?;
    let rank = value.dims.len();
    let axes = match node.integers("axes", 1)?.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&axis| shape::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?,
        None if node.int("noop_with_empty_axes")?.unwrap_or(0) != 0 => return Ok(value.clone()),
        None => (0..rank).collect(),
    };
    let wrong = || {
        format!(
            "runs over axes {axes:?} of dimensions {:?}; supported are height and width, of one or of both",
            value.dims
        )
    };
    if axes.contains(&0) {
        return Err(wrong());
    }
    let keep = node.int("keepdims")?.unwrap_or(1) != 0;
    let reduced = |axis: usize| axes.contains(&axis);
    let kept = (0..rank).filter(|&axis| keep || !reduced(axis));
    let dims: Vec<usize> = kept.map(|axis| if reduced(axis) { 1 } else { value.dims[axis] }).collect();
    let from = layers.shape(value.polynomial.base);
    let kernel = spatial_extent(value, from, &reduced).ok_or_else(wrong)?;
    if kernel == [1, 1] {
        return layers.reshaped(node, value, dims);
    }
    if !value.order.is_straight() && kernel != [from.height, from.width] {
        return Err(wrong());
    }
    let to = Shape { height: from.height / kernel[0], width: from.width / kernel[1], ..from };
    let layer = layers.materialise(value)?;
    let layer = layers.push_layer(node, pool(node, kernel), vec![layer], to)?;
    let pooled = layers.identity(layer, dims.clone(), Order::default());
    layers.reshaped(node, &pooled, dims)
}

/// The height and width of the window that the reduced dimensions are in a layer of shape `from`; `None` if they are
/// not just these.
fn spatial_extent(value: &Activation, from: Shape, reduced: &impl Fn(usize) -> bool) -> Option<[usize; 2]> {
    let sample = &value.dims[1..];
    let strides = value.order.strides(sample);
    let mut kernel = [1, 1];
    let larger = sample.iter().enumerate().filter(|(_, dim)| **dim > 1);
    for (axis, &dim) in larger.filter(|(axis, _)| reduced(axis + 1)) {
        match strides[axis]? {
            1 if dim == from.width => kernel[1] = dim,
            1 if dim == from.height * from.width => kernel = [from.height, from.width],
            stride if stride == from.width && dim == from.height => kernel[0] = dim,
            _ => return None,
        }
    }
    Some(kernel)
}

/// The operator of a node over windows that do not overlap.
fn pool(node: &Node<'_>, kernel: [usize; 2]) -> Operator {
    let (stride, padding) = ([1, 1], Padding::default());
    match node.operator() {
        "GlobalMaxPool" | "ReduceMax" => Operator::MaxPool { kernel, stride, dilation: [1, 1], padding },
        "ReduceSum" => Operator::SumPool { kernel, stride, padding },
        _ => Operator::AveragePool { kernel, stride, padding, count_include_pad: false },
    }
}
