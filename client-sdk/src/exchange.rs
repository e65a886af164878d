//! Moves messages between a stream and a phase.
//!
//! ```text
//! network --- tonic stream ---> phase ---> queue ---> network
//! ```
//!
//! All of it is one task. The phase computes there if what it has to compute is brief, so that a message is answered without
//! waking another thread; otherwise on a thread that may block, while the task reads ahead. The queue towards the network
//! has no bound of its own, so that a phase never waits for a server that waits for the phase: what is in it is bounded by
//! the sessions that the protocol keeps in flight.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Response, Status, Streaming};
use tracing::Instrument;

use crate::error::ClientError;
use crate::phases::{Advance, Phase};

/// Messages of the server that wait for the phase: at most 1 MiB each.
const INBOUND_MESSAGES: usize = 8;

/// Runs a phase to its end. `start` makes the phase and its first messages, which is brief if `starts_briefly`; then `call`
/// opens the stream. `timeout` is how long the server may stay silent while it is waited for.
///
/// Dropping the future ends the call; a computation that has begun elsewhere is still finished.
pub(crate) async fn run<P, Start, Call, Answer>(
    start: Start,
    starts_briefly: bool,
    call: Call,
    timeout: Duration,
) -> Result<P::Output, ClientError>
where
    P: Phase + Send + 'static,
    Start: FnOnce() -> Result<(P, Vec<P::Request>), ClientError> + Send + 'static,
    Call: FnOnce(UnboundedReceiverStream<P::Request>) -> Answer + Send + 'static,
    Answer: Future<Output = Result<Response<Streaming<P::Response>>, Status>> + Send + 'static,
{
    // On the runtime's threads, where the connection is served too, whatever thread polls this future.
    let task = tokio::spawn(follow(start, starts_briefly, call, timeout).in_current_span());
    AbortOnDrop(task).ended().await
}

/// A task that ends when this is dropped.
struct AbortOnDrop<T>(JoinHandle<Result<T, ClientError>>);

impl<T> AbortOnDrop<T> {
    async fn ended(&mut self) -> Result<T, ClientError> {
        (&mut self.0).await.map_err(|_| ClientError::Aborted)?
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow<P, Start, Call, Answer>(
    start: Start,
    starts_briefly: bool,
    call: Call,
    timeout: Duration,
) -> Result<P::Output, ClientError>
where
    P: Phase + Send + 'static,
    Start: FnOnce() -> Result<(P, Vec<P::Request>), ClientError> + Send + 'static,
    Call: FnOnce(UnboundedReceiverStream<P::Request>) -> Answer,
    Answer: Future<Output = Result<Response<Streaming<P::Response>>, Status>>,
{
    let (mut phase, first) = compute(starts_briefly, start, pending()).await??;
    let (requests, outbound) = mpsc::unbounded_channel();
    // They are there before the call is, so that they leave together with its headers. A closed queue means that the call
    // has ended; why it did is known where it is read.
    let send = |messages: Vec<P::Request>| {
        messages.into_iter().for_each(|message| drop(requests.send(message)));
    };
    send(first);
    let answer = tokio::time::timeout(timeout, call(UnboundedReceiverStream::new(outbound))).await;
    let stream = answer.map_err(|_| ClientError::Timeout(timeout))??.into_inner();
    let mut inbound = Inbound { stream, waiting: VecDeque::new(), has_ended: false };
    loop {
        let response = inbound.next(timeout).await?;
        let runs_inline = phase.runs_inline();
        let handle = move || {
            let advance = phase.handle(response);
            (phase, advance)
        };
        let (returned, advance) = compute(runs_inline, handle, inbound.read_ahead()).await?;
        phase = returned;
        match advance? {
            Advance::Continue(messages) => send(messages),
            Advance::Finished(output) => {
                tokio::spawn(tokio::time::timeout(timeout, inbound.finish()));
                return Ok(output);
            }
        }
    }
}

/// Computes on this thread if that `runs_inline`. Otherwise elsewhere, and polls `meanwhile`, whose failure ends the wait.
async fn compute<T: Send + 'static>(
    runs_inline: bool,
    job: impl FnOnce() -> T + Send + 'static,
    meanwhile: impl Future<Output = ClientError>,
) -> Result<T, ClientError> {
    if runs_inline {
        return catch_unwind(AssertUnwindSafe(job)).map_err(|_| ClientError::Aborted);
    }
    let span = tracing::Span::current();
    let mut computed = tokio::task::spawn_blocking(move || span.in_scope(job));
    tokio::select! {
        result = &mut computed => result.map_err(|_| ClientError::Aborted),
        error = meanwhile => Err(error),
    }
}

/// What the server sends.
struct Inbound<T> {
    stream: Streaming<T>,
    /// Read ahead, at most [`INBOUND_MESSAGES`].
    waiting: VecDeque<T>,
    has_ended: bool,
}

impl<T> Inbound<T> {
    /// The next message.
    async fn next(&mut self, timeout: Duration) -> Result<T, ClientError> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(message);
        }
        if self.has_ended {
            return Err(ClientError::Closed);
        }
        let message = tokio::time::timeout(timeout, self.stream.message()).await;
        message.map_err(|_| ClientError::Timeout(timeout))??.ok_or(ClientError::Closed)
    }

    /// Reads until enough messages wait, and then waits for ever. Ends only by a failure of the call.
    async fn read_ahead(&mut self) -> ClientError {
        while !self.has_ended && self.waiting.len() < INBOUND_MESSAGES {
            match self.stream.message().await {
                Ok(Some(message)) => self.waiting.push_back(message),
                Ok(None) => self.has_ended = true,
                Err(status) => return status.into(),
            }
        }
        pending().await
    }

    /// The phase is complete and the request side closed: waits until the server ends the stream, which need not be reset.
    async fn finish(mut self) {
        while let Ok(Some(_)) = self.stream.message().await {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[tokio::test]
    async fn brief_work_stays_on_its_thread() {
        let here = thread::current().id();
        let where_it_ran = |runs_inline| compute(runs_inline, || thread::current().id(), pending());
        assert_eq!(where_it_ran(true).await.unwrap(), here);
        assert_ne!(where_it_ran(false).await.unwrap(), here);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_wherever_it_happens() {
        for runs_inline in [true, false] {
            let result = compute(runs_inline, || panic!("a defect"), pending()).await;
            assert!(matches!(result.map(|(): ()| ()), Err(ClientError::Aborted)));
        }
    }

    #[tokio::test]
    async fn a_failure_of_the_call_ends_the_wait_for_long_work() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let job = move || {
            let _ = released.recv();
        };
        let result = compute(false, job, async { ClientError::Closed }).await;
        assert!(matches!(result, Err(ClientError::Closed)));
        drop(release);
    }
}
