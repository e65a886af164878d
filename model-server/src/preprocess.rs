//! The `Preprocess` call: prepares sessions and stores them.

use std::sync::Arc;

use tacit_proto::convert::Timed;
use tacit_proto::{StepTimes, Stopwatch, pb};
use tacit_protocol::session::{
    Open, Prepared, PreprocessRequest, PreprocessResponse, PreprocessServer, ServerSession, SessionId, Work,
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Response, Streaming};

use crate::call::{Call, CallContext, ResponseStream, call_span, spawn};
use crate::connection::Peer;
use crate::error::ServiceError;
use crate::models::ServedModel;
use crate::service::{Service, admit};
use crate::store::Reservation;
use crate::workers::Lane;

/// Bytes of a call's messages that are taken off the connection before they can be answered, up to the message that
/// exceeds them.
const WAITING_BYTES: usize = 8 << 20;

/// The `Preprocess` call on the wire.
pub(crate) type PreprocessCall = Call<pb::PreprocessRequest, pb::PreprocessResponse>;

/// A prepared session in the store.
pub(crate) struct StoredSession {
    /// The secret state.
    pub(crate) session: ServerSession,
    /// The model that it was prepared for.
    pub(crate) model: Arc<ServedModel>,
    /// Counts against the connection that prepared it, until it is used or forgotten.
    _counted: Option<OwnedSemaphorePermit>,
}

/// Room that was set aside for the sessions of one call.
struct Room {
    reservation: Reservation<StoredSession>,
    /// One permit of the connection for each session.
    counted: OwnedSemaphorePermit,
    model: Arc<ServedModel>,
}

/// Starts a call on a task of its own.
pub(crate) fn start(
    service: Arc<Service>,
    peer: Peer,
    requests: Streaming<pb::PreprocessRequest>,
) -> Result<Response<ResponseStream<pb::PreprocessResponse>>, ServiceError> {
    let limits = &service.limits;
    let own = limits.preprocess_calls_per_connection;
    let counted = (
        admit(&service.preprocess_calls, "too many Preprocess calls", limits.preprocess_calls)?,
        admit(&peer.preprocess_calls, "too many Preprocess calls of this connection", own)?,
    );
    let context = CallContext {
        tasks: service.preprocess_tasks.clone(),
        stop: service.stop.clone(),
        idle_timeout: limits.idle_timeout,
        span: call_span!("preprocess", peer),
    };
    Ok(spawn(requests, context, counted, move |call| Box::pin(async move { run(&service, &peer, call).await })))
}

/// Follows the client through a batch.
async fn run(service: &Service, peer: &Peer, call: &mut PreprocessCall) -> Result<(), ServiceError> {
    let open = match call.receive().await? {
        Some(PreprocessRequest::Open(open)) => open,
        Some(_) => return Err(ServiceError::OutOfOrder("the first message must be open")),
        None => return Err(ServiceError::EndedEarly),
    };
    call.span().record("sessions", open.sessions);
    let mut room = reserve(service, peer, &open)?;
    call.span().record("model", room.model.name());

    let model = room.model.prepared();
    let stopwatch = Arc::new(Stopwatch::default());
    let watch = Arc::clone(&stopwatch);
    let job = move || {
        let observer = Arc::clone(&watch);
        watch.time(Work::Encryption, || PreprocessServer::open_observed(model, open, observer))
    };
    let (opened, time) = service.workers.run(Lane::Preprocessing, job).await?;
    call.computed(time);
    let (mut machine, answers) = opened?;
    call.send(answers).await?;

    while !machine.is_finished() {
        let requests = arrived(call, machine.waiting_bytes()).await?;
        let watch = Arc::clone(&stopwatch);
        let job = move || {
            let progress = watch.time(Work::Transfers, || machine.handle(requests));
            (machine, progress)
        };
        let ((returned, progress), time) = service.workers.run(Lane::Preprocessing, job).await?;
        machine = returned;
        call.computed(time);
        let progress = progress?;
        call.send(progress.messages).await?;
        for (index, session) in progress.prepared {
            let id = store(&mut room, session)?;
            let times = service.limits.report_times.then(|| stopwatch.times());
            announce(service, call, index, id, times).await?;
        }
    }
    Ok(())
}

/// What has arrived of the client, so that uploads of several sessions for one step are answered together. Waits for a
/// message if no upload waits for its answer, `waiting` bytes of them in all.
async fn arrived(call: &mut PreprocessCall, waiting: usize) -> Result<Vec<PreprocessRequest>, ServiceError> {
    let mut requests = Vec::new();
    if waiting == 0 {
        requests.push(call.receive::<PreprocessRequest>().await?.ok_or(ServiceError::EndedEarly)?);
    }
    let mut bytes = waiting;
    while bytes < WAITING_BYTES
        && let Some(request) = call.receive_arrived::<PreprocessRequest>().await?
    {
        if let PreprocessRequest::Step(message) = &request {
            bytes += message.data.len();
        }
        requests.push(request);
    }
    Ok(requests)
}

/// Holds the batch against the limits, before any work is done for it.
fn reserve(service: &Service, peer: &Peer, open: &Open) -> Result<Room, ServiceError> {
    let model = service.models.get(&open.model)?;
    let limits = &service.limits;
    if open.sessions > limits.sessions_per_call {
        return Err(ServiceError::Limit {
            what: "too many sessions in one call",
            limit: limits.sessions_per_call as usize,
        });
    }
    let counted =
        Arc::clone(&peer.sessions).try_acquire_many_owned(open.sessions).map_err(|_| ServiceError::Limit {
            what: "too many unused sessions of this connection",
            limit: limits.sessions_per_connection as usize,
        })?;
    let bytes = model.session_bytes().saturating_mul(open.sessions as usize);
    let reservation = service.store.reserve(bytes)?;
    Ok(Room { reservation, counted, model })
}

fn store(room: &mut Room, session: ServerSession) -> Result<SessionId, ServiceError> {
    let bytes = session.memory_bytes();
    room.model.observe_session_bytes(bytes);
    let stored = StoredSession { session, model: Arc::clone(&room.model), _counted: room.counted.split(1) };
    Ok(room.reservation.insert(stored, bytes)?)
}

/// Tells the client the name of a stored session, and what was computed up to here if it may know. Nobody else knows it, so if that fails the session goes.
async fn announce(
    service: &Service,
    call: &mut PreprocessCall,
    session: u32,
    id: SessionId,
    times: Option<StepTimes>,
) -> Result<(), ServiceError> {
    let lifetime_seconds = service.store.lifetime().as_secs();
    let prepared = Prepared { session, id, lifetime_seconds };
    let sent = call.send([Timed { message: PreprocessResponse::Prepared(prepared), times }]).await;
    if sent.is_err() {
        drop(service.store.take(&id));
    }
    sent
}
