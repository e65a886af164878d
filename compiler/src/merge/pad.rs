//! Zeros around an image go into the convolution, pool or padding that reads it.

use super::error::MergeError;
use super::rewrite::{layers_where, remove, sole_consumer, split_consumers};
use crate::graph::{Graph, LayerId, Operator};
use tacit_protocol::plan::Padding;

/// Merges one padding layer into the layer behind it.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    for id in layers_where(graph, |operator| matches!(operator, Operator::Pad(_))) {
        let name = graph.layers[id].name.clone();
        if graph.output != id && split_consumers(graph, id) {
            return Ok(Some(name));
        }
        if let Some(consumer) = sole_consumer(graph, id)
            && merge_into(graph, id, consumer)
        {
            remove(graph, id);
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn merge_into(graph: &mut Graph, id: LayerId, consumer: LayerId) -> bool {
    let Operator::Pad(outer) = graph.layers[id].operator else { return false };
    let input = graph.layers[graph.layers[id].inputs[0]].shape;
    match &mut graph.layers[consumer].operator {
        Operator::Linear(linear) => {
            linear.shape.padding = sum(linear.shape.padding, outer);
            linear.shape.input = input;
            true
        }
        Operator::SumPool { kernel, padding, .. } => {
            let together = sum(*padding, outer);
            // Windows wholly inside the padding are left to an explicit padding step.
            let fits = together.top.max(together.bottom) < kernel[0] && together.left.max(together.right) < kernel[1];
            if fits {
                *padding = together;
            }
            fits
        }
        Operator::Pad(padding) => {
            *padding = sum(*padding, outer);
            true
        }
        _ => false,
    }
}

fn sum(left: Padding, right: Padding) -> Padding {
    Padding {
        top: left.top + right.top,
        left: left.left + right.left,
        bottom: left.bottom + right.bottom,
        right: left.right + right.right,
    }
}
