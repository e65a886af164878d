//! Everything that can go wrong in a call, and the one place where it becomes a gRPC status.

use std::time::Duration;

use tacit_proto::{ConvertError, Reason};
use tacit_protocol::session::{Blame, SessionError};
use tonic::{Code, Status};

use crate::store::{StoreError, UnknownSession};
use crate::workers::WorkerError;

/// Why a call failed. Holds no secrets: the texts go to the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("no model of this name is served; ListModels gives the names")]
    UnknownModel,
    #[error(transparent)]
    UnknownSession(#[from] UnknownSession),
    /// A field of a message breaks the schema.
    #[error(transparent)]
    Field(#[from] ConvertError),
    /// Not a message at all, or one over the limit.
    #[error("unreadable message: {0}")]
    Unreadable(String),
    /// A message of the server's own does not fit the schema.
    #[error("an answer does not fit the schema: {0}")]
    Answer(ConvertError),
    #[error("out of order: {0}")]
    OutOfOrder(&'static str),
    #[error("out of order: the client closed its side before its last message")]
    EndedEarly,
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// More of something than this server allows.
    #[error("{what}: the limit is {limit}")]
    Limit { what: &'static str, limit: usize },
    #[error("nothing came from, or could be sent to, the client for {} seconds", .0.as_secs())]
    Idle(Duration),
    /// A call came in without the connection that it came over.
    #[error("a call without a connection")]
    NoPeer,
    #[error("the server is shutting down")]
    ShuttingDown,
    #[error("the client has left")]
    ClientLeft,
}

impl ServiceError {
    /// What went wrong while the next message was read: the client's fault where the message was unreadable,
    /// nobody's where the connection broke.
    pub(crate) fn from_inbound(status: &Status) -> Self {
        let broken = std::error::Error::source(status).is_some();
        match status.code() {
            Code::Internal | Code::OutOfRange | Code::Unimplemented if !broken => {
                Self::Unreadable(status.message().to_owned())
            }
            _ => Self::ClientLeft,
        }
    }

    /// A word for logs.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutting-down",
            Self::ClientLeft => "client-left",
            other => other.reason().word(),
        }
    }

    /// Whether somebody should look into it.
    pub(crate) fn is_internal(&self) -> bool {
        !matches!(self, Self::ShuttingDown | Self::ClientLeft) && self.reason() == Reason::Internal
    }

    fn reason(&self) -> Reason {
        match self {
            Self::UnknownModel => Reason::UnknownModel,
            Self::UnknownSession(_) => Reason::UnknownSession,
            Self::Field(_) | Self::Unreadable(_) => Reason::InvalidMessage,
            Self::OutOfOrder(_) | Self::EndedEarly => Reason::OutOfOrder,
            Self::Session(error) => session_reason(error),
            Self::Store(StoreError::Full) | Self::Worker(WorkerError::Busy) | Self::Limit { .. } => Reason::Capacity,
            Self::Idle(_) => Reason::Timeout,
            Self::Store(StoreError::Random(_))
            | Self::Worker(WorkerError::Panicked)
            | Self::Answer(_)
            | Self::NoPeer
            | Self::ShuttingDown
            | Self::ClientLeft => Reason::Internal,
        }
    }
}

fn session_reason(error: &SessionError) -> Reason {
    match error {
        SessionError::Digest => Reason::DigestMismatch,
        SessionError::Unexpected(_)
        | SessionError::UnexpectedStep { .. }
        | SessionError::Offset { .. }
        | SessionError::SessionIndex(_) => Reason::OutOfOrder,
        other => match other.blame() {
            Blame::Peer => Reason::InvalidMessage,
            Blame::Caller | Blame::Internal => Reason::Internal,
        },
    }
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::ShuttingDown => Self::unavailable(error.to_string()),
            ServiceError::ClientLeft => Self::cancelled(error.to_string()),
            other => match other.reason() {
                // What went wrong inside is for the log.
                Reason::Internal => Reason::Internal.status("the server failed"),
                reason => reason.status(error.to_string()),
            },
        }
    }
}
