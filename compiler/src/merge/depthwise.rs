//! The last resort: an affine layer with no linear layer to go into becomes one, channel by channel. If it only adds
//! constants, the server can do that to its share.

use super::affine::Affine;
use super::bias::narrow;
use super::error::MergeError;
use super::rewrite::layers_where;
use crate::graph::{FloatLinear, Graph, Operator};

/// Turns one affine layer into a linear layer.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    let affine = layers_where(graph, |operator| matches!(operator, Operator::Affine { .. }));
    let Some(id) = affine.first().copied() else { return Ok(None) };
    let Some(affine) = Affine::of_layer(&graph.layers[id]) else { return Ok(None) };
    if affine.scale.iter().all(|scale| *scale == 1.0) {
        graph.layers[id].operator = Operator::AddMap(affine.shift);
        return Ok(Some(graph.layers[id].name.clone()));
    }
    let mut linear = FloatLinear::identity(affine.shape);
    linear.weights = affine.scale;
    linear.bias = narrow(affine.shift, affine.shape);
    graph.layers[id].operator = Operator::Linear(linear);
    Ok(Some(graph.layers[id].name.clone()))
}
