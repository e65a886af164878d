//! Linear layers with nothing but local steps between them become one where that takes at most twice the products: it
//! saves an encrypted layer and the round trip of the truncation between them.
//!
//! Composed are: a pointwise layer with the linear layer behind it, also through a sum pool; any linear layer with a
//! pointwise one directly behind it; and any linear layer with a fully connected one behind a reshape.

use super::bias::{add_map, add_through, bias_map, through_local};
use super::cost::linear_products;
use super::error::MergeError;
use super::rewrite::{layers_where, remove, upstream, uses};
use crate::graph::{Bias, FloatLinear, Graph, LayerId, Operator};
use tacit_engine::runs::for_each_run;
use tacit_protocol::plan::{LinearShape, Padding};

/// Largest number of weights of a composed layer.
const MAX_WEIGHTS: i64 = 1 << 26;

/// Composes one pair of layers.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    for second in layers_where(graph, |operator| matches!(operator, Operator::Linear(_))) {
        let local = |operator: &Operator| matches!(operator, Operator::SumPool { .. } | Operator::Reshape);
        let (passed, first) = upstream(graph, second, local);
        if uses(graph, first) != 1 {
            continue;
        }
        let (Operator::Linear(inner), Operator::Linear(outer)) =
            (&graph.layers[first].operator, &graph.layers[second].operator)
        else {
            continue;
        };
        let kinds: Vec<&Operator> = passed.iter().map(|id| &graph.layers[*id].operator).collect();
        let pooled = |kind: &&Operator| matches!(kind, Operator::SumPool { .. });
        let composed = if is_pointwise(&inner.shape) && kinds.iter().all(pooled) {
            before_linear(graph, inner, outer, &passed)
        } else if is_pointwise(&outer.shape) && kinds.is_empty() {
            behind_linear(inner, outer)
        } else if is_fully_connected(&outer.shape) && !kinds.iter().any(pooled) {
            into_matrix(inner, outer)
        } else {
            None
        };
        if let Some(composed) = composed {
            let name = graph.layers[second].name.clone();
            replace(graph, first, second, &passed, composed);
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Puts the composed layer in the place of `second`; the layers between move before the first one's input.
fn replace(graph: &mut Graph, first: LayerId, second: LayerId, passed: &[LayerId], composed: FloatLinear) {
    let channels = composed.shape.input.channels;
    let is_matrix = passed.iter().any(|id| graph.layers[*id].operator == Operator::Reshape);
    for id in passed {
        if is_matrix {
            // One reshape stays and changes its input's shape; see below.
            graph.layers[*id].shape = composed.shape.input;
        } else {
            graph.layers[*id].shape.channels = channels;
        }
    }
    graph.layers[second].operator = Operator::Linear(composed);
    remove(graph, first);
}

fn is_pointwise(shape: &LinearShape) -> bool {
    shape.kernel == [1, 1] && shape.stride == [1, 1] && shape.padding == Padding::default()
}

fn is_fully_connected(shape: &LinearShape) -> bool {
    is_pointwise(shape) && shape.input.height * shape.input.width == 1
}

/// The composed geometry if it is cheaper than the two layers and the truncation between them.
fn if_cheaper(shape: LinearShape, inner: &LinearShape, outer: &LinearShape) -> Option<LinearShape> {
    let products = linear_products(&shape);
    let weights = shape.weight_count() as i64;
    (products <= 2 * (linear_products(inner) + linear_products(outer)) && weights <= MAX_WEIGHTS).then_some(shape)
}

/// Weight of an output channel for an input channel counted over all groups; zero outside of the group.
fn dense_weight(linear: &FloatLinear, output: usize, input: usize, tap: usize) -> f64 {
    let shape = &linear.shape;
    let (per_group, taps) = (shape.channels_per_group(), shape.kernel[0] * shape.kernel[1]);
    let group = output / (shape.output.channels / shape.groups);
    match input.checked_sub(group * per_group) {
        Some(channel) if channel < per_group => linear.weights[(output * per_group + channel) * taps + tap],
        _ => 0.0,
    }
}

/// `outer . pool . inner = (outer . inner) . pool` for a pointwise `inner`.
fn before_linear(graph: &Graph, inner: &FloatLinear, outer: &FloatLinear, passed: &[LayerId]) -> Option<FloatLinear> {
    let (input, middle) = (inner.shape.input.channels, inner.shape.output.channels);
    let mut shape = LinearShape { groups: 1, ..outer.shape };
    shape.input.channels = input;
    let shape = if_cheaper(shape, &inner.shape, &outer.shape)?;
    let mut constant = bias_map(&inner.bias, inner.shape.output);
    let mut before = inner.shape.output;
    for id in passed.iter().rev() {
        constant = through_local(&graph.layers[*id], before, &constant)?;
        before = graph.layers[*id].shape;
    }
    let mut with_constant = outer.clone();
    add_through(&mut with_constant, &constant);
    let taps = shape.kernel[0] * shape.kernel[1];
    let mut weights = vec![0.0; shape.weight_count()];
    for output in 0..shape.output.channels {
        for channel in 0..middle {
            for tap in 0..taps {
                let factor = dense_weight(outer, output, channel, tap);
                if factor != 0.0 {
                    for source in 0..input {
                        weights[(output * input + source) * taps + tap] +=
                            factor * dense_weight(inner, channel, source, 0);
                    }
                }
            }
        }
    }
    Some(FloatLinear { shape, weights, bias: with_constant.bias })
}

/// `outer . inner` for a pointwise `outer`.
fn behind_linear(inner: &FloatLinear, outer: &FloatLinear) -> Option<FloatLinear> {
    let (input, middle) = (inner.shape.input.channels, inner.shape.output.channels);
    let mut shape = LinearShape { groups: 1, ..inner.shape };
    shape.output.channels = outer.shape.output.channels;
    let shape = if_cheaper(shape, &inner.shape, &outer.shape)?;
    let taps = shape.kernel[0] * shape.kernel[1];
    let mut weights = vec![0.0; shape.weight_count()];
    for output in 0..shape.output.channels {
        for channel in 0..middle {
            let factor = dense_weight(outer, output, channel, 0);
            if factor != 0.0 {
                for source in 0..input {
                    for tap in 0..taps {
                        weights[(output * input + source) * taps + tap] +=
                            factor * dense_weight(inner, channel, source, tap);
                    }
                }
            }
        }
    }
    let mut with_constant = outer.clone();
    add_through(&mut with_constant, &bias_map(&inner.bias, inner.shape.output));
    Some(FloatLinear { shape, weights, bias: with_constant.bias })
}

/// A convolution and the fully connected layer that reads all of its outputs as one matrix.
fn into_matrix(inner: &FloatLinear, outer: &FloatLinear) -> Option<FloatLinear> {
    let inputs = inner.shape.input.elements();
    let outputs = outer.shape.output.channels;
    let shape = if_cheaper(LinearShape::fully_connected(inputs, outputs), &inner.shape, &outer.shape)?;
    let mut weights = vec![0.0; shape.weight_count()];
    for (output, row) in weights.chunks_exact_mut(inputs).enumerate() {
        for_each_run(&inner.shape, |run| {
            let weight = inner.weights[run.weight];
            run.pairs().for_each(|(to, from)| row[from] += dense_weight(outer, output, to, 0) * weight);
        });
    }
    let mut bias = vec![0.0; outputs];
    let constant = bias_map(&inner.bias, inner.shape.output);
    for (output, value) in bias.iter_mut().enumerate() {
        let terms = constant.iter().enumerate();
        *value = terms.map(|(channel, addend)| dense_weight(outer, output, channel, 0) * addend).sum();
    }
    let mut bias = Bias::PerChannel(bias);
    add_map(&mut bias, shape.output, &bias_map(&outer.bias, outer.shape.output));
    Some(FloatLinear { shape, weights, bias })
}
