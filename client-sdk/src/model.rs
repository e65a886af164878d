//! A model on a server: preparing sessions and spending them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ndarray::ArrayD;
use tacit_protocol::plan::{Plan, PlanDigest};
use tacit_protocol::session::{ClientSession, PhasePrediction, Prediction, max_sessions, predict, predict_stream};
use tacit_protocol::share::Share;
use tracing::Instrument;

use crate::client::Client;
use crate::error::ClientError;
use crate::exchange;
use crate::inference::{Inference, reveals_class_only};
use crate::input;
use crate::keeper::{Keeper, Stock};
use crate::phases::{Online, Preprocessing};
use crate::pool::Pool;
use crate::statistics::PhaseStatistics;

/// First pause before an inference is tried again; doubles each time.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A model of a server, with the sessions that are prepared for it. Cheap to clone; clones share the sessions.
#[derive(Clone)]
pub struct Model {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones of a [`Model`] share.
pub(crate) struct Shared {
    client: Client,
    name: String,
    plan: Arc<Plan>,
    digest: PlanDigest,
    pool: Pool<ClientSession>,
    keeper: Mutex<Option<Keeper>>,
}

impl Model {
    pub(crate) fn new(client: Client, name: String, plan: Plan) -> Self {
        let digest = plan.digest();
        let shared = Shared { client, name, plan: Arc::new(plan), digest, pool: Pool::new(), keeper: Mutex::new(None) };
        Self { shared: Arc::new(shared) }
    }

    /// The name under which the model is served.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The public plan: input, steps, output.
    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// Whether the server reveals classes only, and no logits.
    pub fn reveals_class_only(&self) -> bool {
        reveals_class_only(&self.shared.plan)
    }

    /// The plan's digest, computed here.
    pub fn digest(&self) -> PlanDigest {
        self.shared.digest
    }

    /// What a session costs, from the plan alone.
    pub fn prediction(&self) -> Prediction {
        predict(&self.shared.plan)
    }

    /// Number of prepared sessions that have not expired.
    pub fn available(&self) -> usize {
        self.shared.pool.len()
    }

    /// Prepares `sessions` sessions and gives what that cost. All the expensive work of inference is here, and none
    /// of it needs the input.
    ///
    /// # Errors
    /// [`ClientError::ModelChanged`], a failure of the server or the connection, or a breach of the protocol.
    /// Sessions that were prepared before the failure stay usable.
    pub async fn preprocess(&self, sessions: u32) -> Result<PhaseStatistics, ClientError> {
        self.preprocess_with(sessions, || {}).await
    }

    /// As [`Model::preprocess`]; calls `on_prepared` after each session.
    ///
    /// # Errors
    /// As [`Model::preprocess`].
    pub async fn preprocess_with<F>(&self, sessions: u32, on_prepared: F) -> Result<PhaseStatistics, ClientError>
    where
        F: FnMut() + Clone + Send + 'static,
    {
        let mut total = PhaseStatistics::default();
        for batch in self.streams(sessions) {
            total += self.shared.preprocess_batch(batch, on_prepared.clone()).await?;
        }
        Ok(total)
    }

    /// What [`Model::preprocess`] costs, from the plan alone. Of several streams the round trips add up; each stream counts
    /// those of one session.
    pub fn predict_preprocessing(&self, sessions: u32) -> PhasePrediction {
        let streams = self.streams(sessions).map(|batch| predict_stream(&self.shared.plan, batch));
        streams.fold(PhasePrediction::default(), |total, stream| PhasePrediction {
            bytes_sent: total.bytes_sent + stream.bytes_sent,
            bytes_received: total.bytes_received + stream.bytes_received,
            round_trips: total.round_trips + stream.round_trips,
            transfers: total.transfers + stream.transfers,
        })
    }

    /// How many sessions each stream prepares, one stream after the other.
    fn streams(&self, sessions: u32) -> impl Iterator<Item = u32> {
        let most = self.shared.client.settings.sessions_per_stream.min(max_sessions(&self.shared.plan));
        (0..sessions).step_by(most as usize).map(move |done| most.min(sessions - done))
    }

    /// Keeps `sessions` sessions prepared from now on: a task in the background refills the pool after each
    /// inference and replaces what expires. Zero stops it. It also stops with the last clone of this model.
    ///
    /// Must be called within a tokio runtime.
    pub fn keep_prepared(&self, sessions: usize) {
        let keeper = (sessions > 0).then(|| Keeper::start(Arc::downgrade(&self.shared), sessions));
        *self.shared.keeper.lock().unwrap_or_else(PoisonError::into_inner) = keeper;
    }

    /// Infers one input of the plan's input dimensions (a leading dimension of 1 is accepted too).
    ///
    /// Uses up one prepared session. Without one, it waits for [`Model::keep_prepared`] or, if that is not running,
    /// prepares one. A failed attempt costs its session; it is repeated with another one only after an error that
    /// [`ClientError::is_transient`].
    ///
    /// # Errors
    /// [`ClientError::Input`], and nothing has been sent then; otherwise as [`Model::preprocess`].
    pub async fn infer(&self, input: &ArrayD<f32>) -> Result<Inference, ClientError> {
        let input = input::encode(&self.shared.plan, &input.view())?;
        self.shared.infer(Arc::new(input)).await
    }

    /// Infers a batch of shape `[n, dimensions...]`, one input after the other, and gives the answers in order.
    /// The whole batch is checked before anything is sent, and missing sessions are prepared together.
    ///
    /// # Errors
    /// As [`Model::infer`].
    pub async fn infer_batch(&self, inputs: &ArrayD<f32>) -> Result<Vec<Inference>, ClientError> {
        let inputs = input::encode_batch(&self.shared.plan, inputs)?;
        let missing = inputs.len().saturating_sub(self.available());
        if self.shared.stock().is_none() {
            self.preprocess(u32::try_from(missing).unwrap_or(u32::MAX)).await?;
        }
        let mut inferences = Vec::with_capacity(inputs.len());
        for input in inputs {
            inferences.push(self.shared.infer(Arc::new(input)).await?);
        }
        Ok(inferences)
    }
}

impl Shared {
    pub(crate) fn pool(&self) -> &Pool<ClientSession> {
        &self.pool
    }

    /// Most sessions that one stream prepares.
    pub(crate) fn sessions_per_stream(&self) -> u32 {
        self.client.settings.sessions_per_stream
    }

    /// Prepares a batch on one stream.
    pub(crate) async fn preprocess_batch(
        self: &Arc<Self>,
        sessions: u32,
        mut on_prepared: impl FnMut() + Send + 'static,
    ) -> Result<PhaseStatistics, ClientError> {
        let shared = self.clone();
        let start = move || {
            let backend = shared.client.settings.engine.backend();
            let (plan, name) = (shared.plan.clone(), shared.name.clone());
            let sink = move |session: ClientSession| {
                let lifetime = Duration::from_secs(session.lifetime_seconds());
                shared.pool.put(session, lifetime);
                on_prepared();
            };
            Preprocessing::start(plan, &name, sessions, backend, sink)
        };
        let mut service = self.client.service.clone();
        let call = |requests| async move { service.preprocess(requests).await };
        let span = tracing::info_span!("preprocess", model = self.name, sessions);
        exchange::run(start, false, call, self.client.settings.message_timeout).instrument(span).await
    }

    async fn infer(self: &Arc<Self>, input: Arc<Share>) -> Result<Inference, ClientError> {
        let mut pause = RETRY_PAUSE;
        for _ in 0..self.client.settings.retries {
            match self.attempt(input.clone()).await {
                Err(ClientError::SessionExpired) => {
                    // A server that forgets a session early has most likely forgotten all of them.
                    tracing::warn!(model = self.name, "the server has forgotten a session, preparing others");
                    self.pool.clear();
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(model = self.name, %error, "trying again with another session");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        self.attempt(input).await
    }

    /// Spends one session on `input`.
    async fn attempt(self: &Arc<Self>, input: Arc<Share>) -> Result<Inference, ClientError> {
        let session = self.session().await?;
        let runs_inline = session.runs_inline();
        let start = move || Online::start(session, &input);
        let mut service = self.client.service.clone();
        let call = |requests| async move { service.online(requests).await };
        let span = tracing::info_span!("online", model = self.name);
        let online = exchange::run::<Online, _, _, _>(start, runs_inline, call, self.client.settings.message_timeout);
        let (ring, statistics) = online.instrument(span).await?;
        Inference::new(&self.plan, &ring, statistics)
    }

    /// Takes a session out of the pool, or has one prepared.
    async fn session(self: &Arc<Self>) -> Result<ClientSession, ClientError> {
        let Some(mut stock) = self.stock() else {
            if let Some(session) = self.pool.take() {
                return Ok(session);
            }
            self.preprocess_batch(1, || {}).await?;
            return self.pool.take().ok_or(ClientError::SessionExpired);
        };
        stock.take(&self.pool).await
    }

    fn stock(&self) -> Option<Stock> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Keeper::stock)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Model({:?}, {} sessions)", self.name(), self.available())
    }
}
