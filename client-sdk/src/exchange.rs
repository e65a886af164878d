//! Moves messages between a stream and a phase that computes on a thread of its own.
//!
//! ```text
//! network --- tonic stream ---> bounded queue ---> phase (blocking thread) ---> queue ---> network
//! ```
//!
//! Reading goes on while the phase computes. The queue towards the network has no bound of its own, so that a
//! phase never waits for a server that waits for the phase: what is in it is bounded by the sessions that the
//! protocol keeps in flight.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Runs a phase to its end. `start` runs on the phase's thread; `call` opens the stream.
///
/// Dropping the future ends the call, and the phase's thread as soon as it has finished its current computation.
pub(crate) async fn run<P, Start, Call, Answer>(
    start: Start,
    call: Call,
    timeout: Duration,
) -> Result<P::Output, ClientError>
where
    P: Phase,
    Start: FnOnce() -> Result<(P, Vec<P::Request>), ClientError> + Send + 'static,
    Call: FnOnce(UnboundedReceiverStream<P::Request>) -> Answer,
    Answer: Future<Output = Result<Response<Streaming<P::Response>>, Status>> + Send + 'static,
{
    let (requests, outbound) = mpsc::unbounded_channel();
    let (inbound, responses) = mpsc::channel(INBOUND_MESSAGES);
    let computing = Arc::new(AtomicBool::new(true));
    let busy = computing.clone();
    let span = tracing::Span::current();
    let mut phase =
        tokio::task::spawn_blocking(move || span.in_scope(|| compute::<P, _>(start, &requests, responses, &busy)));
    let answer = call(UnboundedReceiverStream::new(outbound));
    let task = tokio::spawn(read(answer, inbound, timeout, computing).in_current_span());
    let mut reader = Reader { task, detached: false };
    tokio::select! {
        result = &mut phase => match result.map_err(|_| ClientError::Aborted)? {
            Ok(output) => {
                reader.let_finish();
                Ok(output)
            }
            // Why the call ended is known where it is read.
            Err(ClientError::Closed) => reader.ended().await.and(Err(ClientError::Closed)),
            Err(error) => Err(error),
        },
        ended = reader.ended() => {
            ended?;
            phase.await.map_err(|_| ClientError::Aborted)?
        }
    }
}

/// The task that reads the stream; ends with the call.
struct Reader {
    task: JoinHandle<Result<(), ClientError>>,
    detached: bool,
}

impl Reader {
    async fn ended(&mut self) -> Result<(), ClientError> {
        (&mut self.task).await.map_err(|_| ClientError::Aborted)?
    }

    /// The phase is complete and the request side closed: the server ends the stream, which need not be reset.
    fn let_finish(&mut self) {
        self.detached = true;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.detached {
            self.task.abort();
        }
    }
}

async fn read<T>(
    answer: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
    inbound: mpsc::Sender<T>,
    timeout: Duration,
    computing: Arc<AtomicBool>,
) -> Result<(), ClientError> {
    let mut stream = patient(answer, timeout, &computing).await??.into_inner();
    while let Some(message) = patient(stream.message(), timeout, &computing).await?? {
        if inbound.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Waits for the server; the time that this side spends computing does not count.
async fn patient<T>(
    waiting: impl Future<Output = T>,
    timeout: Duration,
    computing: &AtomicBool,
) -> Result<T, ClientError> {
    tokio::pin!(waiting);
    loop {
        if let Ok(value) = tokio::time::timeout(timeout, &mut waiting).await {
            return Ok(value);
        }
        if !computing.load(Ordering::Relaxed) {
            return Err(ClientError::Timeout(timeout));
        }
    }
}

/// The phase's thread.
fn compute<P, Start>(
    start: Start,
    requests: &mpsc::UnboundedSender<P::Request>,
    mut responses: mpsc::Receiver<P::Response>,
    computing: &AtomicBool,
) -> Result<P::Output, ClientError>
where
    P: Phase,
    Start: FnOnce() -> Result<(P, Vec<P::Request>), ClientError>,
{
    let (mut phase, first) = start()?;
    // A closed queue means that the call has ended; why it did is known where it is read.
    let send = |messages: Vec<P::Request>| {
        messages.into_iter().try_for_each(|message| requests.send(message)).map_err(|_| ClientError::Closed)
    };
    send(first)?;
    loop {
        computing.store(false, Ordering::Relaxed);
        let response = responses.blocking_recv().ok_or(ClientError::Closed)?;
        computing.store(true, Ordering::Relaxed);
        match phase.handle(response)? {
            Advance::Continue(messages) => send(messages)?,
            Advance::Finished(output) => return Ok(output),
        }
    }
}
