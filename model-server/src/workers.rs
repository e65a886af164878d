//! Computation off the async threads.
//!
//! There are two lanes with threads of their own, one for preprocessing and one for online work, so that an
//! inference never queues behind the minutes of preprocessing that other clients may have asked for: the
//! operating system divides the processors between the lanes. Within a lane jobs start in the order in which
//! they came. A stream has one job at a time, so streams take turns. On Linux the preprocessing threads also run
//! at a lower priority: while both lanes have work, an inference gets about nine tenths of a processor.
//!
//! What is known to take only some tens of microseconds is computed where it is asked for ([`run_inline`]): to hand it to
//! another thread and to wait for that would take longer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::{Semaphore, oneshot};

/// Nice value of the threads that preprocess; weighs about a tenth of the default.
#[cfg(target_os = "linux")]
const PREPROCESSING_NICENESS: i32 = 10;

/// Why a job gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// Too many jobs wait already.
    #[error("too many requests wait for computation")]
    Busy,
    /// The job panicked, which is a defect of this program.
    #[error("a computation failed unexpectedly")]
    Panicked,
}

/// What a job is for; decides its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Prepares sessions: long, not urgent.
    Preprocessing,
    /// Serves an inference: short, a user waits.
    Online,
}

/// The threads that compute.
pub struct Workers {
    preprocessing: LaneWorkers,
    online: LaneWorkers,
}

struct LaneWorkers {
    pool: ThreadPool,
    /// One permit for each thread. Jobs wait here, in order, and not in the pool: a thread of the pool that waits
    /// for parts of its own job would otherwise start whole other jobs meanwhile, one inside the other.
    running: Arc<Semaphore>,
    /// Bounds the jobs that run or wait.
    admitted: Semaphore,
}

impl Workers {
    /// `threads` threads for each lane; at most `queue` jobs wait in each.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn new(threads: usize, queue: usize) -> Result<Self, ThreadPoolBuildError> {
        Ok(Self {
            preprocessing: LaneWorkers::new("preprocess", threads, queue, lower_priority)?,
            online: LaneWorkers::new("online", threads, queue, || {})?,
        })
    }

    /// Runs `job` on the lane's threads and returns its result and how long it computed. Work that `job` gives to
    /// rayon stays on the same threads. If the returned future is dropped before the job has started, the job is
    /// dropped and never runs; afterwards its result is dropped.
    ///
    /// # Errors
    /// [`WorkerError::Busy`] if the lane's queue is full, [`WorkerError::Panicked`] if `job` panicked.
    pub async fn run<R: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Result<(R, Duration), WorkerError> {
        match lane {
            Lane::Preprocessing => self.preprocessing.run(job).await,
            Lane::Online => self.online.run(job).await,
        }
    }
}

/// Runs `job` at once on the calling thread, which it blocks: for computations of some tens of microseconds, or a few tenths of
/// a millisecond on processors without vector instructions. Gives the result and how long it took.
///
/// # Errors
/// [`WorkerError::Panicked`] if `job` panicked.
pub fn run_inline<R>(job: impl FnOnce() -> R) -> Result<(R, Duration), WorkerError> {
    let started = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(job));
    result.map(|value| (value, started.elapsed())).map_err(|_| WorkerError::Panicked)
}

impl LaneWorkers {
    fn new(name: &'static str, threads: usize, queue: usize, prepare: fn()) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |index| format!("{name}-{index}"))
            .start_handler(move |_| prepare())
            .build()?;
        Ok(Self { pool, running: Arc::new(Semaphore::new(threads)), admitted: Semaphore::new(threads + queue) })
    }

    async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Result<(R, Duration), WorkerError> {
        let _admitted = self.admitted.try_acquire().map_err(|_| WorkerError::Busy)?;
        // A caller that leaves while it waits here takes its job with it.
        let Ok(running) = Arc::clone(&self.running).acquire_owned().await else {
            return Err(WorkerError::Busy);
        };
        let (result_sender, result_receiver) = oneshot::channel();
        let span = tracing::Span::current();
        self.pool.spawn(move || {
            let _running = running;
            if result_sender.is_closed() {
                return;
            }
            let started = Instant::now();
            let result = span.in_scope(|| catch_unwind(AssertUnwindSafe(job)));
            // Fails only if the caller has left: the result is dropped here then.
            let _ = result_sender.send(result.map(|value| (value, started.elapsed())));
        });
        match result_receiver.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(WorkerError::Panicked),
        }
    }
}

/// Gives way to the other threads of the process. Best effort: without it the lanes share evenly.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), PREPROCESSING_NICENESS) {
        tracing::debug!(%error, "the priority of a preprocessing thread could not be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc;

    /// Occupies every thread of a lane until the returned sender is dropped.
    fn occupy(workers: &Arc<Workers>, lane: Lane, threads: usize) -> Vec<mpsc::Sender<()>> {
        let (started_sender, started) = mpsc::channel();
        let senders = (0..threads)
            .map(|_| {
                let (release_sender, release) = mpsc::channel::<()>();
                let (workers, started_sender) = (workers.clone(), started_sender.clone());
                tokio::spawn(async move {
                    let job = move || {
                        started_sender.send(()).unwrap();
                        let _ = release.recv();
                    };
                    workers.run(lane, job).await.unwrap();
                });
                release_sender
            })
            .collect();
        for _ in 0..threads {
            tokio::task::block_in_place(|| started.recv().unwrap());
        }
        senders
    }

    fn workers(threads: usize, queue: usize) -> Arc<Workers> {
        Arc::new(Workers::new(threads, queue).unwrap())
    }

    #[tokio::test]
    async fn a_job_gives_its_result_and_may_use_rayon() {
        use rayon::prelude::*;
        let workers = workers(2, 4);
        let job = || (0..1000u64).into_par_iter().sum::<u64>();
        assert_eq!(workers.run(Lane::Online, job).await.unwrap().0, 499_500);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_lane_goes_on() {
        let workers = workers(1, 4);
        for _ in 0..3 {
            let result = workers.run(Lane::Online, || panic!("a defect")).await;
            assert_eq!(result.map(|_: ((), _)| ()), Err(WorkerError::Panicked));
        }
        assert_eq!(workers.run(Lane::Online, || 5).await.unwrap().0, 5);
    }

    #[test]
    fn brief_jobs_stay_on_their_thread_and_may_panic() {
        let here = std::thread::current().id();
        assert_eq!(run_inline(|| std::thread::current().id()).unwrap().0, here);
        let result = run_inline(|| panic!("a defect"));
        assert_eq!(result.map(|_: ((), _)| ()), Err(WorkerError::Panicked));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_whose_caller_has_left_is_skipped() {
        let workers = workers(1, 4);
        let occupied = occupy(&workers, Lane::Preprocessing, 1);
        let ran = Arc::new(AtomicBool::new(false));
        let waiting = tokio::spawn({
            let (workers, ran) = (workers.clone(), ran.clone());
            async move {
                let job = move || ran.store(true, Ordering::SeqCst);
                workers.run(Lane::Preprocessing, job).await.unwrap();
            }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        drop(occupied);
        workers.run(Lane::Preprocessing, || ()).await.unwrap();
        assert!(!ran.load(Ordering::SeqCst));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn online_work_does_not_wait_behind_preprocessing() {
        let workers = workers(2, 4);
        let occupied = occupy(&workers, Lane::Preprocessing, 2);
        assert_eq!(workers.run(Lane::Online, || 1).await.unwrap().0, 1);
        drop(occupied);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_queue_is_bounded() {
        let workers = workers(1, 2);
        let occupied = occupy(&workers, Lane::Online, 1);
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(workers.run(Lane::Online, || ()))).collect();
        for job in &mut waiting {
            let once = tokio::time::timeout(Duration::ZERO, job.as_mut()).await;
            assert!(once.is_err());
        }
        let refused = workers.run(Lane::Online, || ()).await;
        assert_eq!(refused.map(|_| ()), Err(WorkerError::Busy));
        drop(occupied);
        for job in waiting {
            job.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn streams_take_turns() {
        let workers = workers(1, 16);
        let order = Arc::new(Mutex::new(Vec::new()));
        let occupied = occupy(&workers, Lane::Preprocessing, 1);
        let started = Arc::new(AtomicUsize::new(0));
        let streams: Vec<_> = (0..4)
            .map(|stream| {
                let (workers, order) = (workers.clone(), order.clone());
                let started = started.clone();
                tokio::spawn(async move {
                    started.fetch_add(1, Ordering::SeqCst);
                    for _ in 0..10 {
                        let order = order.clone();
                        let job = move || order.lock().unwrap().push(stream);
                        workers.run(Lane::Preprocessing, job).await.unwrap();
                    }
                })
            })
            .collect();
        while started.load(Ordering::SeqCst) < 4 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(occupied);
        for stream in streams {
            stream.await.unwrap();
        }
        let order = order.lock().unwrap();
        // No stream is more than a few jobs ahead of another while all of them have work left.
        for prefix in 1..=20 {
            let counts: Vec<_> =
                (0..4).map(|stream| order[..prefix].iter().filter(|&&other| other == stream).count()).collect();
            let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
            assert!(spread <= 3, "{order:?}");
        }
    }
}
