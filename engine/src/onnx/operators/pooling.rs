//! `AveragePool`, `GlobalAveragePool` and `Pad`.

use tacit_protocol::plan::Padding;

use super::window;
use crate::graph::Operator;
use crate::onnx::importer::Importer;
use crate::onnx::node::Node;
use crate::onnx::polynomial::Activation;

/// `AveragePool` over images.
pub(super) fn average(importer: &mut Importer, node: &Node<'_>) -> Result<Activation, String> {
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
    let batch = importer.batch();
    let dims = |height: usize, width: usize| vec![batch, image.channels, height, width];
    let mut count_include_pad = node.int("count_include_pad")?.unwrap_or(0) != 0;
    let mut padding = window.padding;
    let mut layer = importer.materialise(input)?;
    let [below, right_of] = window.extension;
    if (below, right_of) != (0, 0) {
        // The rows that `ceil_mode` adds are never counted. If the padding is, it becomes part of the image.
        if count_include_pad && padding != Padding::default() {
            let padded = dims(image.height + top + bottom, image.width + left + right);
            let padded = importer.push(node, Operator::Pad(padding), vec![layer], padded)?;
            layer = importer.materialise(&padded)?;
            padding = Padding::default();
        }
        count_include_pad = false;
        padding.bottom += below;
        padding.right += right_of;
    }
    let operator = Operator::AveragePool { kernel, stride: window.stride, padding, count_include_pad };
    importer.push(node, operator, vec![layer], dims(window.output[0], window.output[1]))
}

/// `GlobalAveragePool`: one window as large as the image.
pub(super) fn global_average(importer: &mut Importer, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let image = window::image(&input.dims)?;
    let layer = importer.materialise(input)?;
    let operator = Operator::AveragePool {
        kernel: [image.height, image.width],
        stride: [1, 1],
        padding: Padding::default(),
        count_include_pad: false,
    };
    importer.push(node, operator, vec![layer], vec![importer.batch(), image.channels, 1, 1])
}

/// `Pad` with zeros around an image.
pub(super) fn pad(importer: &mut Importer, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let mode = node.string("mode")?.unwrap_or("constant");
    if mode != "constant" {
        return Err(format!("has mode `{mode}`; only constant padding with zeros is supported"));
    }
    let fill = match node.constant(2, "the padding value")? {
        Some(value) => value.scalar().ok_or("has a padding value that is not a scalar")?,
        None => node.float("value")?.unwrap_or(0.0),
    };
    if fill != 0.0 {
        return Err(format!("pads with {fill}; only padding with zeros is supported"));
    }
    let pads = node.integers("pads", 1)?.ok_or("has no pads")?;
    let rank = input.dims.len();
    let axes = match node.constant(3, "axes")? {
        Some(axes) => axes.integers()?.to_vec(),
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("has {} pads for {} axes", pads.len(), axes.len()));
    }
    let mut before = vec![0; rank];
    let mut after = vec![0; rank];
    for (index, &axis) in axes.iter().enumerate() {
        let axis = crate::onnx::shape::axis(axis, rank)?;
        before[axis] = pads[index];
        after[axis] = pads[axes.len() + index];
    }
    if before.iter().chain(&after).all(|&amount| amount == 0) {
        return Ok(input.clone());
    }
    let image = window::image(&input.dims)?;
    if before[..2] != [0, 0] || after[..2] != [0, 0] {
        return Err("pads the batch or the channels; only padding of height and width is supported".to_owned());
    }
    let amounts = [before[2], before[3], after[2], after[3]];
    let [top, left, bottom, right] = window::extents::<4>("pads", &amounts, 0)?;
    let dims = vec![importer.batch(), image.channels, image.height + top + bottom, image.width + left + right];
    importer.check_dims(&dims)?;
    let layer = importer.materialise(input)?;
    importer.push(node, Operator::Pad(Padding { top, left, bottom, right }), vec![layer], dims)
}
