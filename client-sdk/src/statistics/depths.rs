//! Round trips: which message answers which.

use std::collections::HashMap;

use tacit_protocol::plan::NodeId;

/// What a message is about, as far as it tells which message it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The stream as a whole.
    Stream,
    /// One session of a batch.
    Session(u32),
    /// One step of one session.
    Step(u32, NodeId),
}

/// Which message a step's message of the server answers if the client sent none for that step.
pub(super) enum Unprompted {
    /// The last message about the stream as a whole: a server in preprocessing speaks first about truncate steps.
    Setup,
    /// The last message of all: the online phase alternates strictly.
    Latest,
}

/// Follows which message answers which. A message's depth is the number of answers that came before it on the
/// chain that it belongs to; messages of different steps and sessions may overtake each other.
pub(super) struct Depths {
    unprompted: Unprompted,
    /// Depth of the message of the server that is being handled.
    cause: u32,
    setup: u32,
    latest: u32,
    sent: HashMap<(u32, NodeId), u32>,
    received: HashMap<(u32, NodeId), u32>,
    longest: u32,
}

impl Depths {
    pub(super) fn new(unprompted: Unprompted) -> Self {
        Self { unprompted, cause: 0, setup: 0, latest: 0, sent: HashMap::new(), received: HashMap::new(), longest: 0 }
    }

    /// The longest chain up to now.
    pub(super) fn longest(&self) -> u32 {
        self.longest
    }

    pub(super) fn sent(&mut self, subject: Subject) {
        let mut depth = self.cause;
        match subject {
            Subject::Stream => self.setup = depth,
            Subject::Session(_) => {}
            Subject::Step(session, node) => {
                depth = depth.max(self.received.get(&(session, node)).copied().unwrap_or(0));
                self.sent.insert((session, node), depth);
            }
        }
        self.latest = depth;
    }

    pub(super) fn received(&mut self, subject: Subject) {
        let answered = match subject {
            Subject::Stream => self.setup,
            Subject::Session(session) => {
                let of_session = self.sent.iter().filter(|((of, _), _)| *of == session);
                of_session.map(|(_, depth)| *depth).max().unwrap_or(self.setup)
            }
            Subject::Step(session, node) => match (self.sent.get(&(session, node)), &self.unprompted) {
                (Some(depth), _) => *depth,
                (None, Unprompted::Setup) => self.setup,
                (None, Unprompted::Latest) => self.latest,
            },
        };
        self.cause = answered + 1;
        self.longest = self.longest.max(self.cause);
        if let Subject::Step(session, node) = subject {
            let depth = self.received.entry((session, node)).or_default();
            *depth = (*depth).max(self.cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_alternation_is_one_trip_each() {
        let mut depths = Depths::new(Unprompted::Latest);
        depths.sent(Subject::Stream);
        depths.sent(Subject::Step(0, 0));
        for (node, pieces) in [(2, 1), (5, 3), (9, 2)] {
            for _ in 0..pieces {
                depths.received(Subject::Step(0, node));
            }
            for _ in 0..2 {
                depths.sent(Subject::Step(0, node));
            }
        }
        assert_eq!(depths.longest, 3);
    }

    #[test]
    fn answers_that_overtake_each_other_are_not_trips() {
        let mut depths = Depths::new(Unprompted::Setup);
        depths.sent(Subject::Stream);
        for node in [1, 3, 5] {
            depths.sent(Subject::Step(0, node));
        }
        depths.received(Subject::Stream);
        depths.sent(Subject::Stream);
        for node in [1, 3, 5] {
            // The response to masks that were sent at first; then choices of the square behind it.
            depths.received(Subject::Step(0, node));
            assert_eq!(depths.cause, 1);
            depths.sent(Subject::Step(0, node + 1));
        }
        // Rows of a truncate step answer the set-up.
        depths.received(Subject::Step(0, 8));
        assert_eq!(depths.cause, 2);
        for node in [2, 4, 6] {
            depths.received(Subject::Step(0, node));
            assert_eq!(depths.cause, 2);
            depths.sent(Subject::Step(0, node));
        }
        depths.received(Subject::Session(0));
        assert_eq!(depths.longest, 3);
        // The next session starts when the first one is ready.
        depths.sent(Subject::Step(1, 1));
        depths.received(Subject::Step(1, 1));
        assert_eq!(depths.longest, 4);
    }
}
