//! A compiled network, ready to serve: transformed weights for preprocessing, plain ones for the online phase.

use std::sync::Arc;

use rayon::prelude::*;
use tacit_protocol::he::{HeError, NoiseReport, PreparedLinear};
use tacit_protocol::plan::{NodeId, Plan, PlanDigest, PlanError, Step};
use tacit_protocol::session::ServerModel;

use crate::kernels::linear_accumulate;
use crate::parameters::{LinearParameters, Parameters};

/// Why a plan and parameters cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The plan breaks its own rules.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A linear step has no parameters, or too few or too many.
    #[error("node {0}: the parameters do not fit the step")]
    Parameters(NodeId),
    /// The encryption cannot carry a layer's weights.
    #[error("node {node}: {source}")]
    Encryption {
        /// The linear step.
        node: NodeId,
        /// What does not fit.
        source: HeError,
    },
}

/// A model that can be served.
pub struct PreparedModel {
    plan: Arc<Plan>,
    digest: PlanDigest,
    /// One entry per node, `Some` for linear steps.
    layers: Vec<Option<PreparedLayer>>,
}

struct PreparedLayer {
    encrypted: PreparedLinear,
    parameters: LinearParameters,
}

impl PreparedModel {
    /// Transforms the weights and checks that the noise bound of the real weights holds for every layer.
    ///
    /// # Errors
    /// [`PrepareError`] names the node.
    pub fn from_parts(plan: Arc<Plan>, parameters: &Parameters) -> Result<Self, PrepareError> {
        plan.validate()?;
        let prepare = |(node, step): (NodeId, &Step)| -> Result<Option<PreparedLayer>, PrepareError> {
            let Step::Linear(linear) = step else { return Ok(None) };
            let layer = parameters.layer(node).ok_or(PrepareError::Parameters(node))?;
            let biases = [linear.shape.output.channels, linear.shape.output.elements()];
            if layer.weights.len() != linear.shape.weight_count() || !biases.contains(&layer.bias.len()) {
                return Err(PrepareError::Parameters(node));
            }
            let encrypted = PreparedLinear::new(linear, &layer.weights)
                .map_err(|source| PrepareError::Encryption { node, source })?;
            Ok(Some(PreparedLayer { encrypted, parameters: layer.clone() }))
        };
        let layers = plan.nodes.par_iter().enumerate().map(|(id, node)| prepare((id, &node.step)));
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Self { digest: plan.digest(), plan, layers })
    }

    /// The noise bound of a linear node.
    pub fn noise(&self, node: NodeId) -> Option<NoiseReport> {
        self.layers.get(node)?.as_ref().map(|layer| layer.encrypted.noise())
    }

    /// Memory of the prepared weights, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let layers = self.layers.iter().flatten();
        layers.map(|layer| layer.encrypted.memory_bytes() + 2 * layer.parameters.weights.len() + 4 * layer.parameters.bias.len()).sum()
    }
}

impl ServerModel for PreparedModel {
    fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    fn digest(&self) -> PlanDigest {
        self.digest
    }

    fn prepared_linear(&self, node: NodeId) -> Option<&PreparedLinear> {
        self.layers.get(node)?.as_ref().map(|layer| &layer.encrypted)
    }

    fn linear(&self, node: NodeId, share: &[u32], accumulators: &mut [u32]) {
        let Some(layer) = self.layers.get(node).and_then(Option::as_ref) else { return };
        let shape = &layer.encrypted.plan().shape;
        let biases = layer.parameters.bias.elements(shape.output.height * shape.output.width);
        for (accumulator, bias) in accumulators.iter_mut().zip(biases) {
            *accumulator = bias as u32;
        }
        linear_accumulate(shape, &layer.parameters.weights, share, accumulators);
    }
}
