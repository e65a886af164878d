//! What all calls share.

use std::sync::Arc;

use rayon::ThreadPoolBuildError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::ServiceError;
use crate::limits::Limits;
use crate::models::Models;
use crate::preprocess::StoredSession;
use crate::store::SessionStore;
use crate::workers::Workers;

/// The state of a server.
pub(crate) struct Service {
    pub(crate) models: Models,
    pub(crate) store: Arc<SessionStore<StoredSession>>,
    pub(crate) workers: Workers,
    pub(crate) limits: Limits,
    pub(crate) preprocess_calls: Arc<Semaphore>,
    pub(crate) online_calls: Arc<Semaphore>,
    /// Ends `Preprocess` calls: their sessions would be lost with the store.
    pub(crate) stop: CancellationToken,
    /// Ends `Online` calls.
    pub(crate) abort: CancellationToken,
    /// `Preprocess` calls that run.
    pub(crate) preprocess_tasks: TaskTracker,
    /// `Online` calls that run. A shutdown waits for them.
    pub(crate) online_tasks: TaskTracker,
}

impl Service {
    pub(crate) fn new(models: Models, limits: Limits) -> Result<Self, ThreadPoolBuildError> {
        Ok(Self {
            models,
            store: Arc::new(SessionStore::new(limits.session_lifetime, limits.session_memory)),
            workers: Workers::new(limits.threads, limits.queued_jobs)?,
            preprocess_calls: Arc::new(Semaphore::new(limits.preprocess_calls)),
            online_calls: Arc::new(Semaphore::new(limits.online_calls)),
            limits,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            preprocess_tasks: TaskTracker::new(),
            online_tasks: TaskTracker::new(),
        })
    }
}

/// One of a limited number, or the error that says which limit.
pub(crate) fn admit(
    permits: &Arc<Semaphore>,
    what: &'static str,
    limit: usize,
) -> Result<OwnedSemaphorePermit, ServiceError> {
    Arc::clone(permits).try_acquire_owned().map_err(|_| ServiceError::Limit { what, limit })
}
