//! Preprocessing of a truncation.

pub mod client;
pub mod server;
