//! Where time went.

use serde::Serialize;
use tacit_client::{PhaseStatistics, StepTimes};

use crate::network::Network;

/// Where the time of one run went, in seconds. What client and server compute at the same time is in both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct TimeFigures {
    pub(crate) elapsed: f64,
    pub(crate) client: KindFigures,
    /// Known only if the server reports it.
    pub(crate) server: Option<KindFigures>,
    /// Neither computed: the network, the system, and what turns messages into bytes and back.
    pub(crate) wire: Option<f64>,
    /// Both computed, at least.
    pub(crate) overlap: Option<f64>,
}

/// Computation by kind of work, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct KindFigures {
    pub(crate) he: f64,
    pub(crate) ot: f64,
    pub(crate) linear: f64,
    pub(crate) activation: f64,
}

/// What a network explains of a phase's time, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct NetworkTime {
    /// Round trips at the network's delay.
    pub(crate) round_trips: f64,
    /// Bytes at the network's rate.
    pub(crate) bytes: f64,
}

impl TimeFigures {
    /// Of the run of median time, the faster one of two: medians of parts would not add up.
    pub(super) fn median(runs: &[PhaseStatistics]) -> Self {
        let mut runs: Vec<&PhaseStatistics> = runs.iter().collect();
        runs.sort_by(|first, second| first.seconds.total_cmp(&second.seconds));
        let middle = runs.len().saturating_sub(1) / 2;
        runs.get(middle).map_or_else(|| Self::from(&PhaseStatistics::default()), |run| Self::from(*run))
    }
}

impl From<&PhaseStatistics> for TimeFigures {
    fn from(run: &PhaseStatistics) -> Self {
        let (elapsed, client) = (run.seconds, KindFigures::from(run.computing));
        let server = run.server_computing.map(KindFigures::from);
        // What is left of the elapsed time; negative if more was computed at the same time.
        let left = server.map(|server| elapsed - client.total() - server.total());
        let (wire, overlap) = (left.map(|left| left.max(0.0)), left.map(|left| (-left).max(0.0)));
        Self { elapsed, client, server, wire, overlap }
    }
}

impl KindFigures {
    pub(crate) fn total(&self) -> f64 {
        self.he + self.ot + self.linear + self.activation
    }
}

impl From<StepTimes> for KindFigures {
    fn from(times: StepTimes) -> Self {
        let [he, ot, linear, activation] =
            [times.encryption, times.transfers, times.linear, times.activation].map(|time| time.as_secs_f64());
        Self { he, ot, linear, activation }
    }
}

impl NetworkTime {
    /// Of a phase in which both directions are used at the same time: the fuller one counts.
    pub(super) fn both_ways(network: &Network, run: PhaseStatistics) -> Self {
        Self::new(network, run, run.bytes_sent.max(run.bytes_received))
    }

    /// Of a phase in which the parties take turns.
    pub(super) fn in_turns(network: &Network, run: PhaseStatistics) -> Self {
        Self::new(network, run, run.bytes_sent + run.bytes_received)
    }

    fn new(network: &Network, run: PhaseStatistics, bytes: u64) -> Self {
        Self {
            round_trips: f64::from(run.round_trips) * network.round_trip.as_secs_f64(),
            bytes: bytes as f64 * 8.0 / network.bits_per_second,
        }
    }

    pub(crate) fn total(&self) -> f64 {
        self.round_trips + self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn run(seconds: f64, client: u64, server: Option<u64>) -> PhaseStatistics {
        let times = |milliseconds| StepTimes { transfers: Duration::from_millis(milliseconds), ..Default::default() };
        PhaseStatistics {
            seconds,
            computing: times(client),
            server_computing: server.map(times),
            bytes_sent: 2_000_000,
            bytes_received: 500_000,
            round_trips: 3,
            ..Default::default()
        }
    }

    #[test]
    fn what_is_not_computed_is_the_wire() {
        let times = TimeFigures::from(&run(1.0, 250, Some(500)));
        assert_eq!((times.client.ot, times.server.unwrap().total()), (0.25, 0.5));
        assert_eq!((times.wire, times.overlap), (Some(0.25), Some(0.0)));
        let times = TimeFigures::from(&run(0.5, 250, Some(500)));
        assert_eq!((times.wire, times.overlap), (Some(0.0), Some(0.25)));
        let times = TimeFigures::from(&run(1.0, 250, None));
        assert_eq!((times.wire, times.overlap, times.server), (None, None, None));
    }

    #[test]
    fn the_run_of_median_time_is_taken() {
        let runs = [3.0, 1.0, 4.0, 2.0].map(|seconds| run(seconds, 1, None));
        assert_eq!(TimeFigures::median(&runs).elapsed, 2.0);
        assert_eq!(TimeFigures::median(&runs[..3]).elapsed, 3.0);
        assert_eq!(TimeFigures::median(&[]).elapsed, 0.0);
    }

    #[test]
    fn networks_explain_trips_and_bytes() {
        let run = run(1.0, 1, None);
        let time = NetworkTime::both_ways(&Network::WAN, run);
        assert_eq!((time.round_trips, time.bytes), (0.12, 0.16));
        let time = NetworkTime::in_turns(&Network::WAN, run);
        assert_eq!((time.bytes, time.total()), (0.2, 0.32));
    }
}
