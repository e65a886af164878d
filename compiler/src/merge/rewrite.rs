//! Finding layers, and elementary edits of a graph that keep its layers in topological order.

use crate::graph::{Graph, Layer, LayerId, Operator};

/// Whether an operator is `x^2` in every channel.
pub(crate) fn is_bare_square(operator: &Operator) -> bool {
    match operator {
        Operator::Quadratic { square, linear, constant } => {
            square.iter().all(|a| *a == 1.0) && linear.iter().chain(constant).all(|value| *value == 0.0)
        }
        _ => false,
    }
}

/// `x^2` in each of `channels` channels.
pub(super) fn bare_square(channels: usize) -> Operator {
    Operator::Quadratic { square: vec![1.0; channels], linear: vec![0.0; channels], constant: vec![0.0; channels] }
}

/// Ids of the layers for which `matches` holds.
pub(super) fn layers_where(graph: &Graph, matches: impl Fn(&Operator) -> bool) -> Vec<LayerId> {
    (0..graph.layers.len()).filter(|id| matches(&graph.layers[*id].operator)).collect()
}

/// How often a layer's value is used, the graph's output counted as a use.
pub(super) fn uses(graph: &Graph, id: LayerId) -> usize {
    let by_layers = graph.layers.iter().flat_map(|layer| &layer.inputs).filter(|input| **input == id).count();
    by_layers + usize::from(graph.output == id)
}

/// The only consumer of a layer that is used exactly once, and not as the graph's output.
pub(super) fn sole_consumer(graph: &Graph, id: LayerId) -> Option<LayerId> {
    if graph.output == id || uses(graph, id) != 1 {
        return None;
    }
    graph.layers.iter().position(|layer| layer.inputs.contains(&id))
}

/// Inserts a layer at `position`; its inputs lie before that. References to later layers move along.
pub(super) fn insert(graph: &mut Graph, position: LayerId, layer: Layer) {
    let shift = |id: &mut LayerId| *id += usize::from(*id >= position);
    graph.layers.iter_mut().flat_map(|layer| &mut layer.inputs).for_each(shift);
    shift(&mut graph.output);
    graph.layers.insert(position, layer);
}

/// Inserts a single-input layer behind layer `id` and gives all users of `id` the new layer instead. Returns its id.
pub(super) fn insert_behind(graph: &mut Graph, id: LayerId, mut layer: Layer) -> LayerId {
    let position = id + 1;
    layer.inputs = vec![id];
    insert(graph, position, layer);
    replace_uses(graph, id, position);
    graph.layers[position].inputs = vec![id];
    position
}

/// Inserts a single-input layer between `consumer` and its input number `slot`.
pub(super) fn insert_before(graph: &mut Graph, consumer: LayerId, slot: usize, mut layer: Layer) {
    layer.inputs = vec![graph.layers[consumer].inputs[slot]];
    insert(graph, consumer, layer);
    graph.layers[consumer + 1].inputs[slot] = consumer;
}

/// Removes a single-input layer: its users get its input instead.
pub(super) fn remove(graph: &mut Graph, id: LayerId) {
    let input = graph.layers[id].inputs[0];
    replace_uses(graph, id, input);
    graph.layers.remove(id);
    let shift = |other: &mut LayerId| *other -= usize::from(*other > id);
    graph.layers.iter_mut().flat_map(|layer| &mut layer.inputs).for_each(shift);
    shift(&mut graph.output);
}

/// Gives the last consumer of a layer that has several its own copy, so that each can take its copy in.
/// Returns whether there were several.
pub(super) fn split_consumers(graph: &mut Graph, id: LayerId) -> bool {
    if uses(graph, id) < 2 {
        return false;
    }
    let last =
        graph.layers.iter().enumerate().rev().find_map(|(consumer, layer)| {
            layer.inputs.iter().rposition(|input| *input == id).map(|slot| (consumer, slot))
        });
    let Some((consumer, slot)) = last else { return false };
    let copy = graph.layers[id].clone();
    let source = copy.inputs.clone();
    insert_before(graph, consumer, slot, copy);
    graph.layers[consumer].inputs = source;
    true
}

/// Follows layers of one input upwards from `id` (exclusive) as long as each is used once and `passes` holds.
/// Returns the ids passed, nearest first, and the layer at which the walk stopped.
pub(super) fn upstream(graph: &Graph, id: LayerId, passes: impl Fn(&Operator) -> bool) -> (Vec<LayerId>, LayerId) {
    let mut passed = Vec::new();
    let mut current = graph.layers[id].inputs[0];
    while passes(&graph.layers[current].operator) && uses(graph, current) == 1 {
        passed.push(current);
        current = graph.layers[current].inputs[0];
    }
    (passed, current)
}

/// Removes layers whose values nothing uses; the input stays.
pub(super) fn remove_unused(graph: &mut Graph) {
    for id in (1..graph.layers.len()).rev() {
        if uses(graph, id) == 0 {
            graph.layers.remove(id);
            let shift = |other: &mut LayerId| *other -= usize::from(*other > id);
            graph.layers.iter_mut().flat_map(|layer| &mut layer.inputs).for_each(shift);
            shift(&mut graph.output);
        }
    }
}

fn replace_uses(graph: &mut Graph, from: LayerId, to: LayerId) {
    let replace = |id: &mut LayerId| {
        if *id == from {
            *id = to;
        }
    };
    graph.layers.iter_mut().flat_map(|layer| &mut layer.inputs).for_each(replace);
    replace(&mut graph.output);
}
