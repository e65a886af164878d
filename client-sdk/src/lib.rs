//! Private inference from the side that holds the input.
//!
//! [`Client::connect`] reaches a server, [`Client::model`] fetches the public plan of one of its
//! networks, [`Model::preprocess`] prepares sessions ahead of time, and [`Model::infer`] spends one
//! session on one input. The server sees masks, ciphertexts and shares, never the input, an
//! activation or the answer.
//!
//! What touches the network and what touches secrets is kept apart: `input` (encoding), `phases`
//! (keys, masks and reconstruction, over the state machines of `tacit_protocol`) and `statistics`
//! know nothing of sockets; `exchange` only moves messages.
//!
//! ```no_run
//! # async fn run() -> Result<(), tacit_client::ClientError> {
//! let client = tacit_client::Client::connect("http://127.0.0.1:7400").await?;
//! let model = client.model("m2").await?;
//! model.preprocess(10).await?;
//! let image = ndarray::ArrayD::<f32>::zeros(vec![1, 28, 28]);
//! let inference = model.infer(&image).await?;
//! println!("class {}", inference.class());
//! # Ok(())
//! # }
//! ```

mod answer;
mod client;
mod engine;
mod error;
mod exchange;
mod inference;
mod input;
mod keeper;
mod model;
mod phases;
mod pool;
mod statistics;

pub use answer::Answer;
pub use client::{Client, ClientBuilder};
pub use engine::{Engine, UnknownEngine};
pub use error::ClientError;
pub use inference::Inference;
pub use input::InputError;
pub use model::Model;
pub use statistics::{DataByKind, PhaseStatistics};
pub use tacit_proto::StepTimes;
pub use tacit_proto::convert::ModelSummary;
pub use tacit_protocol::plan::OutputFunction;
