//! Operators that keep the elements: other dimensions, another order.

use tacit_protocol::plan::{LinearShape, Padding, Shape};

use crate::graph::{Bias, FloatLinear, LayerId, Operator};
use crate::onnx::layers::{ChannelsFirst, Layers};
use crate::onnx::node::Node;
use crate::onnx::order::Order;
use crate::onnx::polynomial::{Activation, Polynomial};
use crate::onnx::shape;

/// `Flatten`, `Reshape`, `Squeeze`, `Unsqueeze` of an activation.
pub(super) fn change(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let value = node.activation(0)?;
    let dims = node.new_dimensions(&value.dims)?;
    layers.reshaped(node, value, dims)
}

/// `Transpose`: another order of the same layer, until something needs the elements in the order of the file.
pub(super) fn transpose(node: &Node<'_>) -> Result<Activation, String> {
    let value = node.activation(0)?;
    let axes = shape::permutation(value.dims.len(), node.ints("perm")?)?;
    if axes.first() != Some(&0) {
        return Err(format!("permutes the axes by {axes:?}; the batch must stay the first dimension"));
    }
    let sample: Vec<usize> = axes[1..].iter().map(|axis| axis - 1).collect();
    let order = value.order.transposed(&value.dims[1..], &sample).ok_or_else(|| {
        format!("permutes the axes of {:?}, which do not fall on those of an earlier transposition", value.dims)
    })?;
    Ok(Activation { dims: axes.iter().map(|&axis| value.dims[axis]).collect(), order, ..value.clone() })
}

/// The value with its elements in the order of its layer, as operators on images and the like need them.
///
/// Nothing is to be done for most values; channels that are last in the layer and second in the file are moved by a
/// linear layer.
pub(super) fn straight(layers: &mut Layers, node: &Node<'_>, value: &Activation) -> Result<Activation, String> {
    if value.order.is_straight() {
        return layers.in_shape(node, value);
    }
    if let [_, channels, height, width] = value.dims[..] {
        let last_in_layer = Order::default().transposed(&[height, width, channels], &[2, 0, 1]);
        if last_in_layer.as_ref() == Some(&value.order) {
            return channels_first(layers, node, value, Shape::new(channels, height, width), Order::default());
        }
    }
    Err(format!(
        "takes a value of dimensions {:?} whose axes a transposition has permuted; supported are transpositions \
         from channels last to channels first, and those that cancel out",
        value.dims
    ))
}

/// The value, whose layer has its channels last, on a layer that has them first. `order` is that in the file.
pub(super) fn channels_first(
    layers: &mut Layers,
    node: &Node<'_>,
    value: &Activation,
    image: Shape,
    order: Order,
) -> Result<Activation, String> {
    // Coefficients that are the same everywhere can stay behind the layer that moves the elements.
    let polynomial = &value.polynomial;
    let uniform = polynomial.is_uniform();
    let base = if uniform { polynomial.base } else { layers.materialise(value)? };
    let first = match layers.find_channels_first(base) {
        Some(known) if layers.shape(known.first) == image => known.first,
        _ => move_channels(layers, node, base, image)?,
    };
    let moved =
        if uniform { Polynomial { base: first, ..Polynomial::clone(polynomial) } } else { Polynomial::identity(first) };
    Ok(Activation { polynomial: moved.into(), order, ..value.clone() })
}

/// A linear layer that moves channels from last to first: a window over each pixel's channels in turn, one output
/// channel for each.
fn move_channels(layers: &mut Layers, node: &Node<'_>, base: LayerId, image: Shape) -> Result<LayerId, String> {
    let Shape { channels, height, width } = image;
    layers.charge(channels * channels + channels)?;
    let flat = Shape::new(1, height, width * channels);
    let last = layers.push_layer(node, Operator::Reshape, vec![base], flat)?;
    let shape = LinearShape {
        input: flat,
        output: image,
        groups: 1,
        kernel: [1, channels],
        stride: [1, channels],
        padding: Padding::default(),
        dilation: [1, 1],
    };
    let weight = |index: usize| f64::from(u8::from(index.is_multiple_of(channels + 1)));
    let weights = (0..channels * channels).map(weight).collect();
    let linear = FloatLinear { shape, weights, bias: Bias::PerChannel(vec![0.0; channels]) };
    let first = layers.push_layer(node, Operator::Linear(linear), vec![last], image)?;
    layers.remember_channels_first(base, ChannelsFirst { last, first });
    Ok(first)
}
