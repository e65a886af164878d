//! An affine layer that no linear layer before it can take in moves towards the layers behind it: through sum pools,
//! reshapes, padding, additions and (its factor) squares, until a linear layer takes it in. Where a constant meets a
//! zero-padded convolution it becomes an exact bias map.

use super::affine::Affine;
use super::bias::{add_through, per_element, uniform_channels};
use super::error::MergeError;
use super::rewrite::{insert_behind, is_bare_square, layers_where, remove, sole_consumer, split_consumers};
use crate::graph::{Graph, Layer, LayerId, Operator};
use tacit_protocol::plan::Shape;

/// Moves one affine layer past, or into, the layer behind it.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    for id in layers_where(graph, |operator| matches!(operator, Operator::Affine { .. } | Operator::AddMap(_))) {
        let Some(affine) = Affine::of_layer(&graph.layers[id]) else { continue };
        let name = graph.layers[id].name.clone();
        if affine.clone().into_operators().is_empty() {
            remove(graph, id);
            return Ok(Some(name));
        }
        if graph.output != id && split_consumers(graph, id) {
            return Ok(Some(name));
        }
        let Some(consumer) = sole_consumer(graph, id) else { continue };
        if push(graph, id, consumer, affine) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn push(graph: &mut Graph, id: LayerId, consumer: LayerId, affine: Affine) -> bool {
    let behind = match &graph.layers[consumer].operator {
        Operator::Linear(_) => {
            fold(graph, consumer, &affine);
            remove(graph, id);
            return true;
        }
        Operator::Add => return push_through_sum(graph, id, consumer, affine),
        Operator::Affine { .. } | Operator::AddMap(_) => join(&affine, &graph.layers[consumer]),
        Operator::SumPool { .. } | Operator::Reshape | Operator::Pad(_) => {
            affine.pushed_through(&graph.layers[consumer])
        }
        // Positive factors do not change which element is larger.
        Operator::Relu if is_positive(&affine) && !affine.has_shift() => Some(affine),
        Operator::MaxPool { .. } if is_positive(&affine) => through_max_pool(&affine, &graph.layers[consumer]),
        Operator::Multiply { .. } if !affine.has_shift() => Some(affine),
        Operator::Slice { start } => Some(of_channels(&affine, *start, graph.layers[consumer].shape)),
        square if is_bare_square(square) && !affine.has_shift() => {
            let scale = affine.scale.iter().map(|scale| scale * scale).collect();
            Some(Affine { scale, ..affine })
        }
        _ => None,
    };
    let Some(behind) = behind else { return false };
    let is_pair = matches!(graph.layers[consumer].operator, Operator::Affine { .. } | Operator::AddMap(_));
    if is_pair { replace_pair(graph, id, consumer, behind) } else { move_behind(graph, id, consumer, behind) }
}

/// What an affine map does to the channels from `start` on.
fn of_channels(affine: &Affine, start: usize, shape: Shape) -> Affine {
    let area = shape.height * shape.width;
    let scale = affine.scale[start..][..shape.channels].to_vec();
    let shift = affine.shift[start * area..][..shape.elements()].to_vec();
    Affine { shape, scale, shift }
}

fn is_positive(affine: &Affine) -> bool {
    affine.scale.iter().all(|scale| *scale > 0.0)
}

/// A constant that is the same in a whole channel moves behind the pool with the factor.
fn through_max_pool(affine: &Affine, pool: &Layer) -> Option<Affine> {
    let shift = uniform_channels(&affine.shift, affine.shape)?;
    Some(Affine { shape: pool.shape, scale: affine.scale.clone(), shift: per_element(&shift, pool.shape) })
}

/// A constant moves behind a sum; a factor does where both terms carry it.
fn push_through_sum(graph: &mut Graph, id: LayerId, consumer: LayerId, affine: Affine) -> bool {
    if affine.scale.iter().any(|scale| *scale != 1.0) {
        return push_common_factor(graph, id, consumer, &affine);
    }
    move_behind(graph, id, consumer, affine)
}

/// `second(first(x))` as one affine map.
fn join(first: &Affine, second: &Layer) -> Option<Affine> {
    let second = Affine::of_layer(second)?;
    let area = first.shape.height * first.shape.width;
    let scale = first.scale.iter().zip(&second.scale).map(|(a, b)| a * b).collect();
    let shift = first.shift.iter().zip(&second.shift).enumerate();
    let shift = shift.map(|(element, (a, b))| a * second.scale[element / area] + b).collect();
    Some(Affine { shape: first.shape, scale, shift })
}

/// Puts a joined pair in the place of two layers; does nothing if it would again be the same two.
fn replace_pair(graph: &mut Graph, id: LayerId, consumer: LayerId, joined: Affine) -> bool {
    let operators = joined.into_operators();
    if operators.len() == 2 {
        let unchanged = operators[0] == graph.layers[id].operator && operators[1] == graph.layers[consumer].operator;
        if unchanged {
            return false;
        }
    }
    insert_all(graph, consumer, operators, id);
    remove(graph, consumer);
    remove(graph, id);
    true
}

/// Removes the affine layer `id` and inserts `behind` after `consumer`.
fn move_behind(graph: &mut Graph, id: LayerId, consumer: LayerId, behind: Affine) -> bool {
    insert_all(graph, consumer, behind.into_operators(), id);
    remove(graph, id);
    true
}

/// Inserts operators one after the other behind layer `after`, named like layer `id`.
fn insert_all(graph: &mut Graph, after: LayerId, operators: Vec<Operator>, id: LayerId) {
    let name = graph.layers[id].name.clone();
    for operator in operators.into_iter().rev() {
        let shape = graph.layers[after].shape;
        insert_behind(graph, after, Layer { name: name.clone(), operator, inputs: vec![], shape });
    }
}

/// `W (scale * x + shift) + b` in place of `W x + b`.
fn fold(graph: &mut Graph, consumer: LayerId, affine: &Affine) {
    let Operator::Linear(linear) = &mut graph.layers[consumer].operator else { return };
    if affine.has_shift() {
        add_through(linear, &affine.shift);
    }
    let shape = linear.shape;
    let (taps, per_group) = (shape.kernel[0] * shape.kernel[1], shape.channels_per_group());
    let outputs_per_group = shape.output.channels / shape.groups;
    for (index, weights) in linear.weights.chunks_exact_mut(taps).enumerate() {
        let (output, input) = (index / per_group, index % per_group);
        let scale = affine.scale[output / outputs_per_group * per_group + input];
        weights.iter_mut().for_each(|weight| *weight *= scale);
    }
}

/// `s x + t + s y + u = s (x + y) + (t + u)`: where both terms of a sum carry the same factors, those move behind it.
fn push_common_factor(graph: &mut Graph, id: LayerId, consumer: LayerId, affine: &Affine) -> bool {
    let other = graph.layers[consumer].inputs.iter().copied().find(|input| *input != id);
    let Some(other) = other.filter(|other| sole_consumer(graph, *other) == Some(consumer)) else { return false };
    let Some(second) = Affine::of_layer(&graph.layers[other]) else { return false };
    if second.scale != affine.scale {
        return false;
    }
    let shift = affine.shift.iter().zip(&second.shift).map(|(a, b)| a + b).collect();
    insert_all(graph, consumer, Affine { shift, ..second }.into_operators(), id);
    remove(graph, id.max(other));
    remove(graph, id.min(other));
    true
}
