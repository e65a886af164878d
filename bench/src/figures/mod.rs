//! Measurements as the JSON object that is printed.

mod spread;
mod times;

use std::collections::BTreeMap;

use serde::Serialize;
use tacit_client::Model;
use tacit_protocol::session::PhasePrediction;

use crate::measure::{Measurements, Memory, Phase};
use crate::network::Network;
use crate::throughput::Throughput;
use crate::usage::ProcessorTime;
use spread::percentile;

pub(crate) use spread::Spread;
pub(crate) use times::{KindFigures, NetworkTime, TimeFigures};

/// The JSON object.
#[derive(Serialize)]
pub(crate) struct Figures {
    /// Name on the server.
    pub(crate) model: String,
    /// Name of the network's file, if the server was started here.
    pub(crate) file: Option<String>,
    /// Of the plan.
    pub(crate) digest: String,
    /// The encryption of the client.
    pub(crate) engine: String,
    pub(crate) runs: u32,
    /// Of the client, and of the server if it was started here.
    pub(crate) threads: Option<usize>,
    pub(crate) network: Option<NetworkFigures>,
    /// One session on its own stream.
    pub(crate) preprocessing: PhaseFigures,
    /// Sessions together on one stream.
    pub(crate) preprocessing_batch: PhaseFigures,
    pub(crate) online: PhaseFigures,
    /// The first inference of a connection.
    pub(crate) first_online: PhaseFigures,
    pub(crate) memory: MemoryFigures,
    pub(crate) throughput: Vec<ThroughputFigures>,
    /// What to know about these figures.
    pub(crate) notes: Vec<String>,
}

impl Figures {
    /// The network's file, or else its name on the server. A peer may have chosen it: there are no characters in it that steer a
    /// terminal or that pictures cannot hold.
    pub(crate) fn name(&self) -> String {
        let name = self.file.as_ref().unwrap_or(&self.model);
        name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    }
}

/// The emulated network.
#[derive(Serialize)]
pub(crate) struct NetworkFigures {
    pub(crate) bits_per_second: f64,
    pub(crate) round_trip_seconds: f64,
}

/// One phase. Bytes and times are those of one run with all its sessions.
#[derive(Serialize)]
pub(crate) struct PhaseFigures {
    pub(crate) sessions: u32,
    pub(crate) seconds: Spread,
    pub(crate) seconds_per_session: Spread,
    /// In which the client had nothing to compute.
    pub(crate) seconds_waiting: Spread,
    /// With the framing of gRPC.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Without framing, as the plan predicts them.
    pub(crate) data_sent: u64,
    pub(crate) data_received: u64,
    /// Both directions.
    pub(crate) data_by_kind: BTreeMap<&'static str, u64>,
    pub(crate) round_trips: u32,
    pub(crate) processor_seconds: ProcessorFigures,
    /// Where the time of the run of median time went.
    pub(crate) time_by_kind: TimeFigures,
    /// What the emulated network explains of the time.
    pub(crate) network_seconds: Option<NetworkTime>,
    pub(crate) predicted: PredictedFigures,
}

/// What the plan predicts for a run.
#[derive(Serialize)]
pub(crate) struct PredictedFigures {
    pub(crate) data_sent: u64,
    pub(crate) data_received: u64,
    /// Of a run with one session.
    pub(crate) round_trips: u32,
    /// Random oblivious transfers, both directions.
    pub(crate) transfers: u64,
}

/// Mean for a run or an inference; the system counts in steps of 10 ms, most often.
#[derive(Serialize)]
pub(crate) struct ProcessorFigures {
    pub(crate) client: Option<f64>,
    pub(crate) server: Option<f64>,
}

/// Bytes of memory.
#[derive(Serialize)]
pub(crate) struct MemoryFigures {
    pub(crate) server_loaded: Option<u64>,
    pub(crate) server_peak: Option<u64>,
    /// Prepared sessions while `server_held` was read.
    pub(crate) held: u32,
    pub(crate) server_held: Option<u64>,
    pub(crate) server_peak_throughput: Option<u64>,
    pub(crate) client_peak: Option<u64>,
}

/// Online inferences at the same time.
#[derive(Serialize)]
pub(crate) struct ThroughputFigures {
    pub(crate) clients: u32,
    pub(crate) inferences: usize,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) inferences_per_second: f64,
    pub(crate) p50_seconds: f64,
    pub(crate) p99_seconds: f64,
    pub(crate) processor_seconds: ProcessorFigures,
}

impl ProcessorFigures {
    fn mean(total: ProcessorTime, count: usize) -> Self {
        let mean = |seconds: Option<f64>| seconds.map(|seconds| seconds / count.max(1) as f64);
        Self { client: mean(total.client), server: mean(total.server) }
    }
}

impl PhaseFigures {
    fn new(phase: &Phase, predicted: PhasePrediction, network: Option<NetworkTime>) -> Self {
        let seconds = Spread::new(phase.runs.iter().map(|run| run.seconds));
        let last = phase.last();
        Self {
            sessions: phase.sessions,
            seconds,
            seconds_per_session: seconds.divided(phase.sessions),
            seconds_waiting: Spread::new(phase.runs.iter().map(|run| run.seconds_waiting)),
            bytes_sent: last.bytes_sent,
            bytes_received: last.bytes_received,
            data_sent: last.data_sent,
            data_received: last.data_received,
            data_by_kind: last.data_by_kind.iter().collect(),
            round_trips: last.round_trips,
            processor_seconds: ProcessorFigures::mean(phase.processors, phase.runs.len()),
            time_by_kind: TimeFigures::median(&phase.runs),
            network_seconds: network,
            predicted: predicted.into(),
        }
    }
}

impl From<PhasePrediction> for PredictedFigures {
    fn from(predicted: PhasePrediction) -> Self {
        let PhasePrediction { bytes_sent, bytes_received, round_trips, transfers } = predicted;
        Self { data_sent: bytes_sent, data_received: bytes_received, round_trips, transfers }
    }
}

impl MemoryFigures {
    /// While `server_held` was read, the server held so many sessions.
    pub(crate) fn new(memory: &Memory, held: u32) -> Self {
        let Memory { server_loaded, server_peak, server_held, server_peak_throughput, client_peak } = *memory;
        Self { server_loaded, server_peak, held, server_held, server_peak_throughput, client_peak }
    }
}

impl From<&Throughput> for ThroughputFigures {
    fn from(throughput: &Throughput) -> Self {
        let inferences = throughput.latencies.len();
        Self {
            clients: throughput.clients,
            inferences,
            rounds: throughput.rounds,
            seconds: throughput.seconds,
            inferences_per_second: inferences as f64 / throughput.seconds.max(f64::MIN_POSITIVE),
            p50_seconds: percentile(&throughput.latencies, 50),
            p99_seconds: percentile(&throughput.latencies, 99),
            processor_seconds: ProcessorFigures::mean(throughput.processors, inferences),
        }
    }
}

impl From<Network> for NetworkFigures {
    fn from(network: Network) -> Self {
        Self { bits_per_second: network.bits_per_second, round_trip_seconds: network.round_trip.as_secs_f64() }
    }
}

/// The phases and what was predicted for them: alone, in a batch, online, and online for the first time.
pub(crate) fn phases(measurements: &Measurements, model: &Model, network: Option<Network>) -> [PhaseFigures; 4] {
    let preprocessing = |phase: &Phase| {
        let network = network.map(|network| NetworkTime::both_ways(&network, phase.last()));
        PhaseFigures::new(phase, model.predict_preprocessing(phase.sessions), network)
    };
    let online = |phase: &Phase| {
        let network = network.map(|network| NetworkTime::in_turns(&network, phase.last()));
        PhaseFigures::new(phase, model.prediction().online, network)
    };
    [
        preprocessing(&measurements.single),
        preprocessing(&measurements.batch),
        online(&measurements.online),
        online(&measurements.first_online),
    ]
}
