//! Canonical encoding of a plan and its SHA-256 digest.

/// SHA-256 of the canonical encoding of a plan. Client and server compare it before any work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanDigest(pub [u8; 32]);
