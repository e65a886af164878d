//! `AveragePool` and `MaxPool`.

use tacit_protocol::plan::Padding;

use super::layout::straight;
use super::window;
use crate::graph::Operator;
use crate::onnx::layers::Layers;
use crate::onnx::node::Node;
use crate::onnx::polynomial::Activation;

/// `AveragePool` over images.
pub(super) fn average(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let image = window::image(&input.dims)?;
    let kernel = window::pair(node, "kernel_shape")?.ok_or("has no kernel_shape")?;
    let window = window::resolve(node, kernel, image)?;
    if window.dilation != [1, 1] {
        return Err(format!("has dilations {:?}; only 1 is supported", window.dilation));
    }
    let Padding { top, left, bottom, right } = window.padding;
    if top.max(bottom) >= kernel[0] || left.max(right) >= kernel[1] {
        return Err(format!("has pads as large as its kernel {kernel:?}; smaller ones are supported"));
    }
    let input = straight(layers, node, input)?;
    let batch = layers.batch();
    let dims = |height: usize, width: usize| vec![batch, image.channels, height, width];
    let mut count_include_pad = node.int("count_include_pad")?.unwrap_or(0) != 0;
    let mut padding = window.padding;
    let mut layer = layers.materialise(&input)?;
    let [below, right_of] = window.extension;
    if (below, right_of) != (0, 0) {
        // The rows that `ceil_mode` adds are never counted. If the padding is, it becomes part of the image.
        if count_include_pad && padding != Padding::default() {
            let padded = dims(image.height + top + bottom, image.width + left + right);
            let padded = layers.push(node, Operator::Pad(padding), vec![layer], padded)?;
            layer = layers.materialise(&padded)?;
            padding = Padding::default();
        }
        count_include_pad = false;
        padding.bottom += below;
        padding.right += right_of;
    }
    let operator = Operator::AveragePool { kernel, stride: window.stride, padding, count_include_pad };
    layers.push(node, operator, vec![layer], dims(window.output[0], window.output[1]))
}

/// `MaxPool` over images. What `ceil_mode` adds is padding, which never wins.
pub(super) fn max(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let image = window::image(&input.dims)?;
    let kernel = window::pair(node, "kernel_shape")?.ok_or("has no kernel_shape")?;
    let window = window::resolve(node, kernel, image)?;
    if node.int("storage_order")?.unwrap_or(0) != 0 {
        return Err("has storage_order 1; only 0 is supported".to_owned());
    }
    let mut padding = window.padding;
    padding.bottom += window.extension[0];
    padding.right += window.extension[1];
    let input = straight(layers, node, input)?;
    let layer = layers.materialise(&input)?;
    let operator = Operator::MaxPool { kernel, stride: window.stride, dilation: window.dilation, padding };
    let dims = vec![layers.batch(), image.channels, window.output[0], window.output[1]];
    layers.push(node, operator, vec![layer], dims)
}
