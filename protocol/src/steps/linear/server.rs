//! The server: products with its weights, masked.

use crate::rlwe::{LinearRequest, LinearResponse, PreparedLinear, RlweError};

/// Server: the responses to uploads, and its shares `s`, each drawn from the request's seed; one pass over the weights answers
/// several where that is cheaper.
///
/// # Errors
/// An upload of a wrong length, a key of another parameter set.
pub fn server_respond(prepared: &PreparedLinear, requests: &[LinearRequest]) -> Result<Vec<LinearResponse>, RlweError> {
    prepared.respond(requests)
}
