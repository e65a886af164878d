//! One streaming call: its messages as domain types, its idle timeout, its accounts, and its task.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use prost::Message;
use tacit_proto::{ConvertError, limits::FRAME_BYTES};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Response, Status, Streaming};
use tracing::{Instrument, Span};

use crate::error::ServiceError;

/// Answers that wait for the connection to take them, at most 1 MiB each.
const QUEUED_RESPONSES: usize = 4;

/// The response side of a streaming call.
pub(crate) type ResponseStream<Out> = ReceiverStream<Result<Out, Status>>;

/// What runs a call, beside its work.
pub(crate) struct CallContext {
    /// Counts the calls that a shutdown waits for.
    pub(crate) tasks: TaskTracker,
    /// Ends the call when the server shuts down.
    pub(crate) stop: CancellationToken,
    /// How long the client may stall.
    pub(crate) idle_timeout: Duration,
    /// Made by `call_span`: gets the call's accounts at the end.
    pub(crate) span: Span,
}

/// The work of a call while it borrows the call.
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = Result<(), ServiceError>> + Send + 'a>>;

/// The span of a call of a peer. Fields that stay empty are not written.
macro_rules! call_span {
    ($name:literal, $peer:expr) => {
        tracing::info_span!(
            $name,
            peer = %$peer.address,
            model = tracing::field::Empty,
            sessions = tracing::field::Empty,
            bytes_in = tracing::field::Empty,
            bytes_out = tracing::field::Empty,
            compute_seconds = tracing::field::Empty,
            seconds = tracing::field::Empty,
            outcome = tracing::field::Empty,
        )
    };
}
pub(crate) use call_span;

/// Both directions of a call whose requests are `In` and whose answers are `Out` on the wire. Bytes are counted
/// with their gRPC frames. When the call is dropped it writes its accounts to its span and to the log.
pub(crate) struct Call<In, Out> {
    requests: Streaming<In>,
    responses: mpsc::Sender<Result<Out, Status>>,
    idle_timeout: Duration,
    span: Span,
    started: Instant,
    bytes_in: u64,
    bytes_out: u64,
    compute: Duration,
    outcome: &'static str,
}

impl<In: Message + Default + 'static, Out: Message> Call<In, Out> {
    /// The next request, checked, or `None` after the client has half-closed.
    pub(crate) async fn receive<Request>(&mut self) -> Result<Option<Request>, ServiceError>
    where
        Request: TryFrom<In, Error = ConvertError>,
    {
        let next = timeout(self.idle_timeout, self.requests.message()).await;
        let message = next.map_err(|_| ServiceError::Idle(self.idle_timeout))?;
        self.take(message)
    }

    /// As [`Self::receive`], without waiting: `None` also if no request is there yet.
    pub(crate) async fn receive_arrived<Request>(&mut self) -> Result<Option<Request>, ServiceError>
    where
        Request: TryFrom<In, Error = ConvertError>,
    {
        let message = tokio::select! {
            biased;
            message = self.requests.message() => message,
            () = std::future::ready(()) => Ok(None),
        };
        self.take(message)
    }

    fn take<Request>(&mut self, message: Result<Option<In>, Status>) -> Result<Option<Request>, ServiceError>
    where
        Request: TryFrom<In, Error = ConvertError>,
    {
        let Some(message) = message.map_err(|status| ServiceError::from_inbound(&status))? else {
            return Ok(None);
        };
        self.bytes_in += (message.encoded_len() + FRAME_BYTES) as u64;
        Ok(Some(Request::try_from(message)?))
    }

    /// Sends answers in order; waits while the client is slow to take earlier ones.
    pub(crate) async fn send<Answer>(&mut self, answers: impl IntoIterator<Item = Answer>) -> Result<(), ServiceError>
    where
        Out: TryFrom<Answer, Error = ConvertError>,
    {
        for answer in answers {
            let message = Out::try_from(answer).map_err(ServiceError::Answer)?;
            self.bytes_out += (message.encoded_len() + FRAME_BYTES) as u64;
            let sent = timeout(self.idle_timeout, self.responses.send(Ok(message))).await;
            sent.map_err(|_| ServiceError::Idle(self.idle_timeout))?.map_err(|_| ServiceError::ClientLeft)?;
        }
        Ok(())
    }
}

impl<In, Out> Call<In, Out> {
    /// Where the call's accounts go.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Adds to the time that was computed for the call.
    pub(crate) fn computed(&mut self, time: Duration) {
        self.compute += time;
    }

    /// Says how the work ended.
    fn finish(&mut self, result: &Result<(), ServiceError>) {
        match result {
            Ok(()) => self.outcome = "ok",
            Err(error) => {
                self.outcome = error.outcome();
                if error.is_internal() {
                    tracing::error!(parent: &self.span, %error, "internal failure");
                } else {
                    tracing::info!(parent: &self.span, %error, "call failed");
                }
            }
        }
    }
}

impl<In, Out> Drop for Call<In, Out> {
    fn drop(&mut self) {
        self.span.record("outcome", self.outcome);
        self.span.record("bytes_in", self.bytes_in);
        self.span.record("bytes_out", self.bytes_out);
        self.span.record("compute_seconds", self.compute.as_secs_f64());
        self.span.record("seconds", self.started.elapsed().as_secs_f64());
        tracing::info!(parent: &self.span, "call ended");
    }
}

/// Runs `work` on a task of its own and gives the stream on which it answers. If the client leaves, the work is
/// dropped where it stands, with all state of the call; if the server shuts down, the client is told so. The call counts as
/// running, by what `counted` holds, until its work has ended.
pub(crate) fn spawn<In, Out>(
    requests: Streaming<In>,
    context: CallContext,
    counted: impl Send + 'static,
    work: impl for<'a> FnOnce(&'a mut Call<In, Out>) -> Work<'a> + Send + 'static,
) -> Response<ResponseStream<Out>>
where
    In: Send + 'static,
    Out: Send + 'static,
{
    let (responses, stream) = mpsc::channel(QUEUED_RESPONSES);
    let mut call = Call {
        requests,
        responses: responses.clone(),
        idle_timeout: context.idle_timeout,
        span: context.span.clone(),
        started: Instant::now(),
        bytes_in: 0,
        bytes_out: 0,
        compute: Duration::ZERO,
        outcome: "abandoned",
    };
    let work = async move {
        let _counted = counted;
        let result = work(&mut call).await;
        call.finish(&result);
        result
    };
    let task = async move {
        let result = tokio::select! {
            result = work => result,
            () = responses.closed() => Err(ServiceError::ClientLeft),
            () = context.stop.cancelled() => Err(ServiceError::ShuttingDown),
        };
        if let Err(error) = result {
            // Fails only if there is nobody to be told.
            let _ = timeout(context.idle_timeout, responses.send(Err(error.into()))).await;
        }
    };
    context.tasks.spawn(task.instrument(context.span));
    Response::new(ReceiverStream::new(stream))
}
