//! The last resort: an affine layer with no linear layer to go into becomes one, channel by channel. If it only adds
//! constants, the server can do that to its share.

use super::affine::Affine;
use super::bias::narrow;
use super::{MergeError, layers_where};
use crate::graph::{Bias, FloatLinear, Graph, Operator};
use tacit_protocol::plan::{LinearShape, Padding, Shape};

/// Turns one affine layer into a linear layer.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    let affine = layers_where(graph, |operator| matches!(operator, Operator::Affine { .. }));
    let Some(id) = affine.first().copied() else { return Ok(None) };
    let Some(affine) = Affine::of_layer(&graph.layers[id]) else { return Ok(None) };
    if affine.scale.iter().all(|scale| *scale == 1.0) {
        graph.layers[id].operator = Operator::AddMap(affine.shift);
        return Ok(Some(graph.layers[id].name.clone()));
    }
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
