//! What a phase cost: time, bytes and round trips.

mod depths;
mod measured;
mod meter;

use tacit_proto::StepTimes;
use tacit_protocol::session::MessageKind;

pub(crate) use meter::Meter;

/// Cost of one phase, or of several added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseStatistics {
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The part of `seconds` in which the client had nothing to compute and waited for the server or the network.
    pub seconds_waiting: f64,
    /// What the client computed, by kind of work. The rest of `seconds` is waiting, and moving messages.
    pub computing: StepTimes,
    /// What the server computed meanwhile, if it reports that. Client and server may have computed at the same time.
    pub server_computing: Option<StepTimes>,
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
        self.computing += other.computing;
        if let Some(times) = other.server_computing {
            *self.server_computing.get_or_insert_default() += times;
        }
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
            None | Some(MessageKind::ClientSilentReply | MessageKind::ServerSilentReply) => 0,
            Some(MessageKind::MaskCiphertexts) => 1,
            Some(MessageKind::LinearResponses) => 2,
            Some(MessageKind::ShareChoices) => 3,
            Some(MessageKind::ServerCorrelations) => 4,
            Some(MessageKind::ClientCorrections) => 5,
            Some(MessageKind::MaskedInput) => 6,
            Some(MessageKind::ServerOpening) => 7,
            Some(MessageKind::ClientOpening) => 8,
            Some(MessageKind::OutputShare) => 9,
        };
        self.0[index] += bytes;
    }
}
