//! The round trip of a square step.

pub mod client;
pub mod server;
