//! What the session machines need of the server's model.

use std::sync::Arc;

use crate::plan::{NodeId, Plan, PlanDigest};
use crate::rlwe::PreparedLinear;

/// A model that is ready to be served: a validated plan and its secret parameters.
pub trait ServerModel: Send + Sync {
    /// The public plan, validated.
    fn plan(&self) -> &Arc<Plan>;

    /// Digest of the plan.
    fn digest(&self) -> PlanDigest;

    /// Transformed kernels of a linear node, for preprocessing; `None` if the node is not linear.
    fn prepared_linear(&self, node: NodeId) -> Option<&PreparedLinear>;

    /// Online: `accumulators = W * share + bias` modulo `2^32` for a linear node.
    ///
    /// `share` has as many elements as the node's input, `accumulators` as the node.
    fn linear(&self, node: NodeId, share: &[u32], accumulators: &mut [u32]);

    /// Online: adds the constants of an offset node to `share`, modulo `2^32`.
    fn offset(&self, node: NodeId, share: &mut [u32]);
}
