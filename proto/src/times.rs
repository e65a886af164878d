//! How long a party computed, by kind of work: what `StepTimes` means, and the one way in which both parties take it.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tacit_protocol::session::{Work, WorkObserver};

/// Time that a party computed, by kind of work. Waiting, the network, and what turns messages into bytes do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// Homomorphic encryption: keys, uploads, responses.
    pub encryption: Duration,
    /// Oblivious transfers: base OTs, their extension and corrections.
    pub transfers: Duration,
    /// Online: linear layers, and whatever else each party does to its share alone.
    pub linear: Duration,
    /// Online: interactive steps, and what is revealed at the end.
    pub activation: Duration,
}

impl StepTimes {
    /// All kinds together.
    pub fn total(&self) -> Duration {
        self.encryption + self.transfers + self.linear + self.activation
    }

    fn of(&mut self, work: Work) -> &mut Duration {
        match work {
            Work::Encryption => &mut self.encryption,
            Work::Transfers => &mut self.transfers,
            Work::Linear => &mut self.linear,
            Work::Activation => &mut self.activation,
        }
    }
}

impl AddAssign for StepTimes {
    fn add_assign(&mut self, other: Self) {
        self.encryption += other.encryption;
        self.transfers += other.transfers;
        self.linear += other.linear;
        self.activation += other.activation;
    }
}

impl Sum for StepTimes {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), |mut total, times| {
            total += times;
            total
        })
    }
}

/// Takes the time of the machine of one stream, which tells it what it computes.
#[derive(Debug, Default)]
pub struct Stopwatch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What is computed now, and since when.
    current: Option<(Work, Instant)>,
    times: StepTimes,
}

impl Stopwatch {
    /// Takes the time of `compute`, which begins with work of the kind `first`.
    pub fn time<R>(&self, first: Work, compute: impl FnOnce() -> R) -> R {
        self.turn(Some(first));
        let result = compute();
        self.turn(None);
        result
    }

    /// What was computed up to now.
    pub fn times(&self) -> StepTimes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).times
    }

    /// Ends what is computed and begins `next`.
    fn turn(&self, next: Option<Work>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((work, since)) = state.current.take() {
            *state.times.of(work) += now - since;
        }
        state.current = next.map(|work| (work, now));
    }
}

impl WorkObserver for Stopwatch {
    fn begins(&self, work: Work) {
        self.turn(Some(work));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    #[test]
    fn each_kind_has_its_time_and_pauses_have_none() {
        let stopwatch = Stopwatch::default();
        let pause = Duration::from_millis(5);
        let start = Instant::now();
        let result = stopwatch.time(Work::Encryption, || {
            sleep(pause);
            stopwatch.begins(Work::Transfers);
            sleep(2 * pause);
            stopwatch.begins(Work::Encryption);
            sleep(pause);
            7
        });
        sleep(4 * pause);
        stopwatch.time(Work::Linear, || stopwatch.begins(Work::Activation));
        let (times, elapsed) = (stopwatch.times(), start.elapsed());
        assert_eq!(result, 7);
        assert!(times.encryption >= 2 * pause && times.transfers >= 2 * pause, "{times:?}");
        assert!(times.total() + 4 * pause <= elapsed, "{times:?} of {elapsed:?}");
        let twice: StepTimes = [times, times].into_iter().sum();
        assert_eq!((twice.total(), twice.transfers), (2 * times.total(), 2 * times.transfers));
    }
}
