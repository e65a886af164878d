//! The `Online` call: one inference with a prepared session.

use tacit_proto::pb;
use tacit_protocol::session::OnlineRequest;

use crate::call::Call;
use crate::error::ServiceError;
use crate::preprocess::StoredSession;
use crate::service::Service;
use crate::workers::Lane;

/// The `Online` call on the wire.
pub(crate) type OnlineCall = Call<pb::OnlineRequest, pb::OnlineResponse>;

/// Follows the client through one inference. The session leaves the store with the first message, whatever comes
/// of the call.
pub(crate) async fn run(service: &Service, call: &mut OnlineCall) -> Result<(), ServiceError> {
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
    let start = move || session.start(prepared);
    let (started, time) = service.workers.run(Lane::Online, start).await?;
    call.computed(time);
    let mut machine = started?;

    while !machine.is_finished() {
        let Some(request) = call.receive::<OnlineRequest>().await? else {
            return Err(ServiceError::EndedEarly);
        };
        let job = move || {
            let answers = machine.handle(request);
            (machine, answers)
        };
        let ((returned, answers), time) = service.workers.run(Lane::Online, job).await?;
        machine = returned;
        call.computed(time);
        call.send(answers?).await?;
    }
    Ok(())
}
