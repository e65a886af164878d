//! Measurements as the JSON object that is printed.

use std::collections::BTreeMap;

use serde::Serialize;
use tacit_protocol::session::{PhasePrediction, Prediction};

use super::measure::{Measurements, Memory, Phase, Throughput};
use super::network::Network;
use super::usage::ProcessorTime;

/// The JSON object.
#[derive(Serialize)]
pub(crate) struct Figures {
    /// Name on the server.
    pub(crate) model: String,
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
    pub(crate) memory: MemoryFigures,
    pub(crate) throughput: Vec<ThroughputFigures>,
    /// What to know about these figures.
    pub(crate) notes: Vec<&'static str>,
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
    pub(crate) server_peak_throughput: Option<u64>,
    pub(crate) client_peak: Option<u64>,
}

/// Online inferences at the same time.
#[derive(Serialize)]
pub(crate) struct ThroughputFigures {
    pub(crate) clients: u32,
    pub(crate) inferences: usize,
    pub(crate) seconds: f64,
    pub(crate) inferences_per_second: f64,
    pub(crate) p50_seconds: f64,
    pub(crate) p99_seconds: f64,
    pub(crate) processor_seconds: ProcessorFigures,
}

/// Of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value; zeros of none.
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let median =
            if values.len().is_multiple_of(2) { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 } else { at(middle) };
        Self { median, min: at(0), max: at(values.len().saturating_sub(1)) }
    }

    fn divided(self, count: u32) -> Self {
        let count = f64::from(count);
        Self { median: self.median / count, min: self.min / count, max: self.max / count }
    }
}

/// The smallest value that `percent` of all values do not exceed; `sorted` is in ascending order.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

impl ProcessorFigures {
    fn mean(total: ProcessorTime, count: usize) -> Self {
        let mean = |seconds: Option<f64>| seconds.map(|seconds| seconds / count.max(1) as f64);
        Self { client: mean(total.client), server: mean(total.server) }
    }
}

impl PhaseFigures {
    fn new(phase: &Phase, predicted: PredictedFigures) -> Self {
        let seconds = Spread::new(phase.runs.iter().map(|run| run.seconds));
        // Runs differ by a few bytes of framing at most.
        let last = phase.runs.last().copied().unwrap_or_default();
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
            predicted,
        }
    }
}

impl PredictedFigures {
    /// A stream that is set up and then runs the phase for each session.
    fn new(setup: PhasePrediction, phase: PhasePrediction, sessions: u32) -> Self {
        let sessions = u64::from(sessions);
        Self {
            data_sent: setup.bytes_sent + sessions * phase.bytes_sent,
            data_received: setup.bytes_received + sessions * phase.bytes_received,
            round_trips: setup.round_trips + phase.round_trips,
            transfers: setup.transfers + sessions * phase.transfers,
        }
    }
}

impl From<&Memory> for MemoryFigures {
    fn from(memory: &Memory) -> Self {
        let Memory { server_loaded, server_peak, server_peak_throughput, client_peak } = *memory;
        Self { server_loaded, server_peak, server_peak_throughput, client_peak }
    }
}

impl From<&Throughput> for ThroughputFigures {
    fn from(throughput: &Throughput) -> Self {
        let inferences = throughput.latencies.len();
        Self {
            clients: throughput.clients,
            inferences,
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

/// The phases and what was predicted for them: alone, in a batch, online.
pub(crate) fn phases(measurements: &Measurements, prediction: &Prediction) -> [PhaseFigures; 3] {
    let Prediction { setup, preprocessing, online } = *prediction;
    let Measurements { single, batch, online: inferences, .. } = measurements;
    [
        PhaseFigures::new(single, PredictedFigures::new(setup, preprocessing, single.sessions)),
        PhaseFigures::new(batch, PredictedFigures::new(setup, preprocessing, batch.sessions)),
        PhaseFigures::new(inferences, PredictedFigures::new(PhasePrediction::default(), online, 1)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_have_a_median_between_their_ends() {
        let spread = |values: &[f64]| Spread::new(values.iter().copied());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Spread { median: 3.0, min: 1.0, max: 9.0 });
        assert_eq!(spread(&[5.0]), Spread { median: 5.0, min: 5.0, max: 5.0 });
        assert_eq!(spread(&[]), Spread { median: 0.0, min: 0.0, max: 0.0 });
        assert_eq!(spread(&[4.0, 8.0]).divided(4), Spread { median: 1.5, min: 1.0, max: 2.0 });
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([1, 50, 99, 100].map(|percent| percentile(&hundred, percent)), [1.0, 50.0, 99.0, 100.0]);
        let thousand: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(percentile(&thousand, 99), 990.0);
        assert_eq!([50, 99].map(|percent| percentile(&[1.0, 2.0, 3.0], percent)), [2.0, 3.0]);
        assert_eq!((percentile(&[7.0], 50), percentile(&[], 50)), (7.0, 0.0));
    }

    #[test]
    fn batches_are_set_up_once() {
        let phase = |bytes_sent| PhasePrediction { bytes_sent, bytes_received: 1, round_trips: 3, transfers: 5 };
        let setup = PhasePrediction { round_trips: 0, transfers: 0, ..phase(100) };
        let predicted = PredictedFigures::new(setup, phase(7), 10);
        assert_eq!((predicted.data_sent, predicted.data_received), (170, 11));
        assert_eq!((predicted.round_trips, predicted.transfers), (3, 50));
    }
}
