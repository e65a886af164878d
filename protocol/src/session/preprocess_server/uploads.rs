//! Uploads for linear steps that wait to be answered: those for one step together.
//!
//! All are of one stream. Uploads of several clients are not joined: one would wait for another's, and could tell from the time
//! of its answers what others do.

use std::collections::VecDeque;

use crate::plan::NodeId;
use crate::random::Seed;

/// Most uploads that are answered in one pass over the weights: bounds what a pass holds, and how long the first one's
/// client waits for it.
const MAX_TOGETHER: usize = 4;

/// A session's upload for a linear step.
pub(super) struct Upload {
    pub(super) session: u32,
    pub(super) data: Vec<u8>,
    /// From which the server's share is drawn.
    pub(super) seed: Seed,
}

/// Uploads that wait, by step.
#[derive(Default)]
pub(super) struct Uploads {
    /// The step whose first upload has waited longest comes first. Never an empty list.
    steps: VecDeque<(NodeId, Vec<Upload>)>,
    bytes: usize,
}

impl Uploads {
    /// Puts an upload to the others for its step.
    pub(super) fn add(&mut self, node: NodeId, upload: Upload) {
        self.bytes += upload.data.len();
        let place = self.steps.iter_mut().find(|(other, uploads)| *other == node && uploads.len() < MAX_TOGETHER);
        match place {
            Some((_, uploads)) => uploads.push(upload),
            None => self.steps.push_back((node, vec![upload])),
        }
    }

    /// Takes out what is to be answered next: a step and uploads for it, at least one.
    pub(super) fn next(&mut self) -> Option<(NodeId, Vec<Upload>)> {
        let (node, uploads) = self.steps.pop_front()?;
        self.bytes -= uploads.iter().map(|upload| upload.data.len()).sum::<usize>();
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
        for session in 0..MAX_TOGETHER as u32 + 1 {
            for node in [3, 1] {
                let data = vec![0; 10 * node + session as usize];
                uploads.add(node, Upload { session, data, seed: Seed::for_test(0) });
            }
        }
        assert_eq!(uploads.bytes(), (30 + 10) * 5 + 2 * (1 + 2 + 3 + 4));
        let mut next = || {
            let (node, uploads) = uploads.next()?;
            assert!(uploads.iter().all(|upload| upload.data.len() == 10 * node + upload.session as usize));
            Some((node, uploads.into_iter().map(|upload| upload.session).collect()))
        };
        let order: Vec<(NodeId, Vec<u32>)> = std::iter::from_fn(&mut next).collect();
        assert_eq!(order, [(3, vec![0, 1, 2, 3]), (1, vec![0, 1, 2, 3]), (3, vec![4]), (1, vec![4])]);
        assert_eq!(uploads.bytes(), 0);
    }
}
