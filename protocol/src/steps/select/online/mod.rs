//! The round trips of a comparing step: round 0 opens the windows, the last one closes the multiplexer.

pub mod client;
pub mod server;
