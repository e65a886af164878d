//! `Pad`.

use tacit_protocol::plan::Padding;

use super::channels;
use super::layout::straight;
use super::window;
use crate::graph::Operator;
use crate::onnx::layers::Layers;
use crate::onnx::node::Node;
use crate::onnx::polynomial::Activation;

/// `Pad` with zeros around an image, and with channels of zeros.
pub(super) fn pad(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
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
    window::image(&input.dims)?;
    if (before[0], after[0]) != (0, 0) {
        return Err("pads the batch; only padding of channels, height and width is supported".to_owned());
    }
    let of_channels = window::extents::<2>("pads", &[before[1], after[1]], 0)?;
    let of_image = window::extents::<4>("pads", &[before[2], before[3], after[2], after[3]], 0)?;
    let mut input = straight(layers, node, input)?;
    if of_channels != [0, 0] {
        input = channels::pad(layers, node, &input, of_channels[0], of_channels[1])?;
    }
    if of_image == [0; 4] {
        return Ok(input);
    }
    let image = window::image(&input.dims)?;
    let [top, left, bottom, right] = of_image;
    let dims = vec![layers.batch(), image.channels, image.height + top + bottom, image.width + left + right];
    layers.check_dims(&dims)?;
    let layer = layers.materialise(&input)?;
    layers.push(node, Operator::Pad(Padding { top, left, bottom, right }), vec![layer], dims)
}
