//! `Conv`, `Gemm` and `MatMul` with constant weights.

use tacit_protocol::plan::{LinearShape, Padding, Shape};

use super::layout::straight;
use super::window;
use crate::graph::{Bias, FloatLinear, LayerId, Operator};
use crate::onnx::layers::Layers;
use crate::onnx::node::Node;
use crate::onnx::order::Order;
use crate::onnx::polynomial::Activation;
use crate::onnx::tensor::Constant;

/// `Conv` over images.
pub(super) fn convolution(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let weights = node.required_constant(1, "the weights")?;
    let image = window::image(&input.dims)?;
    let [outputs, channels_per_group, kernel_height, kernel_width] = weights.dims[..] else {
        return Err(format!("has weights of dimensions {:?}; 4 dimensions are supported", weights.dims));
    };
    let as_signed = [kernel_height as i64, kernel_width as i64];
    let kernel = window::extents::<2>("a kernel of", &as_signed, 1)?;
    if window::pair(node, "kernel_shape")?.is_some_and(|declared| declared != kernel) {
        return Err(format!("has a kernel_shape other than that of its weights, {kernel:?}"));
    }
    let groups = usize::try_from(node.int("group")?.unwrap_or(1)).unwrap_or(0);
    if groups == 0
        || !image.channels.is_multiple_of(groups)
        || !outputs.is_multiple_of(groups)
        || outputs == 0
        || image.channels / groups != channels_per_group
    {
        return Err(format!(
            "has {groups} groups and weights of dimensions {:?} for {} input channels",
            weights.dims, image.channels
        ));
    }
    let window = window::resolve(node, kernel, image)?;
    let bias = channel_bias(node.constant(2, "the bias")?.map(|bias| &**bias), outputs)?;
    layers.charge(weights.len() + outputs)?;
    let shape = LinearShape {
        input: image,
        output: Shape::new(outputs, window.output[0], window.output[1]),
        groups,
        kernel,
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
    };
    let linear = FloatLinear { shape, weights: weights.to_floats(), bias: Bias::PerChannel(bias) };
    let dims = vec![layers.batch(), outputs, window.output[0], window.output[1]];
    let input = straight(layers, node, input)?;
    let (layer, linear) = match over_channels_last(layers, node, &input, &linear)? {
        Some(fused) => fused,
        None => (layers.materialise(&input)?, linear),
    };
    layers.push(node, Operator::Linear(linear), vec![layer], dims)
}

/// The same convolution of the image from which a linear layer takes the channels first: that layer is not needed.
///
/// An image with the channels last is one of a single channel whose pixels are `channels` columns wide.
fn over_channels_last(
    layers: &mut Layers,
    node: &Node<'_>,
    input: &Activation,
    linear: &FloatLinear,
) -> Result<Option<(LayerId, FloatLinear)>, String> {
    let line = &input.polynomial;
    let LinearShape { input: image, output, groups, kernel, stride, padding, dilation } = linear.shape;
    let Some(mut layer) = layers.channels_last_of(line.base) else {
        return Ok(None);
    };
    if groups != 1 || dilation[1] != 1 || line.degree() > 1 || line.linear.contains(&0.0) {
        return Ok(None);
    }
    let channels = image.channels;
    let of_channel = |values: &[f64], channel: usize| if values.len() == 1 { values[0] } else { values[channel] };
    // scale * x + shift = scale * (x + shift / scale): zeros around the image stay zeros.
    let flat = layers.shape(layer);
    if line.constant.iter().any(|&shift| shift != 0.0) {
        layers.charge(flat.elements())?;
        let addend = |channel: usize| of_channel(&line.constant, channel) / of_channel(&line.linear, channel);
        let map = (0..flat.elements()).map(|index| addend(index % channels)).collect();
        layer = layers.push_layer(node, Operator::AddMap(map), vec![layer], flat)?;
    }
    layers.charge(linear.weights.len())?;
    let mut weights = Vec::with_capacity(linear.weights.len());
    for of_output in linear.weights.chunks_exact(channels * kernel[0] * kernel[1]) {
        for tap in 0..kernel[0] * kernel[1] {
            let taps = of_output.iter().skip(tap).step_by(kernel[0] * kernel[1]).enumerate();
            weights.extend(taps.map(|(channel, weight)| weight * of_channel(&line.linear, channel)));
        }
    }
    let padding = Padding { left: padding.left * channels, right: padding.right * channels, ..padding };
    let shape = LinearShape {
        input: flat,
        output,
        groups,
        kernel: [kernel[0], kernel[1] * channels],
        stride: [stride[0], stride[1] * channels],
        padding,
        dilation,
    };
    Ok(Some((layer, FloatLinear { shape, weights, bias: linear.bias.clone() })))
}

fn channel_bias(bias: Option<&Constant>, outputs: usize) -> Result<Vec<f64>, String> {
    match bias {
        None => Ok(vec![0.0; outputs]),
        Some(bias) if bias.len() == outputs => Ok(bias.to_floats()),
        Some(bias) => Err(format!("has a bias of dimensions {:?} for {outputs} output channels", bias.dims)),
    }
}

/// `Gemm`: `alpha * A * B + beta * C` with an activation `A`.
pub(super) fn gemm(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let matrix = node.required_constant(1, "the matrix B")?;
    if node.int("transA")?.unwrap_or(0) != 0 {
        return Err("transposes the layer's value A (transA = 1); only transB is supported".to_owned());
    }
    let [_, features] = input.dims[..] else {
        return Err(format!("takes a value of dimensions {:?}; [batch, features] is supported", input.dims));
    };
    let transposed = node.int("transB")?.unwrap_or(0) != 0;
    let alpha = node.float("alpha")?.unwrap_or(1.0);
    let beta = node.float("beta")?.unwrap_or(1.0);
    let (outputs, mut weights) = weight_rows(layers, matrix, features, transposed)?;
    weights.iter_mut().for_each(|weight| *weight *= alpha);
    let bias = match node.constant(2, "the addend C")? {
        None => vec![0.0; outputs],
        Some(bias) => bias
            .broadcast_floats(&[1, outputs])
            .map_err(|_| format!("has an addend C of dimensions {:?} for {outputs} outputs", bias.dims))?
            .into_iter()
            .map(|value| beta * value)
            .collect(),
    };
    let dims = vec![layers.batch(), outputs];
    fully_connected(layers, node, input, weights, bias, dims)
}

/// `MatMul` of an activation with a constant matrix.
pub(super) fn matrix_product(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    let matrix = node.required_constant(1, "the right operand")?;
    let Some((&features, rows)) = input.dims[1..].split_last() else {
        return Err("takes a value without features; [batch, features] is supported".to_owned());
    };
    if rows.iter().any(|&row| row != 1) {
        return Err(format!(
            "takes a value of dimensions {:?}; one row of features per sample is supported",
            input.dims
        ));
    }
    let (outputs, weights) = weight_rows(layers, matrix, features, false)?;
    let mut dims = input.dims.clone();
    if let Some(last) = dims.last_mut() {
        *last = outputs;
    }
    fully_connected(layers, node, input, weights, vec![0.0; outputs], dims)
}

/// The weights of a constant matrix, one row of `features` per output, and the number of outputs.
fn weight_rows(
    layers: &mut Layers,
    matrix: &Constant,
    features: usize,
    transposed: bool,
) -> Result<(usize, Vec<f64>), String> {
    let (inputs, outputs) = match (transposed, matrix.dims.as_slice()) {
        (false, &[inputs, outputs]) | (true, &[outputs, inputs]) => (inputs, outputs),
        _ => {
            return Err(format!("has a matrix of dimensions {:?}; 2 dimensions are supported", matrix.dims));
        }
    };
    if inputs != features || outputs == 0 {
        return Err(format!("multiplies {features} features with a matrix of dimensions {:?}", matrix.dims));
    }
    layers.charge(2 * matrix.len() + outputs)?;
    let weights = matrix.to_floats();
    if transposed {
        return Ok((outputs, weights));
    }
    let column = |output: usize| weights[output..].iter().step_by(outputs).copied();
    Ok((outputs, (0..outputs).flat_map(column).collect()))
}

fn fully_connected(
    layers: &mut Layers,
    node: &Node<'_>,
    input: &Activation,
    mut weights: Vec<f64>,
    bias: Vec<f64>,
    dims: Vec<usize>,
) -> Result<Activation, String> {
    let (batch, outputs) = (layers.batch(), bias.len());
    let features = weights.len() / outputs;
    if !input.order.is_straight() {
        // The features come in another order than in the layer: so do the weights, then.
        layers.charge(features)?;
        let indices = input.order.indices(features);
        let mut moved = vec![0.0; features];
        for row in weights.chunks_exact_mut(features) {
            indices.iter().zip(&*row).for_each(|(&index, weight)| moved[index] = *weight);
            row.copy_from_slice(&moved);
        }
    }
    let straight = Activation { order: Order::default(), ..input.clone() };
    let vector = layers.reshaped(node, &straight, vec![batch, features])?;
    let layer = layers.materialise(&vector)?;
    let shape = LinearShape::fully_connected(features, outputs);
    let linear = FloatLinear { shape, weights, bias: Bias::PerChannel(bias) };
    let product = layers.push(node, Operator::Linear(linear), vec![layer], vec![batch, outputs])?;
    layers.reshaped(node, &product, dims)
}
