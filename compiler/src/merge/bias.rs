//! Constants pushed through local and linear layers.

use crate::floats::{apply_linear, apply_sum_pool};
use crate::graph::{Bias, FloatLinear, Layer, Operator};
use tacit_engine::runs::pool_as_linear;
use tacit_protocol::plan::{LinearShape, Padding, Shape};

/// A bias as one value per element.
pub(super) fn bias_map(bias: &Bias, shape: Shape) -> Vec<f64> {
    match bias {
        Bias::PerChannel(values) => per_element(values, shape),
        Bias::PerElement(values) => values.clone(),
    }
}

/// One value per channel, repeated over the channel's elements.
pub(super) fn per_element(values: &[f64], shape: Shape) -> Vec<f64> {
    let area = shape.height * shape.width;
    values.iter().flat_map(|value| std::iter::repeat_n(*value, area)).collect()
}

/// Adds `W * map` to a layer's bias: the effect of a constant `map` added to its input, exact at padded borders.
/// The bias stays per channel where the effect is the same in the whole channel.
pub(super) fn add_through(linear: &mut FloatLinear, map: &[f64]) {
    let effect = apply_linear(&linear.shape, &linear.weights, map);
    add_map(&mut linear.bias, linear.shape.output, &effect);
}

/// Adds one value per element to a bias.
pub(super) fn add_map(bias: &mut Bias, shape: Shape, map: &[f64]) {
    let sum: Vec<f64> = bias_map(bias, shape).iter().zip(map).map(|(left, right)| left + right).collect();
    *bias = narrow(sum, shape);
}

/// A map as a bias per channel if it is constant in each channel.
pub(super) fn narrow(map: Vec<f64>, shape: Shape) -> Bias {
    match uniform_channels(&map, shape) {
        Some(values) => Bias::PerChannel(values),
        None => Bias::PerElement(map),
    }
}

/// The value of each channel if a map is constant in each channel.
pub(super) fn uniform_channels(map: &[f64], shape: Shape) -> Option<Vec<f64>> {
    let planes = map.chunks_exact(shape.height * shape.width);
    planes.map(|plane| plane.iter().all(|value| *value == plane[0]).then_some(plane[0])).collect()
}

/// The effect of a local layer on a constant map; `None` for other layers.
pub(super) fn through_local(layer: &Layer, input: Shape, map: &[f64]) -> Option<Vec<f64>> {
    match &layer.operator {
        Operator::SumPool { .. } => Some(apply_sum_pool(&sum_pool_shape(layer, input)?, map)),
        Operator::Pad(padding) => Some(apply_sum_pool(&padding_shape(input, layer.shape, *padding), map)),
        Operator::Reshape => Some(map.to_vec()),
        _ => None,
    }
}

/// The geometry of a sum pool layer.
pub(super) fn sum_pool_shape(layer: &Layer, input: Shape) -> Option<LinearShape> {
    match layer.operator {
        Operator::SumPool { kernel, stride, padding } => {
            Some(pool_as_linear(input, layer.shape, kernel, stride, padding))
        }
        _ => None,
    }
}

/// Padding as a sum over windows of one element.
fn padding_shape(input: Shape, output: Shape, padding: Padding) -> LinearShape {
    pool_as_linear(input, output, [1, 1], [1, 1], padding)
}
