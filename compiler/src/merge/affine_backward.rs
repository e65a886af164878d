//! Batch normalisation, scalar arithmetic and the shift of a square go into the linear layer before them.

use super::affine::Affine;
use super::bias::add_map;
use super::error::MergeError;
use super::rewrite::{layers_where, remove, upstream, uses};
use crate::graph::{Bias, Graph, LayerId, Operator};

/// Folds one affine layer into the linear layer above it, also where sum pools and reshapes lie between.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    for id in layers_where(graph, |operator| matches!(operator, Operator::Affine { .. } | Operator::AddMap(_))) {
        if let Some((source, affine)) = destination(graph, id) {
            let name = graph.layers[id].name.clone();
            fold(graph, source, &affine);
            remove(graph, id);
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The linear layer that can take the affine layer `id` in, and what it must take in.
fn destination(graph: &Graph, id: LayerId) -> Option<(LayerId, Affine)> {
    let local = |operator: &Operator| matches!(operator, Operator::SumPool { .. } | Operator::Reshape);
    let (passed, source) = upstream(graph, id, local);
    if !matches!(graph.layers[source].operator, Operator::Linear(_)) || uses(graph, source) != 1 {
        return None;
    }
    let mut affine = Affine::of_layer(&graph.layers[id])?;
    for layer in passed {
        let input = graph.layers[graph.layers[layer].inputs[0]].shape;
        affine = affine.pulled_through(&graph.layers[layer], input)?;
    }
    Some((source, affine))
}

/// `scale * (W x + b) + shift` in place of `W x + b`.
fn fold(graph: &mut Graph, source: LayerId, affine: &Affine) {
    let Operator::Linear(linear) = &mut graph.layers[source].operator else { return };
    let shape = linear.shape;
    let per_output = shape.weight_count() / shape.output.channels;
    for (weights, scale) in linear.weights.chunks_exact_mut(per_output).zip(&affine.scale) {
        weights.iter_mut().for_each(|weight| *weight *= scale);
    }
    let area = shape.output.height * shape.output.width;
    match &mut linear.bias {
        Bias::PerChannel(bias) => bias.iter_mut().zip(&affine.scale).for_each(|(bias, scale)| *bias *= scale),
        Bias::PerElement(bias) => {
            let planes = bias.chunks_exact_mut(area).zip(&affine.scale);
            planes.for_each(|(plane, scale)| plane.iter_mut().for_each(|bias| *bias *= scale));
        }
    }
    add_map(&mut linear.bias, shape.output, &affine.shift);
}
