//! The service on a free port, against the raw stubs and the session machines: one module for each behaviour.

mod bad_messages;
mod harness;
mod inference;
mod limits;
mod sessions;
mod shutdown;
