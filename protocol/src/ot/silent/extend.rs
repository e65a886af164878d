//! From a prepared extension to keys.

use rayon::prelude::*;
use zeroize::Zeroizing;

use super::{
    super::{
        error::OtError,
        extension::{EXTENSION, ReceiverKeys, SenderKeys, check_first},
        hash::HASHED,
        pool::Pool,
        simd::{LANE, LANE_BLOCKS, Lane},
    },
    parameters::{TREE, USED_TREES},
    point::{Punctured, Trees, Whole},
    stage::{Public, Scratch, Stage},
};
use crate::plan::{BLOCK, padded};

/// What both roles have.
pub(in crate::ot) struct Prepared<T> {
    pub(in crate::ot) public: Public,
    /// The main stages.
    pub(in crate::ot) stages: Vec<Stage<T>>,
    /// Trees of all of them that give transfers.
    pub(in crate::ot) trees: usize,
    pub(in crate::ot) pool: Pool<Scratch>,
}

/// The receiver of a silent extension.
pub(in crate::ot) struct SilentReceiver(pub(in crate::ot) Prepared<Punctured>);

/// The sender of a silent extension.
pub(in crate::ot) struct SilentSender {
    pub(in crate::ot) prepared: Prepared<Whole>,
    /// `Delta` in each place of a matrix of columns.
    pub(in crate::ot) delta: Zeroizing<Vec<Lane>>,
}

impl<T: Trees> Prepared<T> {
    fn check(&self, first: u64, count: usize) {
        check_first(first);
        let prepared = (self.trees * TREE) as u64;
        assert!(first + padded(count) as u64 <= prepared, "only {prepared} transfers were prepared");
    }

    /// Has `finish` make the keys of the transfers from `first` on, `padded(count)` of which lie in one tree: it sees
    /// each group's number of its first transfer, its columns, and the part of the group that is wanted.
    fn groups(
        &self,
        first: u64,
        count: usize,
        scratch: &mut Scratch,
        mut finish: impl FnMut(u64, &mut Scratch, std::ops::Range<usize>),
    ) {
        let (tree, start) = ((first / TREE as u64) as usize, (first % TREE as u64) as usize);
        let wanted = start..start + padded(count);
        let groups = start / HASHED..wanted.end.div_ceil(HASHED);
        let (stage, tree_of_stage) = (&self.stages[tree / USED_TREES], tree % USED_TREES);
        stage.tree(&self.public, tree_of_stage, groups.start * HASHED..groups.end * HASHED, scratch);
        for group in groups {
            let places = group * HASHED..(group + 1) * HASHED;
            let lanes = scratch.leaves[places.clone()].as_flattened().as_chunks::<LANE>().0;
            scratch.hash.columns.copy_from_slice(lanes);
            let part = wanted.start.max(places.start) - places.start..wanted.end.min(places.end) - places.start;
            finish((tree * TREE + places.start) as u64, scratch, part);
        }
    }
}

/// Transfers up to the end of the tree of `first`, or all of `count`.
fn head(first: u64, count: usize) -> usize {
    count.min(TREE - (first % TREE as u64) as usize)
}

impl SilentReceiver {
    pub(in crate::ot) fn extend(&self, first: u64, count: usize, choices: &[u64]) -> (Vec<u8>, ReceiverKeys) {
        self.0.check(first, count);
        let choices = &choices[..padded(count) / 64];
        let mut message = vec![0; padded(count) / 8];
        let mut keys = ReceiverKeys { chosen: vec![0; count] };
        let head = head(first, count);
        let rest = first + head as u64;
        let (head_choices, rest_choices) = choices.split_at(padded(head) / 64);
        let (head_message, rest_message) = message.split_at_mut(padded(head) / 8);
        let (head_keys, rest_keys) = keys.chosen.split_at_mut(head);
        self.extend_tree(first, head_choices, head_message, head_keys);
        rest_message
            .par_chunks_mut(TREE / 8)
            .zip(rest_choices.par_chunks(TREE / 64))
            .zip(rest_keys.par_chunks_mut(TREE))
            .enumerate()
            .for_each(|(tree, ((message, choices), keys))| {
                self.extend_tree(rest + (tree * TREE) as u64, choices, message, keys);
            });
        (message, keys)
    }

    fn extend_tree(&self, first: u64, choices: &[u64], message: &mut [u8], mut keys: &mut [u64]) {
        if keys.is_empty() {
            return;
        }
        let Public { instructions, hash, .. } = &self.0.public;
        let mut blocks = choices.as_chunks::<2>().0.iter().zip(message.as_chunks_mut::<16>().0);
        self.0.pool.with(Scratch::new, |scratch| {
            self.0.groups(first, keys.len(), scratch, |first, scratch, part| {
                let mut bits = Zeroizing::new([0; LANE_BLOCKS]);
                instructions.lowest(&scratch.hash.columns, &mut bits);
                let bits = &bits[part.start / BLOCK..part.end / BLOCK];
                for (bits, (choices, message)) in bits.iter().zip(blocks.by_ref()) {
                    let choices = u128::from(choices[0]) | u128::from(choices[1]) << 64;
                    *message = (choices ^ bits).to_le_bytes();
                }
                hash.hash(*instructions, first, &mut scratch.hash, &mut scratch.keys[0]);
                let length = part.len().min(keys.len());
                let (now, later) = std::mem::take(&mut keys).split_at_mut(length);
                now.copy_from_slice(&scratch.keys[0][part.start..][..length]);
                keys = later;
            });
        });
    }
}

impl SilentSender {
    pub(in crate::ot) fn extend(&self, first: u64, count: usize, message: &[u8]) -> Result<SenderKeys, OtError> {
        self.prepared.check(first, count);
        OtError::check_length(EXTENSION, padded(count) / 8, message)?;
        let mut keys = SenderKeys { zero: vec![0; count], one: vec![0; count] };
        let head = head(first, count);
        let rest = first + head as u64;
        let (head_message, rest_message) = message.split_at(padded(head) / 8);
        let (head_zero, rest_zero) = keys.zero.split_at_mut(head);
        let (head_one, rest_one) = keys.one.split_at_mut(head);
        self.extend_tree(first, head_message, head_zero, head_one);
        rest_message
            .par_chunks(TREE / 8)
            .zip(rest_zero.par_chunks_mut(TREE))
            .zip(rest_one.par_chunks_mut(TREE))
            .enumerate()
            .for_each(|(tree, ((message, zero), one))| {
                self.extend_tree(rest + (tree * TREE) as u64, message, zero, one);
            });
        Ok(keys)
    }

    fn extend_tree(&self, first: u64, message: &[u8], zero: &mut [u64], one: &mut [u64]) {
        if zero.is_empty() {
            return;
        }
        let Public { instructions, hash, .. } = &self.prepared.public;
        let mut places = zero.iter_mut().zip(one);
        let mut flips = message.iter();
        self.prepared.pool.with(Scratch::new, |scratch| {
            self.prepared.groups(first, places.len(), scratch, |first, scratch, part| {
                let [same, other] = &mut scratch.keys;
                hash.hash(*instructions, first, &mut scratch.hash, same);
                instructions.add(&mut scratch.hash.columns, &self.delta, 0xff);
                hash.hash(*instructions, first, &mut scratch.hash, other);
                let keys = same[part.clone()].chunks(8).zip(other[part].chunks(8));
                for ((same, other), flips) in keys.zip(flips.by_ref()) {
                    for (bit, ((same, other), (zero, one))) in same.iter().zip(other).zip(places.by_ref()).enumerate() {
                        let change = (same ^ other) & 0u64.wrapping_sub(u64::from(flips >> bit & 1));
                        (*zero, *one) = (same ^ change, other ^ change);
                    }
                }
            });
        });
    }
}
