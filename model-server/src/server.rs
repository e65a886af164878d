//! A server in a process: built, bound to a port, run, shut down.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tacit_proto::FILE_DESCRIPTOR_SET;
use tacit_proto::limits::{LIFETIME_SECONDS, MESSAGE_BYTES};
use tacit_proto::pb::private_inference_server::PrivateInferenceServer;
use tacit_protocol::session::ServerModel;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::connection::Acceptor;
use crate::grpc::Adapter;
use crate::limits::Limits;
use crate::models::{Models, ModelsError};
use crate::service::Service;
use crate::store::Occupancy;

/// Time between questions to a silent client whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Time that it has to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes that a client may send ahead on one call: two of the largest messages.
const STREAM_WINDOW: u32 = 2 * MESSAGE_BYTES as u32;
/// Bytes that a client may send ahead on all calls of a connection.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// Largest piece of a message that a client may send at once: with HTTP/2's default of 16 KiB one message would be read
/// and written in up to 64 steps.
const FRAME_SIZE: u32 = 256 * 1024;
/// Largest metadata of a call, in bytes.
const HEADER_BYTES: u32 = 16 * 1024;
/// Time that last answers have to leave after the calls have ended.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The models cannot be served.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// A limit that would serve nobody.
    #[error("{0} must be at least 1 (a lifetime: one second, and below 2^32 seconds)")]
    Limit(&'static str),
    /// The threads that compute cannot be started.
    #[error("the threads that compute cannot be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The schema's description for gRPC reflection cannot be read.
    #[error("the schema's description cannot be read")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// The server stopped because of a failure of the transport.
#[derive(Debug, thiserror::Error)]
#[error("the server stopped unexpectedly")]
pub struct ServeError(#[from] tonic::transport::Error);

/// What to serve, and how. Made by [`Server::builder`].
#[derive(Default)]
pub struct Builder {
    models: Vec<(String, Arc<dyn ServerModel>)>,
    limits: Limits,
}

impl Builder {
    /// Adds a model under a name of 1 to 256 bytes.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>, model: Arc<dyn ServerModel>) -> Self {
        self.models.push((name.into(), model));
        self
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Listens on `address`; port 0 takes any free port. Clients can connect from now on, and are answered once
    /// [`Server::serve`] runs.
    ///
    /// # Errors
    /// [`BindError`]; nothing is bound unless all else is in order.
    pub async fn bind(self, address: SocketAddr) -> Result<Server, BindError> {
        check(&self.limits)?;
        let service = Arc::new(Service::new(Models::new(self.models)?, self.limits)?);
        let (routes, health) = routes(&service)?;
        health.set_serving::<PrivateInferenceServer<Adapter>>().await;
        let listen = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let local_address = listener.local_addr().map_err(listen)?;
        Ok(Server { service, routes, health, listener, local_address, shutdown: CancellationToken::new() })
    }
}

fn check(limits: &Limits) -> Result<(), BindError> {
    let counts = [
        (limits.threads, "threads"),
        (limits.session_memory, "session_memory"),
        (limits.sessions_per_call as usize, "sessions_per_call"),
        (limits.sessions_per_connection as usize, "sessions_per_connection"),
        (limits.preprocess_calls, "preprocess_calls"),
        (limits.preprocess_calls_per_connection, "preprocess_calls_per_connection"),
        (limits.online_calls, "online_calls"),
        (limits.calls_per_connection as usize, "calls_per_connection"),
        (limits.connections, "connections"),
    ];
    if let Some((_, name)) = counts.into_iter().find(|(count, _)| *count == 0) {
        return Err(BindError::Limit(name));
    }
    if !(1..=LIFETIME_SECONDS).contains(&limits.session_lifetime.as_secs()) {
        return Err(BindError::Limit("session_lifetime"));
    }
    Ok(())
}

/// A server that is bound to a port.
pub struct Server {
    service: Arc<Service>,
    routes: Routes,
    health: HealthReporter,
    listener: TcpListener,
    local_address: SocketAddr,
    shutdown: CancellationToken,
}

/// Ends a running [`Server`], from anywhere. Clones act on the same server.
#[derive(Clone)]
pub struct ShutdownHandle {
    shutdown: CancellationToken,
    service: Arc<Service>,
}

impl ShutdownHandle {
    /// Stops accepting connections and calls, ends `Preprocess` calls, and lets inferences finish within the grace
    /// period. [`Server::serve`] returns after that.
    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Ends running inferences too.
    pub fn abort(&self) {
        self.shutdown.cancel();
        self.service.abort.cancel();
    }

    /// Number of `Preprocess` and `Online` calls that run.
    pub fn running_calls(&self) -> usize {
        self.service.preprocess_tasks.len() + self.service.online_tasks.len()
    }

    /// What the store of prepared sessions holds.
    pub fn occupancy(&self) -> Occupancy {
        self.service.store.occupancy()
    }
}

impl Server {
    /// A server without models and with the default limits.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The address, with the port that was taken.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// What ends this server.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle { shutdown: self.shutdown.clone(), service: Arc::clone(&self.service) }
    }

    /// Serves until it is shut down. If the future is dropped, no more connections are accepted, but those that
    /// are open go on.
    ///
    /// # Errors
    /// If the transport fails.
    pub async fn serve(self) -> Result<(), ServeError> {
        let Self { service, routes, health, listener, local_address, shutdown } = self;
        tracing::info!(address = %local_address, "serving");
        let mut transport = transport(&service.limits, routes, listener, shutdown.clone());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = service.store.sweep() => {}
            result = &mut transport => return Ok(result?),
        }

        tracing::info!(address = %local_address, inferences = service.online_tasks.len(), "shutting down");
        health.set_service_status("", ServingStatus::NotServing).await;
        health.set_not_serving::<PrivateInferenceServer<Adapter>>().await;
        service.stop.cancel();
        service.online_tasks.close();
        let closed = tokio::select! {
            result = &mut transport => Some(result),
            () = service.online_tasks.wait() => None,
            () = service.abort.cancelled() => None,
            () = tokio::time::sleep(service.limits.grace_period) => None,
        };
        service.abort.cancel();
        // Other calls, such as a watch of the health, may stay open for as long as their clients like.
        match closed {
            Some(result) => result?,
            None => match tokio::time::timeout(DRAIN_TIMEOUT, transport).await {
                Ok(result) => result?,
                Err(_) => tracing::debug!("connections were still open"),
            },
        }
        tracing::info!(address = %local_address, "stopped");
        Ok(())
    }
}

/// Moves bytes between connections and `routes` until `shutdown`. The type of the future is erased here so that HTTP/2 and all that
/// goes with it are compiled once, in this crate, and not again in each program that awaits it.
fn transport(
    limits: &Limits,
    routes: Routes,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = Result<(), tonic::transport::Error>> + Send>> {
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_SIZE)
        .max_concurrent_streams(limits.calls_per_connection)
        .http2_max_header_list_size(HEADER_BYTES)
        .add_routes(routes);
    let connections = Acceptor::new(listener, limits).into_stream();
    Box::pin(server.serve_with_incoming_shutdown(connections, shutdown.cancelled_owned()))
}

/// All gRPC services of the server.
fn routes(service: &Arc<Service>) -> Result<(Routes, HealthReporter), BindError> {
    let inference = PrivateInferenceServer::new(Adapter(Arc::clone(service)))
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    let routes = Routes::new(inference)
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok((routes, health))
}
