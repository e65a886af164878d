//! Models as they are listed and fetched.

use tacit_protocol::plan::{InputSpec, Plan, PlanDigest};
use tacit_protocol::session::PhasePrediction;

use super::ConvertError;
use super::check::{dimensions, length, required, wide};
use super::plan::digest;
use super::session::model_name;
use crate::{limits, pb};

/// A model without its plan, as [`pb::ListModelsResponse`] lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    /// Name under which the model is served.
    pub name: String,
    /// Digest of its plan, as the server announces it.
    pub digest: PlanDigest,
    /// Name, shape and value range of the input.
    pub input: InputSpec,
    /// Dimensions of the output without the batch dimension.
    pub output_dimensions: Vec<usize>,
    /// Expected cost of preparing one session on a stream of its own.
    pub preprocessing: PhasePrediction,
    /// Expected cost of the online phase.
    pub online: PhasePrediction,
}

/// A model with its plan, as [`pb::GetModelResponse`] gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedModel {
    /// Name under which the model is served.
    pub name: String,
    /// Digest of the plan as the server announces it, to be compared with [`Plan::digest`].
    pub digest: PlanDigest,
    /// The plan, validated.
    pub plan: Plan,
}

impl TryFrom<pb::PhasePrediction> for PhasePrediction {
    type Error = ConvertError;

    fn try_from(wire: pb::PhasePrediction) -> Result<Self, ConvertError> {
        let count = |field, value| wide(field, value, 0..=limits::TRAFFIC - 1);
        Ok(Self {
            bytes_sent: count("bytes_sent", wire.bytes_sent)?,
            bytes_received: count("bytes_received", wire.bytes_received)?,
            round_trips: wire.round_trips,
            transfers: count("transfers", wire.transfers)?,
        })
    }
}

fn phase(field: &str, wire: Option<pb::PhasePrediction>) -> Result<PhasePrediction, ConvertError> {
    required(field, wire)?.try_into().map_err(|error: ConvertError| error.within(field))
}

impl TryFrom<pb::ModelSummary> for ModelSummary {
    type Error = ConvertError;

    fn try_from(wire: pb::ModelSummary) -> Result<Self, ConvertError> {
        let input = required("input", wire.input)?;
        let prediction = required("prediction", wire.prediction)?;
        Ok(Self {
            name: model_name("name", wire.name)?,
            digest: digest("digest", &wire.digest)?,
            input: input.try_into().map_err(|error: ConvertError| error.within("input"))?,
            output_dimensions: dimensions("output_dimensions", &wire.output_dimensions)?,
            preprocessing: phase("prediction.preprocessing", prediction.preprocessing)?,
            online: phase("prediction.online", prediction.online)?,
        })
    }
}

impl TryFrom<pb::ListModelsResponse> for Vec<ModelSummary> {
    type Error = ConvertError;

    fn try_from(wire: pb::ListModelsResponse) -> Result<Self, ConvertError> {
        length("models", wire.models.len(), 0..=limits::MODELS)?;
        let models = wire.models.into_iter().enumerate().map(|(index, model)| {
            model.try_into().map_err(|error: ConvertError| error.within(format_args!("models[{index}]")))
        });
        models.collect()
    }
}

impl TryFrom<pb::GetModelResponse> for ServedModel {
    type Error = ConvertError;

    fn try_from(wire: pb::GetModelResponse) -> Result<Self, ConvertError> {
        let model = required("model", wire.model)?;
        let plan = required("model.plan", model.plan)?;
        Ok(Self {
            name: model_name("model.name", model.name)?,
            digest: digest("model.digest", &model.digest)?,
            plan: plan.try_into().map_err(|error: ConvertError| error.within("model.plan"))?,
        })
    }
}
