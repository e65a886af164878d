//! A compiled model made ready to be served: kernels transformed for preprocessing, weights for the online phase.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use tacit_protocol::plan::{LinearStep, NodeId, Plan, PlanDigest, PlanError, Step};
use tacit_protocol::rlwe::{PreparedLinear, RlweError};
use tacit_protocol::session::ServerModel;

use crate::kernels::LinearKernel;
use crate::parameters::{LinearParameters, Parameters, RingBias};

/// Why a plan and its parameters cannot be served.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PrepareError {
    /// The plan breaks a rule.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A linear layer's real weights fit no packing.
    #[error("node {node} of the plan cannot be encrypted: {source}")]
    Packing {
        /// Index of the node.
        node: NodeId,
        /// Why.
        source: RlweError,
    },
    /// Parameters that are not those of the plan.
    #[error("node {node} of the plan has no parameters, or ones of another size")]
    Parameters {
        /// Index of the node.
        node: NodeId,
    },
}

/// Plan, transformed kernels and integers of a model. Holds secrets: the weights.
pub struct PreparedModel {
    plan: Arc<Plan>,
    digest: PlanDigest,
    linears: BTreeMap<NodeId, Linear>,
    offsets: BTreeMap<NodeId, RingBias>,
}

/// A linear layer, ready for both phases.
struct Linear {
    preprocessing: PreparedLinear,
    online: LinearKernel,
}

impl PreparedModel {
    /// Transforms the weights of all linear layers, for preprocessing and for the online phase.
    ///
    /// # Errors
    /// If the plan is not valid, a linear node has no fitting parameters, or the noise bound of a layer's real weights does
    /// not hold; the error names the node.
    pub fn new(plan: &Arc<Plan>, parameters: &Parameters) -> Result<Self, PrepareError> {
        Self::with_memory(plan, parameters, usize::MAX)
    }

    /// As [`Self::new`], with at most `memory` bytes of transforms for preprocessing: those that save most time for each
    /// byte. The others are computed for every session.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_memory(plan: &Arc<Plan>, parameters: &Parameters, memory: usize) -> Result<Self, PrepareError> {
        let plan = Arc::clone(plan);
        plan.validate()?;
        let linears: Vec<(NodeId, &LinearStep)> = plan
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(id, node)| match &node.step {
                Step::Linear(linear) => Some((id, linear)),
                _ => None,
            })
            .collect();
        let mut offsets = BTreeMap::new();
        for (node, offset) in plan.nodes.iter().enumerate().filter(|(_, node)| node.step == Step::Offset) {
            let constants = parameters.offset(node).filter(|constants| constants.fits(offset.shape));
            offsets.insert(node, constants.ok_or(PrepareError::Parameters { node })?.clone());
        }
        let memory = divide(&linears, memory);
        let prepare = |(node, linear): &(NodeId, &LinearStep)| {
            let parameters = fitting(parameters, *node, linear)?;
            let failed = |source| PrepareError::Packing { node: *node, source };
            let memory = memory.get(node).copied().unwrap_or(0);
            let preprocessing = PreparedLinear::with_memory(linear, &parameters.weights, memory).map_err(failed)?;
            Ok((*node, Linear { preprocessing, online: LinearKernel::new(&linear.shape, parameters) }))
        };
        let linears: BTreeMap<NodeId, Linear> = linears.par_iter().map(prepare).collect::<Result<_, PrepareError>>()?;
        let digest = plan.digest();
        Ok(Self { plan, digest, linears, offsets })
    }

    /// Memory held by transforms for preprocessing, in bytes.
    pub fn transforms_bytes(&self) -> usize {
        self.linears.values().map(|linear| linear.preprocessing.held_bytes()).sum()
    }

    /// Memory held by weights and transformed kernels, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let linear = |linear: &Linear| linear.preprocessing.memory_bytes() + linear.online.memory_bytes();
        let offsets: usize = self.offsets.values().map(|offset| 4 * offset.len()).sum();
        offsets + self.linears.values().map(linear).sum::<usize>()
    }
}

/// Memory that transforms of all linear layers of a valid plan would take, in bytes.
pub fn transforms_bytes(plan: &Plan) -> usize {
    let linear = |step: &Step| match step {
        Step::Linear(linear) => PreparedLinear::ntt_bytes(linear),
        _ => 0,
    };
    plan.nodes.iter().map(|node| linear(&node.step)).sum()
}

/// Divides memory for transforms among layers: first to those that would otherwise repeat theirs most often in a session.
fn divide(linears: &[(NodeId, &LinearStep)], memory: usize) -> BTreeMap<NodeId, usize> {
    let mut order = linears.to_vec();
    order.sort_by_key(|(_, linear)| Reverse(PreparedLinear::ntts_per_response(linear)));
    let mut left = memory;
    let share = |(node, linear): (NodeId, &LinearStep)| {
        let share = PreparedLinear::ntt_bytes(linear).min(left);
        left -= share;
        (node, share)
    };
    order.into_iter().map(share).collect()
}

/// The parameters of a linear node if they have its sizes.
fn fitting<'a>(
    parameters: &'a Parameters,
    node: NodeId,
    linear: &LinearStep,
) -> Result<&'a LinearParameters, PrepareError> {
    let output = linear.shape.output;
    let fits = |parameters: &&LinearParameters| {
        parameters.bias.fits(output) && parameters.weights.len() == linear.shape.weight_count()
    };
    parameters.get(node).filter(fits).ok_or(PrepareError::Parameters { node })
}

impl ServerModel for PreparedModel {
    fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    fn digest(&self) -> PlanDigest {
        self.digest
    }

    fn prepared_linear(&self, node: NodeId) -> Option<&PreparedLinear> {
        self.linears.get(&node).map(|linear| &linear.preprocessing)
    }

    fn linear(&self, node: NodeId, share: &[u32], accumulators: &mut [u32]) {
        if let Some(linear) = self.linears.get(&node) {
            linear.online.apply(share, accumulators);
        }
    }

    fn offset(&self, node: NodeId, share: &mut [u32]) {
        if let (Some(step), Some(offset)) = (self.plan.nodes.get(node), self.offsets.get(&node)) {
            offset.add_to(step.shape, share);
        }
    }
}

impl fmt::Debug for PreparedModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PreparedModel({} nodes, weights redacted)", self.plan.nodes.len())
    }
}
