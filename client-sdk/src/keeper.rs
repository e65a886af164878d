//! Keeps sessions prepared in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tacit_protocol::session::ClientSession;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::error::ClientError;
use crate::model::Shared;
use crate::pool::Pool;

/// Pauses after a failure: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The background task; stops when dropped.
pub(crate) struct Keeper {
    task: JoinHandle<()>,
    stock: Stock,
}

/// How the users of sessions and the task that prepares them hear of each other.
#[derive(Clone)]
pub(crate) struct Stock {
    /// Somebody took a session, or looked for one in vain.
    taken: Arc<Notify>,
    /// Counts changes of the pool; holds the last failure until something succeeds.
    state: watch::Receiver<State>,
}

#[derive(Clone, Default)]
struct State {
    failure: Option<Arc<ClientError>>,
}

impl Keeper {
    /// Starts to keep `target` sessions.
    pub(crate) fn start(model: Weak<Shared>, target: usize) -> Self {
        let taken = Arc::new(Notify::new());
        let (changed, state) = watch::channel(State::default());
        let task = tokio::spawn(keep(model, target, taken.clone(), changed));
        Self { task, stock: Stock { taken, state } }
    }

    pub(crate) fn stock(&self) -> Stock {
        self.stock.clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stock {
    /// Takes a session, or waits for the next one.
    ///
    /// # Errors
    /// [`ClientError::NoSession`]: the last attempt to prepare sessions failed.
    pub(crate) async fn take(&mut self, pool: &Pool<ClientSession>) -> Result<ClientSession, ClientError> {
        loop {
            // Before the pool is looked at, so that no change is missed in between.
            let failure = self.state.borrow_and_update().failure.clone();
            let session = pool.take();
            self.taken.notify_one();
            if let Some(session) = session {
                return Ok(session);
            }
            if let Some(failure) = failure {
                return Err(ClientError::NoSession(failure));
            }
            self.state.changed().await.map_err(|_| ClientError::Aborted)?;
        }
    }
}

async fn keep(model: Weak<Shared>, target: usize, taken: Arc<Notify>, changed: watch::Sender<State>) {
    let mut pause = FIRST_PAUSE;
    let changed = Arc::new(changed);
    loop {
        // The model is not held while the task waits, so that its last user can drop it.
        let Some(shared) = model.upgrade() else { return };
        let missing = target.saturating_sub(shared.pool().len());
        if missing == 0 {
            let expiry = shared.pool().next_expiry();
            drop(shared);
            wait(&taken, expiry).await;
            continue;
        }
        let batch = u32::try_from(missing).unwrap_or(u32::MAX).min(shared.sessions_per_stream());
        let success = changed.clone();
        let prepared = shared.preprocess_batch(batch, move || {
            success.send_replace(State::default());
        });
        match prepared.await {
            Ok(_) => pause = FIRST_PAUSE,
            Err(error) => {
                drop(shared);
                tracing::warn!(%error, "preparing sessions failed");
                changed.send_replace(State { failure: Some(Arc::new(error)) });
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Waits until a session was taken or one expires.
async fn wait(taken: &Notify, expiry: Option<std::time::Instant>) {
    match expiry {
        Some(expiry) => {
            let _ = tokio::time::timeout_at(expiry.into(), taken.notified()).await;
        }
        None => taken.notified().await,
    }
}
