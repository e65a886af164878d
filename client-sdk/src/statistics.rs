//! What a phase cost: time, bytes and round trips.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tacit_proto::limits::FRAME_BYTES;
use tacit_protocol::plan::NodeId;
use tacit_protocol::session::{
    Accept, Message, MessageKind, OnlineRequest, OnlineResponse, Open, OtSetup, PreprocessRequest, PreprocessResponse,
};

/// Cost of one phase, or of several added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseStatistics {
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The part of `seconds` in which the client had nothing to compute and waited for the server or the network.
    pub seconds_waiting: f64,
    /// Bytes of all messages to the server, with their gRPC framing.
    pub bytes_sent: u64,
    /// Bytes of all messages from the server, with their gRPC framing.
    pub bytes_received: u64,
    /// The part of `bytes_sent` that the plan predicts: data of steps, keys and base transfers, without any framing.
    pub data_sent: u64,
    /// The part of `bytes_received` that the plan predicts.
    pub data_received: u64,
    /// `data_sent` and `data_received` together, by what the data is for.
    pub data_by_kind: DataByKind,
    /// How often the client waits for an answer to what it sent last: the longest chain of messages in which
    /// each one answers the one before. Phases that are added up are taken to follow each other.
    pub round_trips: u32,
}

impl std::ops::AddAssign for PhaseStatistics {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.seconds_waiting += other.seconds_waiting;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.data_sent += other.data_sent;
        self.data_received += other.data_received;
        for (sum, bytes) in self.data_by_kind.0.iter_mut().zip(other.data_by_kind.0) {
            *sum += bytes;
        }
        self.round_trips = self.round_trips.saturating_add(other.round_trips);
    }
}

impl std::iter::Sum for PhaseStatistics {
    fn sum<I: Iterator<Item = Self>>(phases: I) -> Self {
        phases.fold(Self::default(), |mut total, phase| {
            total += phase;
            total
        })
    }
}

/// Bytes of messages, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataByKind([u64; KINDS.len()]);

/// Names of what messages are for: keys, base transfers and their extension's preparation, then what the steps exchange.
const KINDS: [&str; 10] = [
    "setup",
    "mask_ciphertexts",
    "linear_responses",
    "share_choices",
    "server_correlations",
    "client_corrections",
    "masked_input",
    "opening",
    "answer",
    "output_share",
];

impl DataByKind {
    /// Name and bytes of each kind that occurred: `setup` is keys and what prepares the transfers; the others are named as
    /// [`MessageKind`] names them, in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.0).filter(|(_, bytes)| *bytes > 0)
    }

    fn add(&mut self, kind: Option<MessageKind>, bytes: u64) {
        let index = match kind {
            None | Some(MessageKind::ClientPreparation | MessageKind::ServerPreparation) => 0,
            Some(MessageKind::MaskCiphertexts) => 1,
            Some(MessageKind::LinearResponses) => 2,
            Some(MessageKind::ShareChoices) => 3,
            Some(MessageKind::ServerCorrelations) => 4,
            Some(MessageKind::ClientCorrections) => 5,
            Some(MessageKind::MaskedInput) => 6,
            Some(MessageKind::Opening) => 7,
            Some(MessageKind::Answer) => 8,
            Some(MessageKind::OutputShare) => 9,
        };
        self.0[index] += bytes;
    }
}

/// What a message is about, as far as it tells which message it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The stream as a whole.
    Stream,
    /// One session of a batch.
    Session(u32),
    /// One step of one session.
    Step(u32, NodeId),
}

/// A message whose cost is counted.
pub(crate) trait Measured {
    /// What it is about.
    fn subject(&self) -> Subject;
    /// Bytes that the plan predicts.
    fn data_bytes(&self) -> usize;
    /// What those bytes are for; `None` if they are keys or base transfers.
    fn kind(&self) -> Option<MessageKind>;
}

/// Counts the messages of one stream on the client's side.
pub(crate) struct Meter {
    started: Instant,
    /// When the client ran out of things to compute, if it has.
    idle_since: Option<Instant>,
    waiting: Duration,
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
            statistics: PhaseStatistics::default(),
            depths: Depths::new(unprompted),
        }
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
    pub(crate) fn received<W, T>(&mut self, wire: W) -> Result<T, T::Error>
    where
        W: prost::Message,
        T: TryFrom<W> + Measured,
    {
        if let Some(since) = self.idle_since.take() {
            self.waiting += since.elapsed();
        }
        self.statistics.bytes_received += (wire.encoded_len() + FRAME_BYTES) as u64;
        let message = T::try_from(wire)?;
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
            round_trips: self.depths.longest,
            ..self.statistics
        }
    }
}

/// Which message a step's message of the server answers if the client sent none for that step.
enum Unprompted {
    /// The last message about the stream as a whole: a server in preprocessing speaks first about truncate steps.
    Setup,
    /// The last message of all: the online phase alternates strictly.
    Latest,
}

/// Follows which message answers which. A message's depth is the number of answers that came before it on the
/// chain that it belongs to; messages of different steps and sessions may overtake each other.
struct Depths {
    unprompted: Unprompted,
    /// Depth of the message of the server that is being handled.
    cause: u32,
    setup: u32,
    latest: u32,
    sent: HashMap<(u32, NodeId), u32>,
    received: HashMap<(u32, NodeId), u32>,
    longest: u32,
}

impl Depths {
    fn new(unprompted: Unprompted) -> Self {
        Self { unprompted, cause: 0, setup: 0, latest: 0, sent: HashMap::new(), received: HashMap::new(), longest: 0 }
    }

    fn sent(&mut self, subject: Subject) {
        let mut depth = self.cause;
        match subject {
            Subject::Stream => self.setup = depth,
            Subject::Session(_) => {}
            Subject::Step(session, node) => {
                depth = depth.max(self.received.get(&(session, node)).copied().unwrap_or(0));
                self.sent.insert((session, node), depth);
            }
        }
        self.latest = depth;
    }

    fn received(&mut self, subject: Subject) {
        let answered = match subject {
            Subject::Stream => self.setup,
            Subject::Session(session) => {
                let of_session = self.sent.iter().filter(|((of, _), _)| *of == session);
                of_session.map(|(_, depth)| *depth).max().unwrap_or(self.setup)
            }
            Subject::Step(session, node) => match (self.sent.get(&(session, node)), &self.unprompted) {
                (Some(depth), _) => *depth,
                (None, Unprompted::Setup) => self.setup,
                (None, Unprompted::Latest) => self.latest,
            },
        };
        self.cause = answered + 1;
        self.longest = self.longest.max(self.cause);
        if let Subject::Step(session, node) = subject {
            let depth = self.received.entry((session, node)).or_default();
            *depth = (*depth).max(self.cause);
        }
    }
}

fn step_subject(message: &Message) -> Subject {
    Subject::Step(message.session, message.node)
}

impl Measured for PreprocessRequest {
    fn subject(&self) -> Subject {
        match self {
            Self::Open(_) | Self::OtSetup(_) => Subject::Stream,
            Self::Step(message) => step_subject(message),
        }
    }

    fn data_bytes(&self) -> usize {
        match self {
            Self::Open(Open { public_keys, base_receiver, .. }) => {
                let keys = public_keys.iter().map(|key| key.seed.len() + size_of_val(key.body.as_slice()));
                keys.sum::<usize>() + base_receiver.len()
            }
            Self::OtSetup(OtSetup { base_sender, preparation }) => base_sender.len() + preparation.len(),
            Self::Step(message) => message.data.len(),
        }
    }

    fn kind(&self) -> Option<MessageKind> {
        match self {
            Self::Open(_) | Self::OtSetup(_) => None,
            Self::Step(message) => Some(message.kind),
        }
    }
}

impl Measured for PreprocessResponse {
    fn subject(&self) -> Subject {
        match self {
            Self::Accept(_) => Subject::Stream,
            Self::Prepared(prepared) => Subject::Session(prepared.session),
            Self::Step(message) => step_subject(message),
        }
    }

    fn data_bytes(&self) -> usize {
        match self {
            Self::Accept(Accept { base_sender, base_receiver, preparation }) => {
                base_sender.len() + base_receiver.len() + preparation.len()
            }
            Self::Prepared(_) => 0,
            Self::Step(message) => message.data.len(),
        }
    }

    fn kind(&self) -> Option<MessageKind> {
        match self {
            Self::Accept(_) | Self::Prepared(_) => None,
            Self::Step(message) => Some(message.kind),
        }
    }
}

impl Measured for OnlineRequest {
    fn subject(&self) -> Subject {
        match self {
            Self::Open(_) => Subject::Stream,
            Self::Step(message) => step_subject(message),
        }
    }

    fn data_bytes(&self) -> usize {
        match self {
            Self::Open(_) => 0,
            Self::Step(message) => message.data.len(),
        }
    }

    fn kind(&self) -> Option<MessageKind> {
        match self {
            Self::Open(_) => None,
            Self::Step(message) => Some(message.kind),
        }
    }
}

impl Measured for OnlineResponse {
    fn subject(&self) -> Subject {
        let Self::Step(message) = self;
        step_subject(message)
    }

    fn data_bytes(&self) -> usize {
        let Self::Step(message) = self;
        message.data.len()
    }

    fn kind(&self) -> Option<MessageKind> {
        let Self::Step(message) = self;
        Some(message.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use tacit_proto::pb;
    use tacit_protocol::session::SessionId;

    #[test]
    fn strict_alternation_is_one_trip_each() {
        let mut depths = Depths::new(Unprompted::Latest);
        depths.sent(Subject::Stream);
        depths.sent(Subject::Step(0, 0));
        for (node, pieces) in [(2, 1), (5, 3), (9, 2)] {
            for _ in 0..pieces {
                depths.received(Subject::Step(0, node));
            }
            for _ in 0..2 {
                depths.sent(Subject::Step(0, node));
            }
        }
        assert_eq!(depths.longest, 3);
    }

    #[test]
    fn answers_that_overtake_each_other_are_not_trips() {
        let mut depths = Depths::new(Unprompted::Setup);
        depths.sent(Subject::Stream);
        for node in [1, 3, 5] {
            depths.sent(Subject::Step(0, node));
        }
        depths.received(Subject::Stream);
        depths.sent(Subject::Stream);
        for node in [1, 3, 5] {
            // The response to masks that were sent at first; then choices of the square behind it.
            depths.received(Subject::Step(0, node));
            assert_eq!(depths.cause, 1);
            depths.sent(Subject::Step(0, node + 1));
        }
        // Rows of a truncate step answer the set-up.
        depths.received(Subject::Step(0, 8));
        assert_eq!(depths.cause, 2);
        for node in [2, 4, 6] {
            depths.received(Subject::Step(0, node));
            assert_eq!(depths.cause, 2);
            depths.sent(Subject::Step(0, node));
        }
        depths.received(Subject::Session(0));
        assert_eq!(depths.longest, 3);
        // The next session starts when the first one is ready.
        depths.sent(Subject::Step(1, 1));
        depths.received(Subject::Step(1, 1));
        assert_eq!(depths.longest, 4);
    }

    #[test]
    fn bytes_are_those_of_the_wire() {
        let mut meter = Meter::online();
        let open: pb::OnlineRequest = meter.sent(OnlineRequest::Open(SessionId([7; 16]))).unwrap();
        let message =
            Message { session: 0, node: 0, kind: MessageKind::MaskedInput, round: 0, offset: 0, data: vec![1; 1000] };
        let step: pb::OnlineRequest = meter.sent(OnlineRequest::Step(message)).unwrap();
        let message =
            Message { session: 0, node: 2, kind: MessageKind::Opening, round: 0, offset: 0, data: vec![1; 50] };
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
    fn only_idle_time_is_waiting() {
        let mut meter = Meter::online();
        let pause = Duration::from_millis(20);
        std::thread::sleep(pause);
        meter.idles();
        std::thread::sleep(pause);
        let message =
            Message { session: 0, node: 2, kind: MessageKind::Opening, round: 0, offset: 0, data: vec![1; 50] };
        let answer = pb::OnlineResponse::try_from(OnlineResponse::Step(message)).unwrap();
        let _: OnlineResponse = meter.received(answer).unwrap();
        std::thread::sleep(pause);
        let statistics = meter.statistics();
        assert!(statistics.seconds_waiting >= pause.as_secs_f64());
        assert!(statistics.seconds >= statistics.seconds_waiting + 2.0 * pause.as_secs_f64());
    }
}
