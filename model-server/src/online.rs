//! The `Online` call: one inference with a prepared session.

use std::sync::Arc;

use tacit_proto::convert::Timed;
use tacit_proto::{Stopwatch, pb};
use tacit_protocol::session::{OnlineRequest, Work};
use tonic::{Response, Streaming};

use crate::call::{Call, CallContext, ResponseStream, call_span, spawn};
use crate::connection::Peer;
use crate::error::ServiceError;
use crate::preprocess::StoredSession;
use crate::service::{Service, admit};
use crate::workers::{Lane, run_inline};

/// The `Online` call on the wire.
pub(crate) type OnlineCall = Call<pb::OnlineRequest, pb::OnlineResponse>;

/// Starts a call on a task of its own.
pub(crate) fn start(
    service: Arc<Service>,
    peer: Peer,
    requests: Streaming<pb::OnlineRequest>,
) -> Result<Response<ResponseStream<pb::OnlineResponse>>, ServiceError> {
    let limits = &service.limits;
    let counted = admit(&service.online_calls, "too many Online calls", limits.online_calls)?;
    let context = CallContext {
        tasks: service.online_tasks.clone(),
        stop: service.abort.clone(),
        idle_timeout: limits.idle_timeout,
        span: call_span!("online", peer),
    };
    Ok(spawn(requests, context, counted, move |call| Box::pin(async move { run(&service, call).await })))
}

/// Follows the client through one inference. The session leaves the store with the first message, whatever comes
/// of the call.
async fn run(service: &Service, call: &mut OnlineCall) -> Result<(), ServiceError> {
    let id = match call.receive().await? {
        Some(OnlineRequest::Open(id)) => id,
        Some(OnlineRequest::Step(_)) => {
            return Err(ServiceError::OutOfOrder("the first message must be open"));
        }
        None => return Err(ServiceError::EndedEarly),
    };
    let StoredSession { session, model, .. } = service.store.take(&id)?;
    call.span().record("model", model.name());

    let prepared = model.prepared();
    let stopwatch = Arc::new(Stopwatch::default());
    let observer = Arc::clone(&stopwatch);
    let (started, time) = run_inline(|| session.start_observed(prepared, observer))?;
    call.computed(time);
    let mut machine = started?;

    while !machine.is_finished() {
        let Some(request) = call.receive::<OnlineRequest>().await? else {
            return Err(ServiceError::EndedEarly);
        };
        let watch = Arc::clone(&stopwatch);
        let runs_inline = machine.runs_inline();
        let job = move || {
            let answers = watch.time(Work::Activation, || machine.handle(request));
            (machine, answers)
        };
        let ((returned, answers), time) =
            if runs_inline { run_inline(job)? } else { service.workers.run(Lane::Online, job).await? };
        machine = returned;
        call.computed(time);
        let times = (service.limits.report_times && machine.is_finished()).then(|| stopwatch.times());
        call.send(answers?.into_iter().map(|message| Timed { message, times })).await?;
    }
    Ok(())
}
