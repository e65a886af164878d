//! What can go wrong in a session, and whose fault it is.

use crate::ot::OtError;
use crate::plan::{NodeId, PlanError};
use crate::random::RandomError;
use crate::rlwe::RlweError;
use crate::steps::MessageKind;

/// Why a session cannot go on. After an error the state machine is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A message that the state does not allow: out of order, repeated, or of another step.
    #[error("unexpected message: {0}")]
    Unexpected(&'static str),
    /// A step message that its node does not expect now.
    #[error("unexpected {kind:?} for node {node}, round {round}")]
    UnexpectedStep {
        /// The node that the message names.
        node: NodeId,
        /// What it says it is.
        kind: MessageKind,
        /// The round trip that it names.
        round: u32,
    },
    /// A piece does not continue the message that it belongs to.
    #[error("{kind:?} for node {node}: expected a piece at byte {expected}, got one at {got}")]
    Offset {
        /// The node that the message names.
        node: NodeId,
        /// What it says it is.
        kind: MessageKind,
        /// Bytes received so far.
        expected: u64,
        /// Offset in the piece.
        got: u64,
    },
    /// A piece is empty, too large, or runs past the end of its message.
    #[error("{kind:?} for node {node}: a piece of {got} bytes where at most {limit} are left")]
    PieceLength {
        /// The node that the message names.
        node: NodeId,
        /// What it says it is.
        kind: MessageKind,
        /// Bytes in the piece.
        got: usize,
        /// Bytes that could follow.
        limit: usize,
    },
    /// The plan's digest is not the model's.
    #[error("the plan's digest differs: the model has changed or is another one")]
    Digest,
    /// The number of sessions is zero or too large.
    #[error("{sessions} sessions in one batch: between 1 and {limit} are possible with this plan")]
    SessionCount {
        /// Sessions asked for.
        sessions: u32,
        /// Most that are possible: [`max_sessions`](super::max_sessions) of the plan.
        limit: u32,
    },
    /// A session index that the batch does not have, or one that is out of turn.
    #[error("session {0} is not open in this batch")]
    SessionIndex(u32),
    /// The public keys are not exactly those that the plan needs.
    #[error("the public keys do not match the plan's parameter sets")]
    PublicKeys,
    /// The input has another number of elements than the plan's.
    #[error("the input has {got} elements, the plan's input {expected}")]
    InputLength {
        /// Elements of the plan's input.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// The model does not fit its own plan.
    #[error("the model has no parameters for node {0}")]
    Model(NodeId),
    /// A plan that cannot be followed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Homomorphic encryption.
    #[error(transparent)]
    Encryption(#[from] RlweError),
    /// Oblivious transfer.
    #[error(transparent)]
    Transfer(#[from] OtError),
    /// The system's random generator.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Whose fault a [`SessionError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The peer sent what it must not send.
    Peer,
    /// The caller of this library passed something unusable.
    Caller,
    /// The machine or this program failed.
    Internal,
}

impl SessionError {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::InputLength { .. } | Self::Plan(_) => Blame::Caller,
            Self::Random(_) | Self::Model(_) => Blame::Internal,
            _ => Blame::Peer,
        }
    }
}
