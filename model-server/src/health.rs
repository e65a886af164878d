//! Asks a running server whether it serves: for containers, which have no other client at hand.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Why a server does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// No connection, or an address that is none.
    #[error("the server cannot be reached")]
    Unreachable(#[from] tonic::transport::Error),
    /// It answered with an error.
    #[error("the server does not answer: {}", .0.message())]
    Refused(Box<tonic::Status>),
    /// It answered, but does not serve.
    #[error("the server does not serve: {0:?}")]
    NotServing(ServingStatus),
}

/// Succeeds if the server at `server` (`http://ADDR:PORT`) says within `timeout` that it serves.
///
/// # Errors
/// [`HealthError`].
pub async fn check(server: String, timeout: Duration) -> Result<(), HealthError> {
    let channel: Channel = Endpoint::from_shared(server)?.connect_timeout(timeout).timeout(timeout).connect().await?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    let status = answer.map_err(|status| HealthError::Refused(Box::new(status)))?.get_ref().status();
    match status {
        ServingStatus::Serving => Ok(()),
        other => Err(HealthError::NotServing(other)),
    }
}
