//! The gRPC service that holds the weights.
//!
//! ```text
//!            connection      accepted, counted
//!                |
//!   grpc -> preprocess, online      the two streaming calls, each on a task of its own (call)
//!                |        \
//!             workers     store     the session machines compute off the async threads;
//!                |                  prepared sessions wait here, and are taken once
//!       tacit_protocol::session
//! ```
//!
//! [`Server`] runs in any process, on any free port; the binary adds the command line ([`config`]), the log
//! ([`telemetry`]) and signals ([`app`]).

pub mod app;
mod call;
pub mod config;
mod connection;
mod error;
mod grpc;
pub mod health;
mod inspect;
mod limits;
pub mod load;
mod models;
mod online;
mod preprocess;
mod server;
mod service;
pub mod store;
pub mod telemetry;
pub mod workers;

pub use limits::Limits;
pub use models::ModelsError;
pub use server::{BindError, Builder, ServeError, Server, ShutdownHandle};
