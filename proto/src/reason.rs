//! Typed failures of the service and their gRPC status codes.

use tonic::{Code, Status, metadata::MetadataValue};

/// Why a call failed, for programs. Travels in the trailing metadata entry [`Reason::METADATA_KEY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No model of this name is served. `NOT_FOUND`.
    UnknownModel,
    /// The client follows another plan than the server. `FAILED_PRECONDITION`.
    DigestMismatch,
    /// The session does not exist, has expired, was used, or belongs to another model. `NOT_FOUND`.
    UnknownSession,
    /// A message breaks the schema or the protocol. `INVALID_ARGUMENT`.
    InvalidMessage,
    /// A message came at the wrong time. `FAILED_PRECONDITION`.
    OutOfOrder,
    /// The server holds as many sessions, or does as much work, as it may. `RESOURCE_EXHAUSTED`.
    Capacity,
    /// The client took too long. `DEADLINE_EXCEEDED`.
    Timeout,
    /// The server failed. `INTERNAL`.
    Internal,
}

impl Reason {
    /// Name of the metadata entry.
    pub const METADATA_KEY: &'static str = "tacit-reason";

    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::UnknownModel,
        Self::DigestMismatch,
        Self::UnknownSession,
        Self::InvalidMessage,
        Self::OutOfOrder,
        Self::Capacity,
        Self::Timeout,
        Self::Internal,
    ];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownModel => "unknown-model",
            Self::DigestMismatch => "digest-mismatch",
            Self::UnknownSession => "unknown-session",
            Self::InvalidMessage => "invalid-message",
            Self::OutOfOrder => "out-of-order",
            Self::Capacity => "capacity",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }

    /// The status code of this reason.
    pub const fn code(self) -> Code {
        match self {
            Self::UnknownModel | Self::UnknownSession => Code::NotFound,
            Self::DigestMismatch | Self::OutOfOrder => Code::FailedPrecondition,
            Self::InvalidMessage => Code::InvalidArgument,
            Self::Capacity => Code::ResourceExhausted,
            Self::Timeout => Code::DeadlineExceeded,
            Self::Internal => Code::Internal,
        }
    }

    /// A status with this reason and a message for people, which must not hold secrets.
    pub fn status(self, message: impl Into<String>) -> Status {
        let mut status = Status::new(self.code(), message);
        status.metadata_mut().insert(Self::METADATA_KEY, MetadataValue::from_static(self.word()));
        status
    }

    /// The reason that a status carries, if it carries one.
    pub fn of(status: &Status) -> Option<Self> {
        let word = status.metadata().get(Self::METADATA_KEY)?.to_str().ok()?;
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

impl From<crate::ConvertError> for Status {
    /// A message that breaks the schema is the sender's fault.
    fn from(error: crate::ConvertError) -> Self {
        Reason::InvalidMessage.status(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_a_status() {
        for reason in Reason::ALL {
            let status = reason.status("why");
            assert_eq!(status.code(), reason.code());
            assert_eq!(status.message(), "why");
            assert_eq!(Reason::of(&status), Some(reason));
        }
    }

    #[test]
    fn statuses_from_elsewhere_have_no_reason() {
        assert_eq!(Reason::of(&Status::unavailable("gone")), None);
        let mut status = Status::internal("odd");
        status.metadata_mut().insert(Reason::METADATA_KEY, MetadataValue::from_static("made-up"));
        assert_eq!(Reason::of(&status), None);
    }
}
