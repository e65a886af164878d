//! The server's online half of a step of one round trip: it opens, then adds what the client sends.

use crate::share::Share;

use super::interactive::{ServerOnline, ServerProgress};

/// What the server does in the only round.
pub(super) trait OpenOnce: Send + Sync {
    /// The opening, and the server's share of the result but for what the client will send.
    fn open(self, inputs: &[&Share]) -> (Vec<u8>, Share);

    /// Memory held, in bytes.
    fn memory_bytes(&self) -> usize;
}

/// A step of one round trip, before and after its opening.
pub(super) enum OneRound<S> {
    Prepared(S),
    Opened(Share),
}

impl<S: OpenOnce> ServerOnline for OneRound<S> {
    fn open(&mut self, inputs: &[&Share]) -> Vec<u8> {
        match std::mem::replace(self, Self::Opened(Share::default())) {
            Self::Prepared(step) => {
                let (opening, half) = step.open(inputs);
                *self = Self::Opened(half);
                opening
            }
            Self::Opened(_) => Vec::new(),
        }
    }

    fn answer(&mut self, _: u32, opening: &[u8]) -> ServerProgress {
        let mut value = match std::mem::replace(self, Self::Opened(Share::default())) {
            Self::Opened(half) => half,
            Self::Prepared(_) => Share::default(),
        };
        for (value, theirs) in value.iter_mut().zip(opening.as_chunks::<4>().0) {
            *value = value.wrapping_add(u32::from_le_bytes(*theirs));
        }
        ServerProgress::Value(value)
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Prepared(step) => step.memory_bytes(),
            Self::Opened(half) => 4 * half.len(),
        }
    }
}
