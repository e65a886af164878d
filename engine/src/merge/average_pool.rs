//! An average over windows is a sum over windows, which is local on shares, times a factor for the layers around it.

use super::bias::uniform_channels;
use super::rewrite::{insert_behind, sole_consumer};
use super::{MergeError, layers_where};
use crate::graph::{Graph, Layer, LayerId, Operator};
use crate::runs::{apply_sum_pool, pool_as_linear};

/// Rewrites one average pool.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    match layers_where(graph, |operator| matches!(operator, Operator::AveragePool { .. })).first() {
        Some(id) => rewrite(graph, *id).map(Some),
        None => Ok(None),
    }
}

fn rewrite(graph: &mut Graph, id: LayerId) -> Result<String, MergeError> {
    let name = graph.layers[id].name.clone();
    let Operator::AveragePool { kernel, stride, padding, count_include_pad } = graph.layers[id].operator else {
        return Ok(name);
    };
    let output = graph.layers[id].shape;
    let input = graph.layers[graph.layers[id].inputs[0]].shape;
    let factors: Vec<f64> = if count_include_pad {
        vec![1.0 / (kernel[0] * kernel[1]) as f64; output.elements()]
    } else {
        let pool = pool_as_linear(input, output, kernel, stride, padding);
        let counts = apply_sum_pool(&pool, &vec![1.0; input.elements()]);
        counts.iter().map(|count| 1.0 / count.max(1.0)).collect()
    };
    // Where the factor differs between positions it can follow only once positions have become channels.
    let reshape = sole_consumer(graph, id).filter(|next| graph.layers[*next].operator == Operator::Reshape);
    let behind_reshape =
        || reshape.and_then(|next| Some((next, uniform_channels(&factors, graph.layers[next].shape)?)));
    let place = uniform_channels(&factors, output).map(|scale| (id, scale)).or_else(behind_reshape);
    let Some((position, scale)) = place else {
        let reason = "its padding is not counted in the divisor, so the border has other factors than the middle; \
                      export it with count_include_pad=1, without padding, or directly before a flatten";
        return Err(MergeError { layer: name, reason: reason.to_string() });
    };
    graph.layers[id].operator = Operator::SumPool { kernel, stride, padding };
    let shape = graph.layers[position].shape;
    let operator = Operator::Affine { shift: vec![0.0; scale.len()], scale };
    insert_behind(graph, position, Layer { name: name.clone(), operator, inputs: vec![], shape });
    Ok(name)
}
