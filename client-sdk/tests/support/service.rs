//! The service of the test server.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tacit_proto::convert::Timed;
use tacit_proto::{Reason, StepTimes, Stopwatch, pb};
use tacit_protocol::session::{
    OnlineRequest, Prepared, PreprocessRequest, PreprocessResponse, PreprocessServer, ServerModel, ServerSession,
    SessionError, SessionId, Work, predict,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::network::NETWORK;

/// What a server can do wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Says nothing on streams.
    Silent,
    /// Ends `Online` streams after their first message.
    EndsEarly,
    /// Answers online with a message that breaks the schema.
    EmptyMessage,
    /// Answers online with a message of another step.
    WrongStep,
    /// Announces a digest that is not the plan's.
    WrongDigest,
    /// Sends a plan that breaks a rule.
    InvalidPlan,
    /// Follows another plan than it told.
    ModelChanged,
    /// Is overloaded.
    Busy,
}

/// What tests see and change.
pub struct State {
    pub fault: Mutex<Fault>,
    pub sessions: Mutex<HashMap<SessionId, ServerSession>>,
    pub lifetime_seconds: AtomicU64,
    pub online_calls: AtomicUsize,
    pub preprocess_calls: AtomicUsize,
    /// Most sessions that the server holds.
    pub room: AtomicUsize,
    /// Whether the server tells how long it computed.
    pub report_times: AtomicBool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            fault: Mutex::default(),
            sessions: Mutex::default(),
            lifetime_seconds: AtomicU64::new(600),
            online_calls: AtomicUsize::default(),
            preprocess_calls: AtomicUsize::default(),
            room: AtomicUsize::new(usize::MAX),
            report_times: AtomicBool::default(),
        }
    }
}

impl State {
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub fn forget_sessions(&self) {
        self.sessions.lock().unwrap().clear();
    }

    /// What the server tells of its times.
    fn told(&self, stopwatch: &Stopwatch) -> Option<StepTimes> {
        self.report_times.load(Ordering::SeqCst).then(|| stopwatch.times())
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }
}

pub struct Service(pub Arc<State>);

type Answers<T> = mpsc::Sender<Result<T, Status>>;

fn session_status(error: SessionError) -> Status {
    match error {
        SessionError::Digest => Reason::DigestMismatch.status("another plan"),
        error => Reason::InvalidMessage.status(error.to_string()),
    }
}

fn left<T>(_: T) -> Status {
    Status::cancelled("the client has left")
}

async fn preprocess(
    state: &State,
    mut requests: Streaming<pb::PreprocessRequest>,
    answers: &Answers<pb::PreprocessResponse>,
) -> Result<(), Status> {
    let stopwatch = Arc::new(Stopwatch::default());
    let mut machine = None;
    while let Some(request) = requests.message().await? {
        match state.fault() {
            Fault::Silent => continue,
            Fault::ModelChanged => return Err(Reason::DigestMismatch.status("another plan")),
            Fault::Busy => return Err(Reason::Capacity.status("too many sessions")),
            _ => {}
        }
        let mut responses = Vec::new();
        match (PreprocessRequest::try_from(request)?, &mut machine) {
            (PreprocessRequest::Open(open), None) => {
                let model: Arc<dyn ServerModel> = NETWORK.clone();
                let start = || PreprocessServer::open_observed(model, open, stopwatch.clone());
                let (opened, first) = stopwatch.time(Work::Encryption, start).map_err(session_status)?;
                machine = Some(opened);
                responses = first;
            }
            (request, Some(machine)) => {
                let handle = || machine.handle([request]);
                let progress = stopwatch.time(Work::Transfers, handle).map_err(session_status)?;
                responses.extend(progress.messages);
                for (session, prepared) in progress.prepared {
                    if state.sessions.lock().unwrap().len() == state.room.load(Ordering::SeqCst) {
                        return Err(Reason::Capacity.status("no room"));
                    }
                    let id = SessionId::random().map_err(|error| Status::internal(error.to_string()))?;
                    state.sessions.lock().unwrap().insert(id, prepared);
                    let lifetime_seconds = state.lifetime_seconds.load(Ordering::SeqCst);
                    responses.push(PreprocessResponse::Prepared(Prepared { session, id, lifetime_seconds }));
                }
            }
            _ => return Err(Reason::OutOfOrder.status("open comes first")),
        }
        for message in responses {
            let last = matches!(message, PreprocessResponse::Prepared(_));
            let times = state.told(&stopwatch).filter(|_| last);
            answers.send(Ok(Timed { message, times }.try_into()?)).await.map_err(left)?;
        }
    }
    Ok(())
}

async fn online(
    state: &State,
    mut requests: Streaming<pb::OnlineRequest>,
    answers: &Answers<pb::OnlineResponse>,
) -> Result<(), Status> {
    let stopwatch = Arc::new(Stopwatch::default());
    let mut machine = None;
    while let Some(request) = requests.message().await? {
        let fault = state.fault();
        match (fault, OnlineRequest::try_from(request)?, &mut machine) {
            (Fault::Silent, _, _) => continue,
            (Fault::EndsEarly, _, _) => return Ok(()),
            (Fault::EmptyMessage, _, _) => {
                answers.send(Ok(pb::OnlineResponse::default())).await.map_err(left)?;
            }
            (Fault::WrongStep, _, _) => {
                let piece = pb::Piece { node: 5, data: vec![1], ..Default::default() };
                let payload = Some(pb::online_response::Payload::OutputShare(piece));
                answers.send(Ok(pb::OnlineResponse { payload, times: None })).await.map_err(left)?;
            }
            (_, OnlineRequest::Open(id), None) => {
                let session = state.sessions.lock().unwrap().remove(&id);
                let session = session.ok_or_else(|| Reason::UnknownSession.status("no such session"))?;
                machine = Some(session.start_observed(NETWORK.clone(), stopwatch.clone()).map_err(session_status)?);
            }
            (_, request, Some(machine)) => {
                let handle = || machine.handle(request);
                let responses = stopwatch.time(Work::Activation, handle).map_err(session_status)?;
                let times = state.told(&stopwatch).filter(|_| machine.is_finished());
                for message in responses {
                    answers.send(Ok(Timed { message, times }.try_into()?)).await.map_err(left)?;
                }
            }
            _ => return Err(Reason::OutOfOrder.status("open comes first")),
        }
    }
    Ok(())
}

/// Runs a call on a task.
macro_rules! spawn_call {
    ($state:expr, $run:ident, $request:expr) => {{
        let (answers, stream) = mpsc::channel(16);
        let state = $state.clone();
        let requests = $request.into_inner();
        tokio::spawn(async move {
            if let Err(status) = $run(&state, requests, &answers).await {
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }};
}

#[tonic::async_trait]
impl pb::private_inference_server::PrivateInference for Service {
    type PreprocessStream = ReceiverStream<Result<pb::PreprocessResponse, Status>>;
    type OnlineStream = ReceiverStream<Result<pb::OnlineResponse, Status>>;

    async fn list_models(&self, _: Request<pb::ListModelsRequest>) -> Result<Response<pb::ListModelsResponse>, Status> {
        let plan = NETWORK.plan();
        let model = pb::ModelSummary {
            name: "tiny".into(),
            digest: plan.digest().0.to_vec(),
            input: Some((&plan.input).try_into()?),
            output_dimensions: vec![2],
            prediction: Some((&predict(plan)).into()),
        };
        Ok(Response::new(pb::ListModelsResponse { models: vec![model] }))
    }

    async fn get_model(&self, request: Request<pb::GetModelRequest>) -> Result<Response<pb::GetModelResponse>, Status> {
        let name = request.into_inner().name;
        if name != "tiny" {
            return Err(Reason::UnknownModel.status("no such model"));
        }
        let plan = NETWORK.plan();
        let mut wire = pb::Plan::try_from(&**plan)?;
        let mut digest = plan.digest().0.to_vec();
        match self.0.fault() {
            Fault::WrongDigest => digest[0] ^= 1,
            Fault::InvalidPlan => wire.nodes[3].fraction_bits += 1,
            _ => {}
        }
        let prediction = Some((&predict(plan)).into());
        let model = pb::Model { name, digest, plan: Some(wire), prediction };
        Ok(Response::new(pb::GetModelResponse { model: Some(model) }))
    }

    async fn preprocess(
        &self,
        request: Request<Streaming<pb::PreprocessRequest>>,
    ) -> Result<Response<Self::PreprocessStream>, Status> {
        self.0.preprocess_calls.fetch_add(1, Ordering::SeqCst);
        spawn_call!(self.0, preprocess, request)
    }

    async fn online(
        &self,
        request: Request<Streaming<pb::OnlineRequest>>,
    ) -> Result<Response<Self::OnlineStream>, Status> {
        self.0.online_calls.fetch_add(1, Ordering::SeqCst);
        spawn_call!(self.0, online, request)
    }
}
