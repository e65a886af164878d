//! The interface of an interactive step: all that a session needs of it.
//!
//! ```text
//! preprocessing   ClientHalf::advance  <- messages of Interactive::preprocessing ->  ServerHalf::advance
//!                 ClientNext::Ready                                                  ServerNext::Ready
//! online          ClientOnline::answer <- ServerOpening, ClientOpening in turns  ->  ServerOnline::open, answer
//!                 (the next mask is the client's share)                              ServerProgress::Value
//! ```
//!
//! A step implements [`Interactive`] for its layout. Calls go through it once for each node and message; what is computed
//! inside is not generic.

use crate::ot::{ExtensionReceiver, ExtensionSender, OtError, ReceiverKeys, SenderKeys};
use crate::random::Seed;
use crate::share::Share;

use super::message::MessageKind;

/// Random OTs of one step, by the party that chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtCount {
    /// Random OTs in which the client chooses.
    pub client: usize,
    /// Random OTs in which the server chooses.
    pub server: usize,
}

/// An interactive step of a plan: its sizes, and its two halves.
pub trait Interactive: Send + Sync {
    /// Name of the step. Seeds of its random values are derived from it.
    fn name(&self) -> &'static str;

    /// Random OTs that it uses up.
    fn transfers(&self) -> OtCount;

    /// Kinds of its preprocessing messages, in order, from both parties in turns.
    fn preprocessing(&self) -> &'static [MessageKind];

    /// Round trips online, at least one.
    fn rounds(&self) -> u32;

    /// Exact bytes of a logical message; `round` is 0 in preprocessing. `None` if the step has no such message.
    fn message_len(&self, kind: MessageKind, round: u32) -> Option<usize>;

    /// The client's half, before preprocessing.
    fn client(&self) -> Box<dyn ClientHalf>;

    /// The server's half, before preprocessing.
    fn server(&self) -> Box<dyn ServerHalf>;
}

/// The random OTs of one step, from the side of one party.
#[derive(Clone, Copy)]
pub struct StepTransfers<'a> {
    /// Those in which this party chooses.
    pub receiver: &'a ExtensionReceiver,
    /// Number of the first of them.
    pub first_chosen: u64,
    /// Those in which the other party chooses.
    pub sender: &'a ExtensionSender,
    /// Number of the first of them.
    pub first_offered: u64,
}

impl StepTransfers<'_> {
    /// Extends by this party's `choices` for `count` random OTs from number `first` of the step on.
    pub fn choose(&self, first: u64, count: usize, choices: &[u64]) -> (Vec<u8>, ReceiverKeys) {
        self.receiver.extend(self.first_chosen + first, count, choices)
    }

    /// Extends by the other party's rows for `count` random OTs from number `first` of the step on.
    ///
    /// # Errors
    /// [`OtError`] if the rows are refused.
    pub fn offer(&self, first: u64, count: usize, rows: &[u8]) -> Result<SenderKeys, OtError> {
        self.sender.extend(self.first_offered + first, count, rows)
    }
}

/// What the client knows of a node when it makes a preprocessing message.
pub struct ClientView<'a> {
    /// Its shares of the node's inputs.
    pub inputs: &'a [&'a Share],
    /// The next mask: its share of the node's value.
    pub next_mask: &'a Share,
    /// The step's random OTs.
    pub transfers: StepTransfers<'a>,
    /// For random values of this node of this session.
    pub seed: &'a Seed,
}

/// What the server knows of a node when it makes a preprocessing message. Its shares come online only.
pub struct ServerView<'a> {
    /// The step's random OTs.
    pub transfers: StepTransfers<'a>,
    /// For random values of this node of this session.
    pub seed: &'a Seed,
}

/// The client's half of a step in preprocessing.
pub trait ClientHalf: Send {
    /// Makes the client's next message from the server's last one, of the layout's length; empty if there was none.
    ///
    /// # Errors
    /// [`OtError`] if extension rows are refused.
    fn advance(self: Box<Self>, received: &[u8], view: &ClientView) -> Result<(Vec<u8>, ClientNext), OtError>;
}

/// The client's half after a message.
pub enum ClientNext {
    /// More messages follow.
    Preprocessing(Box<dyn ClientHalf>),
    /// Ready for the online phase.
    Ready(Box<dyn ClientOnline>),
}

/// The server's half of a step in preprocessing.
pub trait ServerHalf: Send {
    /// Makes the server's next message from the client's last one, of the layout's length; empty if there was none. The
    /// message is empty if the client's was the last.
    ///
    /// # Errors
    /// [`OtError`] if extension rows are refused.
    fn advance(self: Box<Self>, received: &[u8], view: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError>;
}

/// The server's half after a message.
pub enum ServerNext {
    /// More messages follow.
    Preprocessing(Box<dyn ServerHalf>),
    /// Ready for the online phase.
    Ready(Box<dyn ServerOnline>),
}

/// The client's half of a step that is prepared. What a stored session keeps of the step is encoded here. Wiped on drop.
pub trait ClientOnline: Send + Sync {
    /// Answers the server's opening of a round, of the layout's length. The last answer ends with the client's share of the
    /// result less the next mask.
    fn answer(&mut self, round: u32, opening: &[u8]) -> Vec<u8>;
}

/// The server's half of a step that is prepared. What a stored session keeps of the step is encoded here. Wiped on drop.
pub trait ServerOnline: Send + Sync {
    /// The opening of round 0, from the server's shares of the node's inputs.
    fn open(&mut self, inputs: &[&Share]) -> Vec<u8>;

    /// Takes the client's opening of a round, of the layout's length.
    fn answer(&mut self, round: u32, opening: &[u8]) -> ServerProgress;

    /// Memory held, in bytes.
    fn memory_bytes(&self) -> usize;
}

/// What the server has after an opening of the client.
pub enum ServerProgress {
    /// Its opening of the next round.
    Opening(Vec<u8>),
    /// Its share of the value; the client's is the next mask.
    Value(Share),
}
