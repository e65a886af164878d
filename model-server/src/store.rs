//! Prepared sessions, in memory: taken out at most once, forgotten when they expire, bounded in bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tacit_protocol::random::RandomError;
use tacit_protocol::session::SessionId;
use tokio::time::Instant;

/// Why a session cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The budget is spent, even after expired sessions were dropped.
    #[error("the server's memory for prepared sessions is full")]
    Full,
    /// No name could be drawn for the session.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// No session of this name is stored: never prepared here, used before, or expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown session: never prepared here, already used, or expired")]
pub struct UnknownSession;

/// How much is in a [`SessionStore`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Sessions that can still be taken.
    pub sessions: usize,
    /// Bytes of those sessions and of the reservations for sessions in preparation.
    pub bytes: usize,
}

/// Sessions by their random 128-bit name.
///
/// `T` is what is kept for a session; dropping it must wipe it. The time is tokio's, so that tests can move it.
pub struct SessionStore<T> {
    lifetime: Duration,
    capacity_bytes: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    sessions: HashMap<SessionId, Entry<T>>,
    /// Names in the order in which they expire; the number tells sessions of the same instant apart.
    expiries: BTreeMap<(Instant, u64), SessionId>,
    next_number: u64,
    used_bytes: usize,
}

struct Entry<T> {
    value: T,
    bytes: usize,
    expiry: (Instant, u64),
}

impl<T> State<T> {
    fn remove(&mut self, id: &SessionId) -> Option<Entry<T>> {
        let entry = self.sessions.remove(id)?;
        self.expiries.remove(&entry.expiry);
        self.used_bytes -= entry.bytes;
        Some(entry)
    }

    /// Takes out what has expired. The caller drops it after releasing the lock: wiping takes time.
    fn expired(&mut self, now: Instant) -> Vec<Entry<T>> {
        let mut expired = Vec::new();
        while let Some((&(at, _), &id)) = self.expiries.first_key_value() {
            if at > now {
                break;
            }
            expired.extend(self.remove(&id));
        }
        expired
    }
}

impl<T> SessionStore<T> {
    /// An empty store whose sessions live for `lifetime` and take at most `capacity_bytes` together.
    pub fn new(lifetime: Duration, capacity_bytes: usize) -> Self {
        let state = State { sessions: HashMap::new(), expiries: BTreeMap::new(), next_number: 0, used_bytes: 0 };
        Self { lifetime, capacity_bytes, state: Mutex::new(state) }
    }

    /// How long a session is kept.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Sets `bytes` aside for sessions that are about to be prepared, so that a client learns before the work
    /// that there is no room. `bytes` may be an estimate, or 0 where nothing is known.
    ///
    /// # Errors
    /// [`StoreError::Full`] if the budget does not allow it after expired sessions are dropped, or is spent.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation<T>, StoreError> {
        let mut state = self.lock();
        let expired = state.expired(Instant::now());
        let free = self.capacity_bytes.saturating_sub(state.used_bytes);
        let fits = free > 0 && bytes <= free;
        if fits {
            state.used_bytes += bytes;
        }
        drop(state);
        drop(expired);
        if !fits {
            return Err(StoreError::Full);
        }
        Ok(Reservation { store: Arc::clone(self), bytes })
    }

    /// Takes a session out. Of any number of attempts, also concurrent ones, at most one succeeds.
    ///
    /// # Errors
    /// [`UnknownSession`] for a name that was never given out, was taken before, or has expired.
    pub fn take(&self, id: &SessionId) -> Result<T, UnknownSession> {
        let entry = self.lock().remove(id).ok_or(UnknownSession)?;
        if entry.expiry.0 <= Instant::now() {
            return Err(UnknownSession);
        }
        Ok(entry.value)
    }

    /// Drops expired sessions and returns how many there were.
    pub fn purge(&self) -> usize {
        let expired = self.lock().expired(Instant::now());
        expired.len()
    }

    /// What the store holds now, expired sessions that were not dropped yet included.
    pub fn occupancy(&self) -> Occupancy {
        let state = self.lock();
        Occupancy { sessions: state.sessions.len(), bytes: state.used_bytes }
    }

    /// Drops expired sessions regularly, until the future is dropped.
    pub async fn sweep(&self) {
        let period = (self.lifetime / 4).clamp(Duration::from_secs(1), Duration::from_secs(30));
        loop {
            tokio::time::sleep(period).await;
            let purged = self.purge();
            if purged > 0 {
                let Occupancy { sessions, bytes } = self.occupancy();
                tracing::debug!(purged, sessions, bytes, "dropped expired sessions");
            }
        }
    }

    /// No operation under the lock leaves the state half changed, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room in a [`SessionStore`] for a batch of sessions. What was not used is given back on drop.
pub struct Reservation<T> {
    store: Arc<SessionStore<T>>,
    bytes: usize,
}

impl<T> Reservation<T> {
    /// Stores a session of `bytes` bytes under a fresh random name. Takes the room from this reservation first
    /// and from the rest of the budget where that is not enough.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is no room; `value` is dropped then.
    pub fn insert(&mut self, value: T, bytes: usize) -> Result<SessionId, StoreError> {
        let id = SessionId::random()?;
        let reserved = bytes.min(self.bytes);
        let missing = bytes - reserved;
        let now = Instant::now();
        let mut state = self.store.lock();
        let expired = state.expired(now);
        let fits = missing <= self.store.capacity_bytes.saturating_sub(state.used_bytes);
        if fits {
            self.bytes -= reserved;
            state.used_bytes += missing;
            let expiry = (now + self.store.lifetime, state.next_number);
            state.next_number += 1;
            state.expiries.insert(expiry, id);
            let entry = Entry { value, bytes, expiry };
            state.sessions.insert(id, entry);
        }
        drop(state);
        drop(expired);
        if fits { Ok(id) } else { Err(StoreError::Full) }
    }
}

impl<T> Drop for Reservation<T> {
    fn drop(&mut self) {
        self.store.lock().used_bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn store(lifetime_seconds: u64, capacity_bytes: usize) -> Arc<SessionStore<u32>> {
        Arc::new(SessionStore::new(Duration::from_secs(lifetime_seconds), capacity_bytes))
    }

    fn insert(store: &Arc<SessionStore<u32>>, value: u32, bytes: usize) -> SessionId {
        store.reserve(0).unwrap().insert(value, bytes).unwrap()
    }

    #[tokio::test]
    async fn a_session_is_taken_once() {
        let store = store(60, 1000);
        let id = insert(&store, 7, 100);
        assert_eq!(store.take(&id), Ok(7));
        assert_eq!(store.take(&id), Err(UnknownSession));
        assert_eq!(store.occupancy(), Occupancy::default());
    }

    #[tokio::test]
    async fn a_foreign_name_is_unknown() {
        let (here, there) = (store(60, 1000), store(60, 1000));
        let id = insert(&there, 7, 100);
        assert_eq!(here.take(&id), Err(UnknownSession));
        assert_eq!(there.take(&id), Ok(7));
    }

    #[tokio::test]
    async fn names_differ() {
        let store = store(60, usize::MAX);
        let names: std::collections::HashSet<_> = (0..1000).map(|value| insert(&store, value, 1)).collect();
        assert_eq!(names.len(), 1000);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_64_concurrent_attempts_exactly_one_wins() {
        let store = store(60, usize::MAX);
        for round in 0..50 {
            let id = insert(&store, round, 1);
            let barrier = Arc::new(tokio::sync::Barrier::new(64));
            let wins = Arc::new(AtomicUsize::new(0));
            let attempts: Vec<_> = (0..64)
                .map(|_| {
                    let (store, barrier, wins) = (store.clone(), barrier.clone(), wins.clone());
                    tokio::spawn(async move {
                        barrier.wait().await;
                        if store.take(&id).is_ok() {
                            wins.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            for attempt in attempts {
                attempt.await.unwrap();
            }
            assert_eq!(wins.load(Ordering::Relaxed), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_session_is_unknown_though_not_swept() {
        let store = store(60, 1000);
        let id = insert(&store, 7, 100);
        tokio::time::advance(Duration::from_secs(59)).await;
        let later = insert(&store, 8, 100);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(store.take(&id), Err(UnknownSession));
        assert_eq!(store.take(&later), Ok(8));
    }

    #[tokio::test(start_paused = true)]
    async fn the_sweeper_drops_expired_sessions() {
        let store = store(60, 1000);
        insert(&store, 7, 100);
        let sweeper = tokio::spawn({
            let store = store.clone();
            async move { store.sweep().await }
        });
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(store.occupancy(), Occupancy { sessions: 1, bytes: 100 });
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(store.occupancy(), Occupancy::default());
        sweeper.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_store_refuses_until_sessions_expire() {
        let store = store(60, 250);
        let first = insert(&store, 1, 100);
        insert(&store, 2, 100);
        assert_eq!(store.reserve(0).unwrap().insert(3, 100), Err(StoreError::Full));
        assert_eq!(store.reserve(51).err(), Some(StoreError::Full));
        store.take(&first).unwrap();
        insert(&store, 4, 150);
        assert_eq!(store.reserve(0).err(), Some(StoreError::Full));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(store.reserve(250).is_ok());
    }

    #[tokio::test]
    async fn an_unused_reservation_is_given_back() {
        let store = store(60, 250);
        let mut reservation = store.reserve(200).unwrap();
        assert_eq!(store.reserve(100).err(), Some(StoreError::Full));
        reservation.insert(1, 80).unwrap();
        assert_eq!(store.occupancy().bytes, 200);
        drop(reservation);
        assert_eq!(store.occupancy(), Occupancy { sessions: 1, bytes: 80 });
    }

    #[tokio::test]
    async fn a_reservation_that_was_too_small_takes_the_rest_of_the_budget() {
        let store = store(60, 250);
        let mut reservation = store.reserve(50).unwrap();
        reservation.insert(1, 120).unwrap();
        assert_eq!(reservation.insert(2, 131), Err(StoreError::Full));
        reservation.insert(3, 130).unwrap();
        drop(reservation);
        assert_eq!(store.occupancy().bytes, 250);
    }
}
