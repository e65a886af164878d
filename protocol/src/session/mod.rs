//! Preprocessing and online phase as state machines: message in, messages out.
//!
//! ```text
//! Preprocess   client                                         server
//!              PreprocessClient::start        -- Open ----->  PreprocessServer::open
//!                                             -- Step ----->  (mask ciphertexts)
//!                                             <-- Accept ---
//!                                             <-- Step -----  (linear responses)
//!                                             -- OtSetup -->
//!                                             -- Step ----->  (square choices) ...
//!                                             <-- Prepared -  ServerSession
//!              ClientSession
//! Online       ClientSession::start           -- Open ----->  ServerSession::start (taken out of the store)
//!              OnlineClient                   -- Step ----->  OnlineServer
//!                                             <-- Step -----  ...
//!              logits
//! ```

mod assembly;
mod error;
mod in_flight;
mod inline;
mod layout;
mod message;
mod model;
mod observer;
mod online_client;
mod online_server;
mod predict;
mod preprocess_client;
mod preprocess_server;
#[cfg(test)]
mod tests;
mod transfers;

pub use crate::steps::MessageKind;
pub use error::{Blame, SessionError};
pub use message::{
    Accept, Message, OnlineRequest, OnlineResponse, Open, OtSetup, Prepared, PreprocessRequest, PreprocessResponse,
    SessionId,
};
pub use model::ServerModel;
pub use observer::{Work, WorkObserver};
pub use online_client::{ClientSession, OnlineClient, OnlineProgress};
pub use online_server::{OnlineServer, ServerSession};
pub use predict::{PhasePrediction, Prediction, predict, predict_stream};
pub use preprocess_client::{ClientProgress, PreprocessClient};
pub use preprocess_server::{PreprocessServer, ServerProgress};
pub use transfers::max_sessions;
