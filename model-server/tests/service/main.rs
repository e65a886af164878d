//! The service on a free port, against the raw stubs and the session machines: one module for each behaviour.

// Helpers of tests are not in functions marked as tests.
#![allow(clippy::unwrap_used)]

mod bad_messages;
mod harness;
mod inference;
mod limits;
mod sessions;
mod shutdown;
mod times;
