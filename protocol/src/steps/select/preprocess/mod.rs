//! Preprocessing of a comparing step.

pub mod client;
pub mod server;
