//! Errors of the homomorphic encryption.

use crate::random::RandomError;

/// Why something cannot be encrypted, evaluated or decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RlweError {
    /// A message has a wrong number of bytes.
    #[error("{what} has {got} bytes, expected {expected}")]
    Length {
        /// Which message.
        what: &'static str,
        /// Bytes by the plan.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// A polynomial or share has a wrong number of elements.
    #[error("{what} has {got} elements, expected {expected}")]
    Elements {
        /// What it is.
        what: &'static str,
        /// Elements by the plan.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// A packing that does not fit its layer.
    #[error("packing: {0}")]
    Packing(&'static str),
    /// The weights are too large for exact and reliable decryption.
    #[error(
        "the noise of this layer could reach 2^{bound_log2:.1}, at most 2^31 can be decrypted: use smaller weights"
    )]
    Noise {
        /// Binary logarithm of the noise bound.
        bound_log2: Log2,
    },
    /// The products could exceed what the two primes hold.
    #[error("the absolute weights of one output add up to {0}, too many for an exact product")]
    ProductRange(u64),
    /// The system's random generator failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A client backend failed.
    #[error("the {backend} backend failed: {reason}")]
    Backend {
        /// Name of the backend.
        backend: &'static str,
        /// Its own message.
        reason: String,
    },
}

/// A binary logarithm that can be compared for equality, in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log2(i32);

impl Log2 {
    /// Rounded to tenths.
    pub fn of(value: f64) -> Self {
        Self((value.log2() * 10.0).round() as i32)
    }
}

impl std::fmt::Display for Log2 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (f64::from(self.0) / 10.0).fmt(formatter)
    }
}
