//! What the client and the server of a private inference must do alike.
//!
//! Everything here is synchronous and free of IO: no sockets, files or clocks. A session is a state
//! machine that takes a message in and gives messages out ([`session`]); the async shells around it
//! only move bytes. `docs/protocol.md` in the repository is the specification.

pub mod bits;
pub mod ot;
pub mod plan;
pub mod random;
pub mod rlwe;
pub mod session;
pub mod share;
pub mod steps;
#[cfg(test)]
mod uniformity;
mod wiped;
