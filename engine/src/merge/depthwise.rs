//! The last resort: an affine layer with no linear layer to go into becomes one, channel by channel.

use super::affine::Affine;
use super::bias::narrow;
use super::{MergeError, layers_where};
use crate::graph::{Bias, FloatLinear, Graph, Operator};
use tacit_protocol::plan::{LinearShape, Padding, Shape};

/// Turns one affine layer into a linear layer.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    let affine = layers_where(graph, |operator| matches!(operator, Operator::Affine { .. } | Operator::AddMap(_)));
    let Some(id) = affine.first().copied() else { return Ok(None) };
    let Some(affine) = Affine::of_layer(&graph.layers[id]) else { return Ok(None) };
    let mut linear = identity_linear(affine.shape);
    linear.weights = affine.scale;
    linear.bias = narrow(affine.shift, affine.shape);
    graph.layers[id].operator = Operator::Linear(linear);
    Ok(Some(graph.layers[id].name.clone()))
}

/// A linear layer that multiplies each channel by one.
pub(crate) fn identity_linear(shape: Shape) -> FloatLinear {
    FloatLinear {
        shape: LinearShape {
            input: shape,
            output: shape,
            groups: shape.channels,
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
        },
        weights: vec![1.0; shape.channels],
        bias: Bias::PerChannel(vec![0.0; shape.channels]),
    }
}
