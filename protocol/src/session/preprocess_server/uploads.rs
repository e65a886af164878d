//! Uploads for linear steps that wait to be answered: those for one step together.
//!
//! All are of one stream. Uploads of several clients are not joined: one would wait for another's, and could tell from the time
//! of its answers what others do.

use std::collections::VecDeque;

use crate::plan::NodeId;

/// Most uploads that are answered in one pass over the weights: bounds what a pass holds, and how long the first one's
/// client waits for it.
const TOGETHER: usize = 4;

/// An upload and its session.
type Upload = (u32, Vec<u8>);

/// Uploads that wait, by step.
#[derive(Default)]
pub(super) struct Uploads {
    /// The step whose first upload has waited longest comes first. Never an empty list.
    steps: VecDeque<(NodeId, Vec<Upload>)>,
    bytes: usize,
}

impl Uploads {
    /// Puts an upload of a session to the others for its step.
    pub(super) fn add(&mut self, node: NodeId, session: u32, upload: Vec<u8>) {
        self.bytes += upload.len();
        let place = self.steps.iter_mut().find(|(other, uploads)| *other == node && uploads.len() < TOGETHER);
        match place {
            Some((_, uploads)) => uploads.push((session, upload)),
            None => self.steps.push_back((node, vec![(session, upload)])),
        }
    }

    /// Takes out what is to be answered next: a step and uploads for it, at least one.
    pub(super) fn next(&mut self) -> Option<(NodeId, Vec<Upload>)> {
        let (node, uploads) = self.steps.pop_front()?;
        self.bytes -= uploads.iter().map(|(_, upload)| upload.len()).sum::<usize>();
        Some((node, uploads))
    }

    /// Bytes of all uploads that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_for_one_step_come_together() {
        let mut uploads = Uploads::default();
        for session in 0..TOGETHER as u32 + 1 {
            for node in [3, 1] {
                uploads.add(node, session, vec![0; 10 * node + session as usize]);
            }
        }
        assert_eq!(uploads.bytes(), (30 + 10) * 5 + 2 * (1 + 2 + 3 + 4));
        let mut next = || {
            let (node, uploads) = uploads.next()?;
            assert!(uploads.iter().all(|(session, upload)| upload.len() == 10 * node + *session as usize));
            Some((node, uploads.into_iter().map(|(session, _)| session).collect()))
        };
        let order: Vec<(NodeId, Vec<u32>)> = std::iter::from_fn(&mut next).collect();
        assert_eq!(order, [(3, vec![0, 1, 2, 3]), (1, vec![0, 1, 2, 3]), (3, vec![4]), (1, vec![4])]);
        assert_eq!(uploads.bytes(), 0);
    }
}
