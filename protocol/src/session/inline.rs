//! How much a party computes online in answer to one message, from the plan alone: what is cheap runs inline: it need not be moved to
//! threads that compute.

use super::layout::SessionLayout;
use crate::plan::{LinearStep, Node, NodeId, Plan};
use crate::steps::{LinearLayout, Role, local};

/// Most operations of a computation that runs inline: some tens of microseconds where there are vector instructions, a few tenths of a
/// millisecond where there are none. An operation is a multiplication of a linear layer.
const MAX_INLINE_OPERATIONS: usize = 1 << 19;
/// Operations that an element of a local step counts as.
const LOCAL: usize = 4;
/// Operations that an element of an interactive step counts as: a few nanoseconds.
const INTERACTIVE: usize = 64;

/// Whether the client answers an opening of `node` inline.
pub(super) fn client_runs_inline(plan: &Plan, node: NodeId) -> bool {
    let elements = |node: &Node| INTERACTIVE.saturating_mul(node.shape.elements());
    plan.nodes.get(node).is_none_or(|node| elements(node) <= MAX_INLINE_OPERATIONS)
}

/// Whether the server answers a message about `node` inline. If that is the last of the node's messages, the server goes on
/// up to the next message of its own.
pub(super) fn server_runs_inline(plan: &Plan, layout: &SessionLayout, node: NodeId, is_last: bool) -> bool {
    let work = |id: NodeId| plan.nodes.get(id).map_or(0, |node| server_operations(plan, node, layout.role(id)));
    let mut operations = work(node);
    if is_last {
        for id in node + 1..plan.nodes.len() {
            operations = operations.saturating_add(work(id));
            if layout.interactive(id).is_some() || operations > MAX_INLINE_OPERATIONS {
                break;
            }
        }
    }
    operations <= MAX_INLINE_OPERATIONS
}

fn server_operations(plan: &Plan, node: &Node, role: &Role) -> usize {
    let outputs = node.shape.elements();
    let inputs = node.inputs.iter().filter_map(|input| plan.nodes.get(*input)).map(|input| input.shape.elements());
    let (products, each) = match role {
        Role::Linear(LinearLayout { step: LinearStep { shape, .. }, .. }) => {
            (outputs.saturating_mul(shape.weight_count() / shape.output.channels), LOCAL)
        }
        Role::Local => (local::terms(&node.step, outputs), LOCAL),
        Role::Interactive(_) => (0, INTERACTIVE),
        Role::Input | Role::Offset | Role::Output(_) => (0, LOCAL),
    };
    inputs.fold(products, usize::saturating_add).saturating_add(each.saturating_mul(outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ExtensionKind;
    use crate::plan::{InputSpec, LinearShape, LinearStep, OutputFunction, OutputSpec, Shape, Step};
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
        let layout = SessionLayout::new(&plan);
        assert!(
            server_runs_inline(&plan, &layout, 0, true)
                && server_runs_inline(&plan, &layout, 2, true)
                && server_runs_inline(&plan, &layout, 2, false)
        );
        assert!(client_runs_inline(&plan, 2) && client_runs_inline(&plan, 4));
    }

    #[test]
    fn what_follows_the_last_answer_counts() {
        // 100 * 6,000 products are too many, and belong to the answer that completes the truncation.
        let plan = plan(100, 6000);
        let layout = SessionLayout::new(&plan);
        assert!(server_runs_inline(&plan, &layout, 0, true));
        assert!(!server_runs_inline(&plan, &layout, 2, true));
        assert!(server_runs_inline(&plan, &layout, 2, false));
        assert!(client_runs_inline(&plan, 2));
    }

    #[test]
    fn large_activations_do_not_run_inline() {
        let plan = plan(MAX_INLINE_OPERATIONS / INTERACTIVE + 1, 1);
        let layout = SessionLayout::new(&plan);
        assert!(
            !server_runs_inline(&plan, &layout, 0, true)
                && !server_runs_inline(&plan, &layout, 2, false)
                && !client_runs_inline(&plan, 2)
        );
    }
}
