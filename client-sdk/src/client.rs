//! The connection to a server.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tacit_proto::convert::{ModelSummary, ServedModel};
use tacit_proto::pb::private_inference_client::PrivateInferenceClient;
use tacit_proto::{Reason, limits, pb};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::engine::Engine;
use crate::error::ClientError;
use crate::model::Model;

/// Bytes that the server may send ahead on one stream, and on all: enough for a link of 1 Gbit/s and 30 ms.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Largest piece of a message that the server may send at once: with HTTP/2's default of 16 KiB one message would be read
/// and written in up to 64 steps.
const FRAME_SIZE: u32 = 256 * 1024;

/// How a [`Client`] behaves.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) engine: Engine,
    pub(crate) connect_timeout: Duration,
    pub(crate) message_timeout: Duration,
    pub(crate) sessions_per_stream: u32,
    pub(crate) retries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            connect_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(120),
            sessions_per_stream: 32,
            retries: 2,
        }
    }
}

/// Settings of a connection to be made.
#[derive(Clone, Debug, Default)]
pub struct ClientBuilder {
    settings: Settings,
}

impl ClientBuilder {
    /// Which implementation encrypts. The default is [`Engine::Native`].
    pub fn engine(mut self, engine: Engine) -> Self {
        self.settings.engine = engine;
        self
    }

    /// How long connecting may take. The default is 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long the server may stay silent while the client waits for it. The default is 120 seconds.
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.settings.message_timeout = timeout;
        self
    }

    /// Most sessions that one stream prepares, 1 to 1024; larger requests are cut. The default is 32.
    pub fn sessions_per_stream(mut self, sessions: u32) -> Self {
        self.settings.sessions_per_stream = sessions.clamp(1, tacit_protocol::session::Open::MAX_SESSIONS);
        self
    }

    /// How often an inference is tried again, each time with another session, after an error that
    /// [`ClientError::is_transient`]. The default is 2.
    pub fn retries(mut self, retries: u32) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Connects to `url`, for example `http://127.0.0.1:7400`.
    ///
    /// # Errors
    /// [`ClientError::Connect`]: not an address, or nobody answers there.
    pub async fn connect(self, url: &str) -> Result<Client, ClientError> {
        let failed = |source| ClientError::Connect { url: url.to_string(), source };
        let endpoint = Endpoint::from_shared(url.to_string())
            .map_err(failed)?
            .connect_timeout(self.settings.connect_timeout)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_SIZE)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        let channel = dial(endpoint).await.map_err(failed)?;
        let service = PrivateInferenceClient::new(channel)
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES);
        Ok(Client { service, settings: Arc::new(self.settings) })
    }
}

/// Makes a connection. The type of the future is erased here so that HTTP/2 and all that goes with it are compiled once, in this
/// crate, and not again in each program that awaits it.
fn dial(endpoint: Endpoint) -> Pin<Box<dyn Future<Output = Result<Channel, tonic::transport::Error>> + Send>> {
    Box::pin(async move { endpoint.connect().await })
}

/// A connection to a server. Cheap to clone; clones share the connection, which is made anew if it breaks.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) service: PrivateInferenceClient<Channel>,
    pub(crate) settings: Arc<Settings>,
}

impl Client {
    /// Connects to `url` with default settings.
    ///
    /// # Errors
    /// [`ClientError::Connect`]: not an address, or nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::builder().connect(url).await
    }

    /// Settings other than the default ones.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The models that the server serves, in ascending order of the name.
    ///
    /// # Errors
    /// A failure of the server or the connection, or an answer that breaks the schema.
    pub async fn models(&self) -> Result<Vec<ModelSummary>, ClientError> {
        let timeout = self.settings.message_timeout;
        let mut service = self.service.clone();
        let answer = tokio::time::timeout(timeout, service.list_models(pb::ListModelsRequest {}));
        let answer = answer.await.map_err(|_| ClientError::Timeout(timeout))??;
        Ok(Vec::<ModelSummary>::try_from(answer.into_inner())?)
    }

    /// Fetches the plan of the model `name`, checks it, and recomputes its digest.
    ///
    /// # Errors
    /// [`ClientError::UnknownModel`]; [`ClientError::Schema`] for a plan that breaks a rule;
    /// [`ClientError::Digest`]; a failure of the server or the connection.
    pub async fn model(&self, name: &str) -> Result<Model, ClientError> {
        let timeout = self.settings.message_timeout;
        let mut service = self.service.clone();
        let request = pb::GetModelRequest { name: name.to_string() };
        let answer = tokio::time::timeout(timeout, service.get_model(request)).await;
        let answer = answer.map_err(|_| ClientError::Timeout(timeout))?.map_err(|status| {
            let is_unknown = Reason::of(&status) == Some(Reason::UnknownModel) || status.code() == Code::NotFound;
            if is_unknown { ClientError::UnknownModel(name.to_string()) } else { status.into() }
        })?;
        let served = ServedModel::try_from(answer.into_inner())?;
        if served.plan.digest() != served.digest {
            return Err(ClientError::Digest);
        }
        Ok(Model::new(self.clone(), name.to_string(), served.plan))
    }
}
