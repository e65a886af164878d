//! `BatchNormalization` with fixed statistics.

use super::layout::straight;
use crate::graph::Operator;
use crate::onnx::layers::Layers;
use crate::onnx::node::Node;
use crate::onnx::polynomial::Activation;

/// `scale * (x - mean) / sqrt(variance + epsilon) + bias`, per channel.
///
/// It becomes a layer of its own, so that merging can say where it went.
pub(super) fn batch(layers: &mut Layers, node: &Node<'_>) -> Result<Activation, String> {
    let input = node.activation(0)?;
    if node.int("training_mode")?.unwrap_or(0) != 0 {
        return Err("is in training mode; export the model for inference (model.eval())".to_owned());
    }
    let channels = *input.dims.get(1).ok_or("takes a value without channels")?;
    let value = match layers.is_channel_axis(input, 1) {
        true => input.clone(),
        false => straight(layers, node, input)?,
    };
    if !layers.is_channel_axis(&value, 1) {
        return Err(format!(
            "takes a value of dimensions {:?}; supported are images and vectors, with the channels second",
            input.dims
        ));
    }
    let epsilon = node.float("epsilon")?.unwrap_or(1e-5);
    let parameter = |index: usize, what: &str| {
        let constant = node.required_constant(index, what)?;
        if constant.len() != channels {
            return Err(format!("has {} values of {what} for {channels} channels", constant.len()));
        }
        Ok(constant.to_floats())
    };
    let gain = parameter(1, "scale")?;
    let bias = parameter(2, "bias")?;
    let mean = parameter(3, "mean")?;
    let variance = parameter(4, "variance")?;
    if variance.iter().any(|&variance| variance + epsilon <= 0.0) {
        return Err("has a variance that is not positive".to_owned());
    }
    layers.charge(2 * channels)?;
    let scale: Vec<f64> =
        gain.iter().zip(&variance).map(|(gain, variance)| gain / (variance + epsilon).sqrt()).collect();
    let shift = (0..channels).map(|channel| bias[channel] - mean[channel] * scale[channel]).collect();
    let layer = layers.materialise(&value)?;
    layers.push_like(node, Operator::Affine { scale, shift }, vec![layer], &value)
}
