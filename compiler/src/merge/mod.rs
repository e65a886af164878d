//! Merging: rewriting the float graph so that nothing is computed privately that can be computed beforehand
//! (`docs/protocol.md`, section 11.1).
//!
//! What comes out consists of linear layers with exact bias maps, bare squares, ReLUs, maximum pools, constants, and
//! what is local on shares: sum pools, zero padding, additions, reshapes, joined and cut channels. Each rule does one
//! rewrite at a time and lives in a file of its own; the rules are applied until none finds anything to do. Every
//! rewrite is exact in real arithmetic.

mod affine;
mod affine_backward;
mod affine_forward;
mod average_pool;
mod bias;
mod branches;
mod compose;
mod cost;
mod depthwise;
mod error;
mod max_pool;
mod pad;
mod quadratic;
mod rewrite;
mod savings;

pub use cost::Cost;
pub use error::MergeError;
pub use savings::{MergeEntry, MergeReport};

use crate::graph::{Graph, Operator};
pub(crate) use rewrite::is_bare_square;

/// One rule: does at most one rewrite and returns the name of the layer concerned, or `None` if nothing matches.
type Rule = fn(&mut Graph) -> Result<Option<String>, MergeError>;

/// The rules, in the order in which they are tried.
const RULES: [(&str, Rule); 9] = [
    ("average pool to sum pool", average_pool::apply),
    ("polynomial activation to bare square", quadratic::apply),
    ("ReLU behind maximum pool", max_pool::apply),
    ("affine into the layer before", affine_backward::apply),
    ("affine into the layer after", affine_forward::apply),
    ("padding into the layer after", pad::apply),
    ("scaled branches into the layer after", branches::apply),
    ("composition of linear layers", compose::apply),
    ("affine as a constant or depthwise layer", depthwise::apply),
];

/// Applies all rules until none matches.
///
/// # Errors
/// If a layer cannot be brought to the forms that a plan knows.
pub fn merge(mut graph: Graph) -> Result<(Graph, MergeReport), MergeError> {
    rewrite::remove_unused(&mut graph);
    let before = Cost::of_graph(&graph);
    let mut entries = Vec::new();
    let mut current = before;
    'rewriting: loop {
        for (rule, apply) in RULES {
            if let Some(layer) = apply(&mut graph)? {
                let after = Cost::of_graph(&graph);
                entries.push(MergeEntry { rule, layer, saved: current.minus(after) });
                current = after;
                // The depthwise layers of the last rule may be composed with others by the rules before it.
                continue 'rewriting;
            }
        }
        break;
    }
    if let Some(layer) = graph.layers.iter().find(|layer| !is_merged(&layer.operator)) {
        let reason = "cannot be brought to a step of a plan".to_string();
        return Err(MergeError { layer: layer.name.clone(), reason });
    }
    Ok((graph, MergeReport { entries, before, after: current }))
}

/// Whether an operator may remain after merging.
fn is_merged(operator: &Operator) -> bool {
    match operator {
        Operator::Affine { .. } | Operator::AveragePool { .. } => false,
        Operator::Quadratic { .. } => is_bare_square(operator),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
