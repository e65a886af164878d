//! Wakes tasks at a time, more precisely than the runtime's own timers, whose steps are milliseconds: half of a round
//! trip in a local network is less than that.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

/// A thread that sleeps until the next alarm; ends with this handle.
pub(crate) struct Clock {
    alarms: Sender<Alarm>,
}

/// Somebody to wake.
struct Alarm {
    at: Instant,
    waker: oneshot::Sender<()>,
}

impl Clock {
    /// Starts the thread under a name.
    pub(crate) fn start(thread_name: &str) -> io::Result<Self> {
        let (alarms, requests) = mpsc::channel();
        thread::Builder::new().name(thread_name.to_string()).spawn(move || run(&requests))?;
        Ok(Self { alarms })
    }

    /// Waits until then, or not at all if that has passed.
    pub(crate) async fn sleep_until(&self, at: Instant) {
        if at <= Instant::now() {
            return;
        }
        let (waker, woken) = oneshot::channel();
        // The thread listens as long as this clock exists, so that neither can fail.
        if self.alarms.send(Alarm { at, waker }).is_ok() {
            let _ = woken.await;
        }
    }
}

fn run(requests: &Receiver<Alarm>) {
    let mut alarms = BinaryHeap::<Alarm>::new();
    loop {
        let now = Instant::now();
        let request = match alarms.peek() {
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(next) => requests.recv_timeout(next.at.saturating_duration_since(now)),
        };
        match request {
            Ok(alarm) => alarms.push(alarm),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        while alarms.peek().is_some_and(|next| next.at <= now) {
            // Who no longer waits need not be woken.
            let _ = alarms.pop().map(|alarm| alarm.waker.send(()));
        }
    }
}

/// The earliest alarm is the greatest, as the heap gives the greatest first.
impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn alarms_ring_in_the_order_of_their_times_and_never_early() {
        let clock = Clock::start("clock").unwrap();
        let start = Instant::now();
        let rung = std::sync::Mutex::new(Vec::new());
        let wait = async |milliseconds: u64| {
            let at = start + Duration::from_millis(milliseconds);
            clock.sleep_until(at).await;
            assert!(Instant::now() >= at);
            rung.lock().unwrap().push(milliseconds);
        };
        tokio::join!(wait(90), wait(0), wait(30), wait(60));
        assert_eq!(*rung.lock().unwrap(), [0, 30, 60, 90]);
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
