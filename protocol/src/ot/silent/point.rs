//! Correlated trees: the sender knows all leaves, which sum to `Delta`; the receiver all but one.

use aes::{
    Aes128Enc, Block,
    cipher::{Array, BlockCipherEncrypt},
};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use super::{
    super::{simd::Instructions, transcript::Key},
    parameters::Parameters,
};

/// One party's trees of a stage.
pub(in crate::ot) trait Trees: Send + Sync {
    /// Writes the leaves of a tree, in order. The lowest bit of each is the bit of the noise that this party knows: the
    /// error for the receiver, zero for the sender.
    fn leaves(&self, growth: &mut Growth<'_>, tree: usize, leaves: &mut [Key]);
}

/// What a tree grows with.
pub(in crate::ot) struct Growth<'a> {
    pub(in crate::ot) instructions: Instructions,
    /// The tree's permutation.
    pub(in crate::ot) cipher: Aes128Enc,
    /// Half as many nodes as the tree has leaves, to be written over.
    pub(in crate::ot) room: &'a mut [Key],
}

impl Growth<'_> {
    /// Turns the nodes of `level` in the lower part of `nodes` into those of the next one: left children in the places of
    /// their parents, right ones above. Gives both sides.
    fn level<'n>(&mut self, nodes: &'n mut [Key], level: usize) -> [&'n mut [Key]; 2] {
        let (near, far) = nodes[..2 << level].split_at_mut(1 << level);
        let room = &mut self.room[..near.len()];
        self.instructions.sigma(near, room);
        self.cipher.encrypt_blocks(Array::slice_as_chunks_mut(room.as_flattened_mut()).0);
        self.instructions.branch(room, near, far);
        [near, far]
    }
}

/// The sender's trees.
pub(in crate::ot) struct Whole {
    /// The left node of each tree's first level.
    firsts: Zeroizing<Vec<Key>>,
    delta: Zeroizing<Key>,
}

/// The receiver's trees.
pub(in crate::ot) struct Punctured {
    height: usize,
    /// For each level of each tree the sum of its nodes on the side away from the unknown one.
    sums: Zeroizing<Vec<Key>>,
    /// The leaf of each tree that is unknown: the place of the error.
    positions: Zeroizing<Vec<u16>>,
}

impl Whole {
    /// `inputs` has `height` correlated strings for each tree.
    pub(in crate::ot) fn new(parameters: Parameters, inputs: &[Key], delta: &Key) -> Self {
        let firsts = inputs.iter().step_by(parameters.height).copied().collect();
        Self { firsts: Zeroizing::new(firsts), delta: Zeroizing::new(*delta) }
    }

    /// Writes the correction of each level of a tree but the first, from the tree's `inputs`. `nodes` has room for the
    /// leaves.
    pub(in crate::ot) fn corrections(
        &self,
        growth: &mut Growth<'_>,
        tree: usize,
        inputs: &[Key],
        nodes: &mut [Key],
        corrections: &mut [Key],
    ) {
        corrections.copy_from_slice(&inputs[1..]);
        let instructions = growth.instructions;
        self.grow(growth, tree, nodes, |level, left| instructions.total(left, &mut corrections[level - 1]));
    }

    /// Grows a whole tree. `visit` sees the left nodes that come out of each level, from level 1 on.
    fn grow(&self, growth: &mut Growth<'_>, tree: usize, nodes: &mut [Key], mut visit: impl FnMut(usize, &[Key])) {
        let first = &self.firsts[tree];
        nodes[0] = *first;
        nodes[1] = xor(first, &self.delta);
        for level in 1..nodes.len().ilog2() as usize {
            let [left, _] = growth.level(nodes, level);
            visit(level, left);
        }
    }
}

impl Trees for Whole {
    fn leaves(&self, growth: &mut Growth<'_>, tree: usize, leaves: &mut [Key]) {
        self.grow(growth, tree, leaves, |_, _| {});
        growth.instructions.clear_lowest(leaves);
    }
}

impl Punctured {
    /// `inputs` has `height` correlated strings for each tree, `corrections` has one less.
    pub(in crate::ot) fn new(parameters: Parameters, inputs: &[Key], corrections: &[Key]) -> Self {
        let height = parameters.height;
        let mut sums = Zeroizing::new(inputs.to_vec());
        let mut positions = Zeroizing::new(Vec::with_capacity(inputs.len() / height));
        for (sums, corrections) in sums.chunks_exact_mut(height).zip(corrections.chunks_exact(height - 1)) {
            // A level's sum is known on the side that the random choice says.
            let chosen = sums.iter().enumerate().map(|(level, input)| u16::from(input[0] & 1) << level).sum::<u16>();
            positions.push(!chosen & ((1 << height) - 1));
            for (sum, correction) in sums[1..].iter_mut().zip(corrections) {
                *sum = xor(sum, correction);
            }
        }
        Self { height, sums, positions }
    }
}

impl Trees for Punctured {
    /// The unknown node of each level is kept as zero. Its children come out as `blank` on both sides and are repaired
    /// by a pass over the level, so that no address and no branch depends on where they are.
    fn leaves(&self, growth: &mut Growth<'_>, tree: usize, leaves: &mut [Key]) {
        let instructions = growth.instructions;
        let sums = &self.sums[tree * self.height..][..self.height];
        let position = usize::from(self.positions[tree]);
        let mut blank = Block::default();
        growth.cipher.encrypt_block(&mut blank);
        let blank = Key::from(blank);

        leaves[..2].fill(Key::default());
        instructions.place(&mut leaves[..2], position & 1 ^ 1, &sums[0]);
        for (level, sum) in sums.iter().enumerate().skip(1) {
            let [near, far] = growth.level(leaves, level);
            // What turns `blank` into the sibling of the unknown node: the level's sum less all nodes and `blank`.
            let mut repairs = Zeroizing::new([*sum; 2]);
            instructions.total(near, &mut repairs[0]);
            instructions.total(far, &mut repairs[1]);
            let unknown = Choice::from((position >> level & 1) as u8);
            repairs[0].conditional_assign(&blank, !unknown);
            repairs[1].conditional_assign(&blank, unknown);
            let parent = position & ((1 << level) - 1);
            instructions.place(near, parent, &repairs[0]);
            instructions.place(far, parent, &repairs[1]);
        }
        let mut missing = Zeroizing::new(Key::default());
        instructions.total(leaves, &mut missing);
        missing[0] |= 1;
        instructions.clear_lowest(leaves);
        instructions.place(leaves, position, &missing);
    }
}

pub(in crate::ot) fn xor(one: &Key, other: &Key) -> Key {
    std::array::from_fn(|byte| one[byte] ^ other[byte])
}
