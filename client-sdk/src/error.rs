//! Everything that can go wrong on the client's side. No variant holds a secret.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tacit_proto::{ConvertError, Reason};
use tacit_protocol::session::SessionError;
use tonic::{Code, Status};

use crate::input::InputError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server cannot be reached, or the address is not one.
    #[error("cannot connect to {url}")]
    Connect {
        /// The address as given.
        url: String,
        /// What the transport says.
        #[source]
        source: tonic::transport::Error,
    },
    /// The server refused or failed.
    #[error("the server answered {code:?}: {message}")]
    Status {
        /// The gRPC code.
        code: Code,
        /// The typed reason, if the server gave one.
        reason: Option<Reason>,
        /// The server's words.
        message: String,
    },
    /// The connection broke, or cannot be made anew.
    #[error("the connection to the server is broken: {0}")]
    Disconnected(String),
    /// The server serves no model of this name.
    #[error("the server has no model named {0:?}")]
    UnknownModel(String),
    /// The server follows another plan now: fetch the model again.
    #[error("the model has changed on the server since its plan was fetched")]
    ModelChanged,
    /// The server has forgotten the session, or it was used. The client's half is gone too.
    #[error("the session has expired or is not known to the server")]
    SessionExpired,
    /// The digest that the server announced is not that of the plan that it sent.
    #[error("the plan does not have the digest that the server announced")]
    Digest,
    /// The server, which reveals classes only, revealed one that the network does not have.
    #[error("the server revealed a class that the network does not have")]
    NoSuchClass,
    /// The input does not fit the network; nothing was sent.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The server broke the protocol, or a step failed here.
    #[error("protocol: {0}")]
    Protocol(#[from] SessionError),
    /// A message of the server breaks the schema.
    #[error("unusable message from the server: {0}")]
    Schema(#[from] ConvertError),
    /// Nothing came from the server for too long.
    #[error("no answer from the server for {} seconds", .0.as_secs_f32())]
    Timeout(Duration),
    /// The server ended the stream before the phase was complete.
    #[error("the server ended the stream early")]
    Closed,
    /// No prepared session can be had, because preparing some in the background failed.
    #[error("no prepared session: {0}")]
    NoSession(#[source] Arc<ClientError>),
    /// A computation on this side died.
    #[error("a computation ended abnormally")]
    Aborted,
}

impl ClientError {
    /// Whether another attempt, with another session, may succeed: the server could not be reached, was
    /// too busy, or had forgotten the session.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Disconnected(_) | Self::SessionExpired | Self::Closed => true,
            Self::Status { code, .. } => matches!(code, Code::Unavailable | Code::ResourceExhausted),
            Self::NoSession(cause) => cause.is_transient(),
            _ => false,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        match Reason::of(&status) {
            Some(Reason::DigestMismatch) => Self::ModelChanged,
            Some(Reason::UnknownSession) => Self::SessionExpired,
            // What the server answers has no cause on this side; what the transport reports has.
            None if status.source().is_some() => Self::Disconnected(root_cause(&status)),
            reason => Self::Status { code: status.code(), reason, message: status.message().to_string() },
        }
    }
}

/// The text of the innermost cause.
fn root_cause(error: &dyn Error) -> String {
    std::iter::successors(Some(error), |error: &&dyn Error| (*error).source())
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_become_variants() {
        assert!(matches!(Reason::UnknownSession.status("").into(), ClientError::SessionExpired));
        assert!(matches!(Reason::DigestMismatch.status("").into(), ClientError::ModelChanged));
        let error = ClientError::from(Reason::Capacity.status("full"));
        assert!(matches!(error, ClientError::Status { reason: Some(Reason::Capacity), .. }));
        assert!(error.is_transient());
        assert_eq!(error.to_string(), "the server answered ResourceExhausted: full");
    }

    #[test]
    fn transport_failures_name_their_cause() {
        let cause = std::io::Error::new(std::io::ErrorKind::BrokenPipe, "broken pipe");
        let error = ClientError::from(Status::from_error(Box::new(cause)));
        assert_eq!(error.to_string(), "the connection to the server is broken: broken pipe");
        assert!(error.is_transient());
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        assert!(ClientError::from(Status::unavailable("gone")).is_transient());
        assert!(ClientError::NoSession(Arc::new(ClientError::Closed)).is_transient());
        assert!(!ClientError::from(Status::invalid_argument("bad")).is_transient());
        assert!(!ClientError::ModelChanged.is_transient());
    }
}
