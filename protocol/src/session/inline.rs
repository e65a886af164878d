//! How much a party computes online in answer to one message, from the plan alone: what is brief need not be moved to
//! threads that compute.

use crate::plan::{Node, NodeId, Plan, Step};

/// Most operations of a brief computation: some tens of microseconds where there are vector instructions, a few tenths of a
/// millisecond where there are none. An operation is a multiplication of a linear layer.
const MAX_INLINE_OPERATIONS: usize = 1 << 19;
/// Operations that an element of a local step counts as.
const LOCAL: usize = 4;
/// Operations that an element of an interactive step counts as: a few nanoseconds.
const INTERACTIVE: usize = 64;

/// Whether the client answers an opening of `node` briefly.
pub(super) fn client_runs_inline(plan: &Plan, node: NodeId) -> bool {
    plan.nodes.get(node).is_none_or(|node| INTERACTIVE.saturating_mul(node.shape.elements()) <= MAX_INLINE_OPERATIONS)
}

/// Whether the server answers a message about `node` briefly. If that is the last of the node's messages, the server goes on
/// up to the next message of its own.
pub(super) fn server_runs_inline(plan: &Plan, node: NodeId, is_last: bool) -> bool {
    let mut operations = plan.nodes.get(node).map_or(0, |node| server_operations(plan, node));
    if is_last {
        for node in plan.nodes.iter().skip(node + 1) {
            operations = operations.saturating_add(server_operations(plan, node));
            if is_interactive(&node.step) || operations > MAX_INLINE_OPERATIONS {
                break;
            }
        }
    }
    operations <= MAX_INLINE_OPERATIONS
}

fn is_interactive(step: &Step) -> bool {
    matches!(step, Step::Square { .. } | Step::Truncate { .. } | Step::Relu { .. } | Step::Maximum { .. })
}

fn server_operations(plan: &Plan, node: &Node) -> usize {
    let outputs = node.shape.elements();
    let inputs = node.inputs.iter().filter_map(|input| plan.nodes.get(*input)).map(|input| input.shape.elements());
    let products = match &node.step {
        Step::Linear(linear) => outputs.saturating_mul(linear.shape.weight_count() / linear.shape.output.channels),
        Step::SumPool { kernel, .. } => outputs.saturating_mul(kernel[0].saturating_mul(kernel[1])),
        _ => 0,
    };
    let each = if is_interactive(&node.step) { INTERACTIVE } else { LOCAL };
    inputs.fold(products, usize::saturating_add).saturating_add(each.saturating_mul(outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ExtensionKind;
    use crate::plan::{InputSpec, LinearShape, LinearStep, OutputFunction, OutputSpec, Shape};
    use crate::rlwe::choose_packing;

    /// A layer of `first` outputs, a truncation, a layer of `second` outputs.
    fn plan(first: usize, second: usize) -> Plan {
        let node =
            |step, inputs, length| Node { step, inputs, shape: Shape::vector(length), fraction_bits: 4, bits: 24 };
        let linear = |inputs, outputs| {
            let shape = LinearShape::fully_connected(inputs, outputs);
            let packing = choose_packing(&shape, &vec![1; shape.weight_count()]).unwrap();
            Step::Linear(LinearStep { shape, packing })
        };
        Plan {
            input: InputSpec { name: "x".into(), dimensions: vec![64], low: 0.0, high: 1.0 },
            nodes: vec![
                node(Step::Input, vec![], 64),
                node(linear(64, first), vec![0], first),
                node(Step::Truncate { drop: 4 }, vec![1], first),
                node(linear(first, second), vec![2], second),
                node(Step::Output { drop: 0 }, vec![3], second),
            ],
            output: OutputSpec {
                name: "y".into(),
                dimensions: vec![second],
                labels: vec![],
                function: OutputFunction::Identity,
            },
            transfers: ExtensionKind::DEFAULT,
        }
    }

    #[test]
    fn small_layers_run_inline() {
        let plan = plan(100, 10);
        assert!(
            server_runs_inline(&plan, 0, true)
                && server_runs_inline(&plan, 2, true)
                && server_runs_inline(&plan, 2, false)
        );
        assert!(client_runs_inline(&plan, 2) && client_runs_inline(&plan, 4));
    }

    #[test]
    fn what_follows_the_last_answer_counts() {
        // 100 * 6,000 products are too many, and belong to the answer that completes the truncation.
        let plan = plan(100, 6000);
        assert!(server_runs_inline(&plan, 0, true));
        assert!(!server_runs_inline(&plan, 2, true));
        assert!(server_runs_inline(&plan, 2, false));
        assert!(client_runs_inline(&plan, 2));
    }

    #[test]
    fn large_activations_do_not_run_inline() {
        let plan = plan(MAX_INLINE_OPERATIONS / INTERACTIVE + 1, 1);
        assert!(
            !server_runs_inline(&plan, 0, true)
                && !server_runs_inline(&plan, 2, false)
                && !client_runs_inline(&plan, 2)
        );
    }
}
