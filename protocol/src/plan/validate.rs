//! Checks on a plan that came from a peer.

/// Why a plan cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A node breaks a rule of the plan.
    #[error("node {node} of the plan: {reason}")]
    Node {
        /// Index of the node.
        node: usize,
        /// The broken rule.
        reason: String,
    },
    /// The plan as a whole breaks a rule.
    #[error("plan: {0}")]
    Whole(String),
}
