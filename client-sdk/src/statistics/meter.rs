//! Counts and takes the time of one stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tacit_proto::convert::Timed;
use tacit_proto::limits::FRAME_BYTES;
use tacit_proto::{ConvertError, StepTimes, Stopwatch};
use tacit_protocol::session::Work;

use super::PhaseStatistics;
use super::depths::{Depths, Unprompted};
use super::measured::Measured;

/// Counts the messages of one stream on the client's side.
pub(crate) struct Meter {
    started: Instant,
    /// When the client ran out of things to compute, if it has.
    idle_since: Option<Instant>,
    waiting: Duration,
    stopwatch: Arc<Stopwatch>,
    /// What the server last said about its own work.
    server: Option<StepTimes>,
    statistics: PhaseStatistics,
    depths: Depths,
}

impl Meter {
    /// Starts the clock of a `Preprocess` stream.
    pub(crate) fn preprocessing() -> Self {
        Self::new(Unprompted::Setup)
    }

    /// Starts the clock of an `Online` stream.
    pub(crate) fn online() -> Self {
        Self::new(Unprompted::Latest)
    }

    fn new(unprompted: Unprompted) -> Self {
        Self {
            started: Instant::now(),
            idle_since: None,
            waiting: Duration::ZERO,
            stopwatch: Arc::default(),
            server: None,
            statistics: PhaseStatistics::default(),
            depths: Depths::new(unprompted),
        }
    }

    /// What a machine is to tell its work to.
    pub(crate) fn stopwatch(&self) -> Arc<Stopwatch> {
        Arc::clone(&self.stopwatch)
    }

    /// Takes the time of a computation that begins with work of the kind `first`.
    pub(crate) fn time<R>(&self, first: Work, compute: impl FnOnce() -> R) -> R {
        self.stopwatch.time(first, compute)
    }

    /// All that can be computed has been, until the next message of the server.
    pub(crate) fn idles(&mut self) {
        self.idle_since = Some(Instant::now());
    }

    /// Counts a message to the server and gives its wire form.
    pub(crate) fn sent<T, W>(&mut self, message: T) -> Result<W, W::Error>
    where
        T: Measured,
        W: TryFrom<T> + prost::Message,
    {
        self.depths.sent(message.subject());
        self.statistics.data_sent += message.data_bytes() as u64;
        self.statistics.data_by_kind.add(message.kind(), message.data_bytes() as u64);
        let wire = W::try_from(message)?;
        self.statistics.bytes_sent += (wire.encoded_len() + FRAME_BYTES) as u64;
        Ok(wire)
    }

    /// Counts a message of the server and gives its meaning.
    pub(crate) fn received<W, T>(&mut self, wire: W) -> Result<T, ConvertError>
    where
        W: prost::Message,
        T: Measured,
        Timed<T>: TryFrom<W, Error = ConvertError>,
    {
        if let Some(since) = self.idle_since.take() {
            self.waiting += since.elapsed();
        }
        self.statistics.bytes_received += (wire.encoded_len() + FRAME_BYTES) as u64;
        let Timed { message, times } = Timed::<T>::try_from(wire)?;
        self.server = times.or(self.server);
        self.statistics.data_received += message.data_bytes() as u64;
        self.statistics.data_by_kind.add(message.kind(), message.data_bytes() as u64);
        self.depths.received(message.subject());
        Ok(message)
    }

    /// The cost up to now.
    pub(crate) fn statistics(&self) -> PhaseStatistics {
        PhaseStatistics {
            seconds: self.started.elapsed().as_secs_f64(),
            seconds_waiting: self.waiting.as_secs_f64(),
            computing: self.stopwatch.times(),
            server_computing: self.server,
            round_trips: self.depths.longest(),
            ..self.statistics
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use tacit_proto::pb;
    use tacit_protocol::session::{Message, MessageKind, OnlineRequest, OnlineResponse, SessionId};

    #[test]
    fn bytes_are_those_of_the_wire() {
        let mut meter = Meter::online();
        let open: pb::OnlineRequest = meter.sent(OnlineRequest::Open(SessionId([7; 16]))).unwrap();
        let message =
            Message { session: 0, node: 0, kind: MessageKind::MaskedInput, round: 0, offset: 0, data: vec![1; 1000] };
        let step: pb::OnlineRequest = meter.sent(OnlineRequest::Step(message)).unwrap();
        let message =
            Message { session: 0, node: 2, kind: MessageKind::ServerOpening, round: 0, offset: 0, data: vec![1; 50] };
        let answer = pb::OnlineResponse::try_from(OnlineResponse::Step(message)).unwrap();
        let length = answer.encoded_len();
        let _: OnlineResponse = meter.received(answer).unwrap();
        let statistics = meter.statistics();
        assert_eq!(statistics.bytes_sent, (open.encoded_len() + step.encoded_len() + 10) as u64);
        assert_eq!(statistics.bytes_received, (length + 5) as u64);
        assert_eq!((statistics.data_sent, statistics.data_received), (1000, 50));
        let kinds: Vec<_> = statistics.data_by_kind.iter().collect();
        assert_eq!(kinds, [("masked_input", 1000), ("opening", 50)]);
        assert_eq!(statistics.round_trips, 1);
        let total: PhaseStatistics = [statistics, statistics].into_iter().sum();
        assert_eq!((total.bytes_received, total.round_trips), (2 * statistics.bytes_received, 2));
        assert_eq!(total.data_by_kind.iter().last(), Some(("opening", 100)));
    }

    #[test]
    fn the_last_times_that_the_server_told_count() {
        let mut meter = Meter::online();
        assert_eq!(meter.time(Work::Linear, || 5), 5);
        let message = |length| {
            let data = vec![1; length];
            OnlineResponse::Step(Message {
                session: 0,
                node: 2,
                kind: MessageKind::OutputShare,
                round: 0,
                offset: 0,
                data,
            })
        };
        for (length, told, known) in [(1, None, None), (2, Some(7), Some(7)), (3, Some(9), Some(9)), (4, None, Some(9))]
        {
            let times = |nanoseconds| StepTimes { linear: Duration::from_nanos(nanoseconds), ..Default::default() };
            let timed = Timed { message: message(length), times: told.map(times) };
            let received: OnlineResponse = meter.received(pb::OnlineResponse::try_from(timed).unwrap()).unwrap();
            assert_eq!(received, message(length));
            assert_eq!(meter.statistics().server_computing, known.map(times));
        }
        let statistics = meter.statistics();
        assert_eq!(statistics.computing.total(), statistics.computing.linear);
        let total: PhaseStatistics = [PhaseStatistics::default(), statistics, statistics].into_iter().sum();
        assert_eq!(total.server_computing.unwrap().linear, Duration::from_nanos(18));
        assert_eq!(total.computing.linear, 2 * statistics.computing.linear);
    }

    #[test]
    fn only_idle_time_is_waiting() {
        let mut meter = Meter::online();
        let pause = Duration::from_millis(20);
        std::thread::sleep(pause);
        meter.idles();
        std::thread::sleep(pause);
        let message =
            Message { session: 0, node: 2, kind: MessageKind::ServerOpening, round: 0, offset: 0, data: vec![1; 50] };
        let answer = pb::OnlineResponse::try_from(OnlineResponse::Step(message)).unwrap();
        let _: OnlineResponse = meter.received(answer).unwrap();
        std::thread::sleep(pause);
        let statistics = meter.statistics();
        assert!(statistics.seconds_waiting >= pause.as_secs_f64());
        assert!(statistics.seconds >= statistics.seconds_waiting + 2.0 * pause.as_secs_f64());
    }
}
