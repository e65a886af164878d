//! The maximum of ReLUs is the ReLU of the maximum, which is one comparison for a window instead of one for each of its
//! elements.

use super::error::MergeError;
use super::rewrite::{insert_behind, layers_where, remove, sole_consumer};
use crate::graph::{Graph, Layer, Operator};

/// Moves one ReLU behind the maximum pool that alone uses it.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    for id in layers_where(graph, |operator| *operator == Operator::Relu) {
        let Some(pool) = sole_consumer(graph, id) else { continue };
        if let Operator::MaxPool { .. } = graph.layers[pool].operator {
            let Layer { name, operator, .. } = graph.layers[id].clone();
            let shape = graph.layers[pool].shape;
            insert_behind(graph, pool, Layer { name: name.clone(), operator, inputs: vec![], shape });
            remove(graph, id);
            return Ok(Some(name));
        }
    }
    Ok(None)
}
