//! `W (a x + b y)` as one layer over the joined channels of `x` and `y`, with weights `W a` and `W b`: what is left of a
//! leaky ReLU, which is a sum of the ReLU and its input with factors.

use super::affine::Affine;
use super::error::MergeError;
use super::rewrite::{layers_where, sole_consumer, uses};
use crate::graph::{FloatLinear, Graph, Layer, LayerId, Operator};
use tacit_protocol::plan::Shape;

/// Rewrites one sum of scaled values in front of a linear layer.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    for sum in layers_where(graph, |operator| *operator == Operator::Add) {
        let Some(consumer) = sole_consumer(graph, sum) else { continue };
        let Operator::Linear(linear) = &graph.layers[consumer].operator else { continue };
        let terms: Vec<LayerId> = graph.layers[sum].inputs.clone();
        let scales: Option<Vec<Vec<f64>>> = terms.iter().map(|term| factors(graph, *term)).collect();
        if let (Some(scales), 1) = (scales, linear.shape.groups) {
            let joined = over_joined_channels(linear, &scales);
            let name = graph.layers[sum].name.clone();
            let inputs = terms.iter().map(|term| graph.layers[*term].inputs[0]).collect();
            graph.layers[sum] =
                Layer { name: name.clone(), operator: Operator::Concat, inputs, shape: joined.shape.input };
            graph.layers[consumer].operator = Operator::Linear(joined);
            super::rewrite::remove_unused(graph);
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The factors of a layer that only scales channels, for this sum alone.
fn factors(graph: &Graph, id: LayerId) -> Option<Vec<f64>> {
    let affine = Affine::of_layer(&graph.layers[id]).filter(|affine| !affine.has_shift())?;
    (uses(graph, id) == 1).then_some(affine.scale)
}

/// The layer over the joined channels of all terms.
fn over_joined_channels(linear: &FloatLinear, scales: &[Vec<f64>]) -> FloatLinear {
    let shape = linear.shape;
    let taps = shape.kernel[0] * shape.kernel[1];
    let mut weights = Vec::with_capacity(linear.weights.len() * scales.len());
    for kernels in linear.weights.chunks_exact(taps * shape.input.channels) {
        for scale in scales {
            for (kernel, factor) in kernels.chunks_exact(taps).zip(scale) {
                weights.extend(kernel.iter().map(|weight| weight * factor));
            }
        }
    }
    let mut joined = shape;
    joined.input = Shape { channels: shape.input.channels * scales.len(), ..shape.input };
    FloatLinear { shape: joined, weights, bias: linear.bias.clone() }
}
