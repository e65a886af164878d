//! Goldreich-Goldwasser-Micali (GGM) trees: one party expands them whole, the other all but one leaf of each.

use aes::{
    Aes128Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use super::transcript::{Key, Transcript};
use crate::plan::{ROWS, TreeHeight};

/// Bytes of the correction of one level: for each of the two keys of a base OT, the sum that it hides.
pub(super) const CORRECTION: usize = 2 * size_of::<Key>();

impl TreeHeight {
    /// Rows `s .. s+h` of each tree.
    pub(super) fn ranges(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let height = usize::from(self.get());
        (0..self.trees()).map(move |tree| tree * height..ROWS.min((tree + 1) * height))
    }

    /// Bytes of all trees' corrections: one for each level but the first.
    pub(super) const fn corrections_len(self) -> usize {
        (ROWS - self.trees()) * CORRECTION
    }
}

/// The leaves of one tree as keys of their streams. The key schedules are wiped on drop.
pub(super) struct Tree {
    /// Base-2 logarithm of the number of leaves.
    pub height: usize,
    /// Leaf `x` at place `x` if the tree is complete, at place `x ^ delta` less one if it is
    /// punctured at `delta`.
    pub leaves: Vec<Aes128Enc>,
}

impl Tree {
    /// `nodes` are the leaves in their order, `punctured` leaves out the first.
    fn new(height: usize, nodes: &[Key], punctured: bool) -> Self {
        debug_assert_eq!(nodes.len(), 1 << height);
        let known = &nodes[usize::from(punctured)..];
        Self { height, leaves: known.iter().map(|seed| Aes128Enc::new(&(*seed).into())).collect() }
    }
}

/// Expands all trees from the keys of the base OTs and appends the corrections to `reply`.
pub(super) fn complete(
    height: TreeHeight,
    transcript: &Transcript,
    keys: &[[Key; 2]; ROWS],
    reply: &mut Vec<u8>,
) -> Vec<Tree> {
    let nonce = transcript.nonce();
    let mut trees = Vec::with_capacity(height.trees());
    for (number, rows) in height.ranges().enumerate() {
        let keys = &keys[rows];
        let mut nodes = Zeroizing::new(vec![Key::default(); 1 << keys.len()]);
        [nodes[0], nodes[1]] = [keys[0][1], keys[0][0]];
        for (level, keys) in keys.iter().enumerate().skip(1) {
            let (left, right) = nodes[..2 << level].split_at_mut(1 << level);
            let mut sums = Zeroizing::new([Key::default(); 2]);
            for (left, right) in left.iter_mut().zip(right) {
                [*left, *right] = children(left, nonce, number, level);
                add(&mut sums[0], left);
                add(&mut sums[1], right);
            }
            for side in 0..2 {
                let mut correction = sums[1 - side];
                add(&mut correction, &keys[side]);
                reply.extend_from_slice(&correction);
            }
        }
        trees.push(Tree::new(keys.len(), &nodes, false));
    }
    trees
}

/// Expands all trees but the leaf at `delta` (bit `i` for base OT `i`), which is also the
/// choice of the base OTs that gave `keys`.
///
/// The node at `x` is kept at place `x ^ delta`, so that the unknown node is always at place 0 and
/// no address or branch depends on `delta`. `corrections` holds [`TreeHeight::corrections_len`]
/// bytes.
pub(super) fn punctured(
    height: TreeHeight,
    transcript: &Transcript,
    delta: u128,
    keys: &[Key; ROWS],
    corrections: &[u8],
) -> Vec<Tree> {
    debug_assert_eq!(corrections.len(), height.corrections_len());
    let nonce = transcript.nonce();
    let mut corrections = corrections.as_chunks::<CORRECTION>().0.iter();
    let mut trees = Vec::with_capacity(height.trees());
    for (number, rows) in height.ranges().enumerate() {
        let delta = delta >> rows.start;
        let keys = &keys[rows];
        let mut nodes = Zeroizing::new(vec![Key::default(); 1 << keys.len()]);
        nodes[1] = keys[0];
        // The other levels have a correction each.
        for (level, (key, correction)) in (1..).zip(keys[1..].iter().zip(corrections.by_ref())) {
            let side = Choice::from((delta >> level) as u8 & 1);
            let (near, far) = nodes[..2 << level].split_at_mut(1 << level);
            let mut sibling = Zeroizing::new(*key);
            let (zero, one) = correction.as_chunks::<{ size_of::<Key>() }>().0.split_at(1);
            add(&mut sibling, &Key::conditional_select(&zero[0], &one[0], side));
            for (near, far) in near.iter_mut().zip(far.iter_mut()).skip(1) {
                let mut pair = Zeroizing::new(children(near, nonce, number, level));
                let (left, right) = pair.split_at_mut(1);
                Key::conditional_swap(&mut left[0], &mut right[0], side);
                [*near, *far] = *pair;
                add(&mut sibling, far);
            }
            far[0] = *sibling;
        }
        trees.push(Tree::new(keys.len(), &nodes, true));
    }
    trees
}

/// The two children of a node of `level` (1 and up) of tree `number`.
fn children(node: &Key, nonce: u64, number: usize, level: usize) -> [Key; 2] {
    let mut blocks = [Block::default(); 2];
    for (child, block) in blocks.iter_mut().enumerate() {
        block[..8].copy_from_slice(&nonce.to_le_bytes());
        block[8..10].copy_from_slice(&(number as u16).to_le_bytes());
        block[10..12].copy_from_slice(&(level as u16).to_le_bytes());
        block[12] = child as u8;
    }
    Aes128Enc::new(&(*node).into()).encrypt_blocks(&mut blocks);
    blocks.map(Key::from)
}

fn add(sum: &mut Key, term: &Key) {
    for (sum, term) in sum.iter_mut().zip(term) {
        *sum ^= term;
    }
}
