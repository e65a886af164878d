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

mod message;

pub use message::{
    Accept, Message, MessageKind, OnlineRequest, OnlineResponse, Open, OtSetup, Prepared, PreprocessRequest,
    PreprocessResponse, SessionId,
};
