//! The models that a server serves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message;
use tacit_proto::{ConvertError, limits, pb};
use tacit_protocol::session::{ServerModel, predict};

use crate::error::ServiceError;

/// Why a set of models cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelsError {
    /// There must be at least one, and at most as many as one listing holds.
    #[error("{0} models: between 1 and {max} can be served", max = limits::MODELS)]
    Count(usize),
    /// Names are 1 to 256 bytes long.
    #[error("model name {0:?}: must be 1 to {max} bytes long", max = limits::NAME_BYTES)]
    Name(String),
    /// Two models have the same name.
    #[error("model name {0:?}: given twice")]
    Duplicate(String),
    /// The plan is larger than the schema allows.
    #[error("model {name:?}: the plan does not fit the schema: {error}")]
    Plan {
        /// Name of the model.
        name: String,
        /// The field that does not fit.
        error: Box<ConvertError>,
    },
    /// An answer that describes a model or lists all of them is over the message limit.
    #[error("{what} takes {bytes} bytes, the limit for a message is {max}", max = limits::MESSAGE_BYTES)]
    TooLarge {
        /// The answer.
        what: String,
        /// Its encoded length.
        bytes: usize,
    },
}

/// A model under its name, with its public description ready to be sent.
pub(crate) struct ServedModel {
    name: String,
    prepared: Arc<dyn ServerModel>,
    description: pb::Model,
    /// Size of the largest session that was prepared so far, 0 before the first.
    session_bytes: AtomicUsize,
}

impl ServedModel {
    fn new(name: String, prepared: Arc<dyn ServerModel>) -> Result<Self, ModelsError> {
        if name.is_empty() || name.len() > limits::NAME_BYTES {
            return Err(ModelsError::Name(name));
        }
        let plan = prepared.plan();
        let wire_plan = pb::Plan::try_from(plan.as_ref())
            .map_err(|error| ModelsError::Plan { name: name.clone(), error: Box::new(error) })?;
        let description = pb::Model {
            name: name.clone(),
            digest: prepared.digest().0.to_vec(),
            plan: Some(wire_plan),
            prediction: Some((&predict(plan)).into()),
        };
        check_size(format!("the plan of model {name:?}"), description.encoded_len())?;
        Ok(Self { name, prepared, description, session_bytes: AtomicUsize::new(0) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn prepared(&self) -> Arc<dyn ServerModel> {
        Arc::clone(&self.prepared)
    }

    pub(crate) fn description(&self) -> pb::Model {
        self.description.clone()
    }

    /// Bytes that a session of this model takes in the store, as far as is known.
    pub(crate) fn session_bytes(&self) -> usize {
        self.session_bytes.load(Ordering::Relaxed)
    }

    /// Remembers the size of a session for [`Self::session_bytes`].
    pub(crate) fn observe_session_bytes(&self, bytes: usize) {
        self.session_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    fn summary(&self) -> pb::ModelSummary {
        let plan = self.description.plan.as_ref();
        pb::ModelSummary {
            name: self.name.clone(),
            digest: self.description.digest.clone(),
            input: plan.and_then(|plan| plan.input.clone()),
            output_dimensions: plan
                .and_then(|plan| plan.output.as_ref())
                .map(|output| output.dimensions.clone())
                .unwrap_or_default(),
            prediction: self.description.prediction,
        }
    }
}

/// All models, by name.
pub(crate) struct Models {
    models: BTreeMap<String, Arc<ServedModel>>,
    listing: pb::ListModelsResponse,
}

impl Models {
    pub(crate) fn new(models: Vec<(String, Arc<dyn ServerModel>)>) -> Result<Self, ModelsError> {
        if models.is_empty() || models.len() > limits::MODELS {
            return Err(ModelsError::Count(models.len()));
        }
        let mut by_name = BTreeMap::new();
        for (name, prepared) in models {
            let model = ServedModel::new(name.clone(), prepared)?;
            if by_name.insert(name.clone(), Arc::new(model)).is_some() {
                return Err(ModelsError::Duplicate(name));
            }
        }
        let listing = pb::ListModelsResponse { models: by_name.values().map(|model| model.summary()).collect() };
        check_size("the list of models".to_owned(), listing.encoded_len())?;
        Ok(Self { models: by_name, listing })
    }

    pub(crate) fn get(&self, name: &str) -> Result<Arc<ServedModel>, ServiceError> {
        self.models.get(name).cloned().ok_or(ServiceError::UnknownModel)
    }

    pub(crate) fn listing(&self) -> pb::ListModelsResponse {
        self.listing.clone()
    }
}

fn check_size(what: String, bytes: usize) -> Result<(), ModelsError> {
    if bytes > limits::MESSAGE_BYTES { Err(ModelsError::TooLarge { what, bytes }) } else { Ok(()) }
}
