//! Errors of oblivious transfer.

use crate::random::RandomError;

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtError {
    /// The system's random generator failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A message of the peer has the wrong length.
    #[error("the {message} has {actual} bytes instead of {expected}")]
    Length {
        /// Which message.
        message: &'static str,
        /// Bytes that it should have.
        expected: usize,
        /// Bytes that it has.
        actual: usize,
    },
    /// A message of the peer holds bytes that are not the canonical encoding of a point.
    #[error("point {index} of the {message} is not a canonical encoding")]
    InvalidPoint {
        /// Which message.
        message: &'static str,
        /// Position of the point in the message.
        index: usize,
    },
    /// A message of the peer holds the identity, or leads to it.
    #[error("point {index} of the {message} gives the identity")]
    IdentityPoint {
        /// Which message.
        message: &'static str,
        /// Position of the point in the message.
        index: usize,
    },
}

impl OtError {
    /// Fails unless `message` has exactly `expected` bytes.
    pub(crate) fn check_length(message: &'static str, expected: usize, bytes: &[u8]) -> Result<(), Self> {
        if bytes.len() == expected { Ok(()) } else { Err(Self::Length { message, expected, actual: bytes.len() }) }
    }
}
