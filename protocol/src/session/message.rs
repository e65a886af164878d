//! The messages of both phases, as domain types. `tacit-proto` converts them to and from the wire.

use crate::plan::{NodeId, PlanDigest};
use crate::random::RandomError;
use crate::rlwe::PublicKey;
use crate::steps::MessageKind;
use rand::{TryRng, rngs::SysRng};

/// Session ID: 128 random bits that name a prepared session. Whoever knows it can use the session up, so it is not logged whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// A fresh ID from the system's random generator.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 16];
        SysRng.try_fill_bytes(&mut bytes).map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }
}

impl std::fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SessionId({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// A piece of a logical message of one step. Both sides know each logical message's length from the plan;
/// pieces come in order, without gaps, at most [`Message::MAX_DATA`] bytes each.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Which session of the batch, from 0 (always 0 online).
    pub session: u32,
    /// The step's node.
    pub node: NodeId,
    /// What `data` is a piece of.
    pub kind: MessageKind,
    /// Round trip of an interactive step online, from 0; 0 for all other messages.
    pub round: u32,
    /// Position of the first byte of `data` in the logical message.
    pub offset: u64,
    /// 1 to [`Message::MAX_DATA`] bytes.
    pub data: Vec<u8>,
}

impl Message {
    /// Largest number of data bytes in one message: leaves room for framing under 1 MiB.
    pub const MAX_DATA: usize = 768 * 1024;
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Message(session {}, node {}, {:?} {}, {} bytes at {})",
            self.session,
            self.node,
            self.kind,
            self.round,
            self.data.len(),
            self.offset
        )
    }
}

/// First message of a `Preprocess` stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Name under which the model is served.
    pub model: String,
    /// Digest of the plan that the client follows.
    pub digest: PlanDigest,
    /// Number of sessions to prepare, 1 to [`max_sessions`](super::max_sessions) of the plan.
    pub sessions: u32,
    /// One key for each parameter set that the plan uses, in ascending order of the set.
    pub public_keys: Vec<PublicKey>,
    /// The client's first message of the base OTs in which it receives (opaque to all but `ot`).
    pub base_receiver: Vec<u8>,
}

impl Open {
    /// Most sessions that one stream prepares, whatever the plan.
    pub const MAX_SESSIONS: u32 = 1024;
}

/// The server's answer to [`Open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The server's answer to [`Open::base_receiver`].
    pub base_sender: Vec<u8>,
    /// The server's first message of the base OTs in which it receives.
    pub base_receiver: Vec<u8>,
    /// Request of the silent set-up in which the server chooses; empty for the other extension.
    pub silent_request: Vec<u8>,
}

/// The client's answer to [`Accept`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtSetup {
    /// The client's answer to [`Accept::base_receiver`].
    pub base_sender: Vec<u8>,
    /// Request of the silent set-up in which the client chooses; empty for the other extension.
    pub silent_request: Vec<u8>,
}

/// The server has stored a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Which session of the batch.
    pub session: u32,
    /// Its session ID.
    pub id: SessionId,
    /// Seconds until the server forgets it.
    pub lifetime_seconds: u64,
}

/// Client to server, `Preprocess` stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreprocessRequest {
    /// First message.
    Open(Open),
    /// Once, after [`Accept`].
    OtSetup(OtSetup),
    /// A piece of a step's message.
    Step(Message),
}

/// Server to client, `Preprocess` stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreprocessResponse {
    /// First message.
    Accept(Accept),
    /// A piece of a step's message.
    Step(Message),
    /// A session is ready.
    Prepared(Prepared),
}

/// Client to server, `Online` stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnlineRequest {
    /// First message: takes the session out of the store.
    Open(SessionId),
    /// A piece of a step's message.
    Step(Message),
}

/// Server to client, `Online` stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnlineResponse {
    /// A piece of a step's message.
    Step(Message),
}
