//! Prepared sessions that wait to be used, without a network.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Part of a session's lifetime, and most seconds of it, that are left unused: the server's clock started earlier.
const MARGIN_PART: u32 = 10;
const MARGIN: Duration = Duration::from_secs(10);

/// Things that expire, oldest first. Each is taken once.
pub(crate) struct Pool<T> {
    ready: Mutex<VecDeque<Ready<T>>>,
}

struct Ready<T> {
    session: T,
    expires: Instant,
}

impl<T> Pool<T> {
    pub(crate) fn new() -> Self {
        Self { ready: Mutex::new(VecDeque::new()) }
    }

    /// Adds a session that the server will forget after `lifetime`.
    pub(crate) fn put(&self, session: T, lifetime: Duration) {
        let usable = lifetime - (lifetime / MARGIN_PART).min(MARGIN);
        // A lifetime beyond the clock's range is as good as a day.
        let now = Instant::now();
        let expires = now.checked_add(usable).unwrap_or(now + Duration::from_secs(86_400));
        self.lock().push_back(Ready { session, expires });
    }

    /// Takes the oldest session that has not expired.
    pub(crate) fn take(&self) -> Option<T> {
        let mut ready = self.lock();
        discard_expired(&mut ready);
        ready.pop_front().map(|ready| ready.session)
    }

    /// Number of sessions that have not expired.
    pub(crate) fn len(&self) -> usize {
        let mut ready = self.lock();
        discard_expired(&mut ready);
        ready.len()
    }

    /// When the next session expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.lock().iter().map(|ready| ready.expires).min()
    }

    /// Throws all sessions away.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Ready<T>>> {
        // Every operation leaves the queue whole, also one that panics.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn discard_expired<T>(ready: &mut VecDeque<Ready<T>>) {
    let now = Instant::now();
    ready.retain(|ready| ready.expires > now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_taken_once_and_in_order() {
        let pool = Pool::new();
        assert_eq!(pool.take(), None);
        (0..3).for_each(|session| pool.put(session, Duration::from_secs(60)));
        assert_eq!(pool.len(), 3);
        assert_eq!([pool.take(), pool.take()], [Some(0), Some(1)]);
        pool.clear();
        assert_eq!(pool.take(), None);
        assert_eq!(pool.next_expiry(), None);
    }

    #[test]
    fn expired_sessions_are_thrown_away() {
        let pool = Pool::new();
        pool.put("short", Duration::ZERO);
        pool.put("long", Duration::from_secs(u32::MAX.into()));
        pool.put("endless", Duration::MAX);
        assert!(pool.next_expiry().is_some_and(|expiry| expiry <= Instant::now()));
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.take(), Some("long"));
    }

    #[test]
    fn the_margin_is_left_unused() {
        let pool = Pool::new();
        pool.put((), Duration::from_secs(1000));
        pool.put((), Duration::from_secs(10));
        let left = pool.next_expiry().unwrap() - Instant::now();
        assert!(left <= Duration::from_secs(9) && left > Duration::from_secs(8));
    }

    #[test]
    fn concurrent_takers_never_share() {
        let pool = Pool::new();
        (0..1000).for_each(|session| pool.put(session, Duration::from_secs(60)));
        let mut taken: Vec<u32> = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| std::iter::from_fn(|| pool.take()).collect::<Vec<_>>())).collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
        });
        taken.sort_unstable();
        assert_eq!(taken, (0..1000).collect::<Vec<_>>());
    }
}
