//! Expected traffic.

use tacit_protocol::session::{PhasePrediction, Prediction};

use crate::pb;

impl From<&PhasePrediction> for pb::PhasePrediction {
    fn from(phase: &PhasePrediction) -> Self {
        Self {
            bytes_sent: phase.bytes_sent,
            bytes_received: phase.bytes_received,
            round_trips: phase.round_trips,
            transfers: phase.transfers,
        }
    }
}

impl From<&Prediction> for pb::Prediction {
    /// The set-up of a stream counts towards preprocessing: the schema speaks of one session on a stream of its own.
    fn from(prediction: &Prediction) -> Self {
        let (setup, session) = (&prediction.setup, &prediction.preprocessing);
        let preprocessing = PhasePrediction {
            bytes_sent: setup.bytes_sent + session.bytes_sent,
            bytes_received: setup.bytes_received + session.bytes_received,
            round_trips: setup.round_trips + session.round_trips,
            transfers: setup.transfers + session.transfers,
        };
        Self { preprocessing: Some((&preprocessing).into()), online: Some((&prediction.online).into()) }
    }
}
