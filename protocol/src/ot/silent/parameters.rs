//! Sizes of the stages, and of the messages that prepare them.

use super::super::transcript::Key;
use crate::plan::{TreeHeight, padded};

/// One instance of learning parity with noise: how its outputs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ot) struct Parameters {
    /// `k`, the length of the secret.
    pub(in crate::ot) dimension: usize,
    /// `h`: there is one error in every `2^h` outputs, the leaves of a tree.
    pub(in crate::ot) height: usize,
}

impl Parameters {
    /// The first stage, which feeds the others.
    pub(in crate::ot) const FIRST: Self = Self { dimension: 112 << 8, height: 8 };

    /// The stages that give transfers.
    pub(in crate::ot) const MAIN: Self = Self { dimension: 128 << 10, height: 10 };

    /// Outputs of a tree.
    pub(in crate::ot) const fn leaves(self) -> usize {
        1 << self.height
    }

    /// Correlated transfers that a stage of `trees` trees takes.
    pub(in crate::ot) const fn inputs(self, trees: usize) -> usize {
        self.dimension + trees * self.height
    }
}

/// Transfers of one tree.
pub(in crate::ot) const TREE: usize = Parameters::MAIN.leaves();

/// Most trees of a stage of either kind: what the security estimates assume.
pub(in crate::ot) const MAX_TREES: usize = 1024;

/// Trees at the end of a main stage whose outputs feed the next one.
const RESERVED_TREES: usize = Parameters::MAIN.inputs(MAX_TREES).div_ceil(TREE);

/// Trees of a main stage whose outputs become transfers.
pub(in crate::ot) const USED_TREES: usize = MAX_TREES - RESERVED_TREES;

/// One stage of the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ot) struct StageLayout {
    pub(in crate::ot) parameters: Parameters,
    pub(in crate::ot) trees: usize,
    /// The next stage takes outputs from this tree on.
    pub(in crate::ot) reserved_from: usize,
    /// How many outputs the next stage takes; none for the last stage.
    pub(in crate::ot) reserved: usize,
}

impl StageLayout {
    /// Correlated transfers that the stage takes.
    pub(in crate::ot) const fn inputs(&self) -> usize {
        self.parameters.inputs(self.trees)
    }

    /// Bytes of all trees' corrections: one for each level but the first.
    pub(in crate::ot) const fn corrections_len(&self) -> usize {
        self.trees * (self.parameters.height - 1) * size_of::<Key>()
    }
}

/// The stages that give `transfers` transfers, in order; none for no transfers.
pub(in crate::ot) fn stages(transfers: u64) -> Vec<StageLayout> {
    let trees = transfers.div_ceil(TREE as u64) as usize;
    if trees == 0 {
        return Vec::new();
    }
    let main = trees.div_ceil(USED_TREES);
    let mut stages = Vec::with_capacity(main + 1);
    // From the last one back, because each has to feed the next.
    let mut reserved = 0usize;
    for number in (0..main).rev() {
        let used = if number == main - 1 { trees - number * USED_TREES } else { USED_TREES };
        let all = used + reserved.div_ceil(TREE);
        let stage = StageLayout { parameters: Parameters::MAIN, trees: all, reserved_from: USED_TREES, reserved };
        reserved = stage.inputs();
        stages.push(stage);
    }
    let parameters = Parameters::FIRST;
    let trees = reserved.div_ceil(parameters.leaves());
    stages.push(StageLayout { parameters, trees, reserved_from: 0, reserved });
    stages.reverse();
    stages
}

/// Transfers of the other extension that the set-up takes.
pub(in crate::ot) fn base_transfers(stages: &[StageLayout]) -> usize {
    stages.first().map_or(0, |stage| padded(stage.inputs()))
}

/// Exact bytes of the receiver's message, if `height` is that of the trees of the base OTs.
pub fn silent_request_len(height: TreeHeight, transfers: u64) -> usize {
    height.extension_len(base_transfers(&stages(transfers)))
}

/// Exact bytes of the sender's reply.
pub fn silent_reply_len(transfers: u64) -> usize {
    stages(transfers).iter().map(StageLayout::corrections_len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_feeds_the_next() {
        let block = (USED_TREES * TREE) as u64;
        for transfers in [1, 1024, 1025, 200_000, block, block + 1, 3 * block, 6_000_000, 100_000_000] {
            let stages = stages(transfers);
            let given: usize = stages[1..].iter().map(|stage| stage.trees.min(USED_TREES) * TREE).sum();
            assert_eq!(given as u64, transfers.next_multiple_of(TREE as u64));
            for (stage, next) in stages.iter().zip(&stages[1..]) {
                assert_eq!(stage.reserved, next.inputs());
                assert!(
                    stage.reserved_from * stage.parameters.leaves() + stage.reserved
                        <= stage.trees << stage.parameters.height
                );
            }
            assert!(stages.iter().all(|stage| stage.trees <= MAX_TREES), "{stages:?}");
            assert_eq!(stages.last().map(|stage| stage.reserved), Some(0));
        }
        assert_eq!((stages(0), base_transfers(&[]), silent_reply_len(0)), (Vec::new(), 0, 0));
    }

    #[test]
    fn sizes_of_the_documentation() {
        assert_eq!((USED_TREES, USED_TREES * TREE), (886, 907_264));
        let block = 907_264;
        assert_eq!([stages(1)[0].trees, stages(block)[0].trees], [513, 547]);
        assert_eq!([stages(2 * block)[0].trees, stages(2 * block)[1].trees], [552, 1023]);
        assert_eq!([1, block].map(|count| silent_request_len(TreeHeight::MAX, count)), [65_792, 66_304]);
        assert_eq!([1, block].map(silent_reply_len), [513 * 112 + 144, 547 * 112 + 886 * 144]);
        assert_eq!(silent_reply_len(2 * block), 552 * 112 + 1023 * 144 + 886 * 144);
    }
}
