//! The extension: any number of random transfers from 128 base transfers.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    BLOCK, OtError, ROWS, TreeHeight,
    expansion::{CHUNK, Expansion},
    hash::{HASHED, HashScratch, PadHash},
    kernel::{Instructions, LANE, LANE_BLOCKS, Lane, STREAM_LANES, Stream},
    padded,
    transcript::Transcript,
    tree::Tree,
};

const EXTENSION: &str = "extension message";

/// Chooses. Made by [`base_send`](super::base_send); wiped on drop, redacted in `Debug`.
pub struct ExtensionReceiver {
    shared: Shared,
}

/// Gets both pads of each transfer. Made by [`BaseReceiver::finish`](super::BaseReceiver::finish);
/// wiped on drop, redacted in `Debug`.
pub struct ExtensionSender {
    shared: Shared,
    /// Row `l` of the matrix is corrected where byte `l` has ones; all of its bits are equal.
    masks: Zeroizing<[u8; ROWS]>,
    /// `Delta` in each place of a matrix of columns.
    delta: Zeroizing<Vec<Lane>>,
}

/// The receiver's pads. Wiped on drop, redacted in `Debug`.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ReceiverPads {
    /// `x_c` of each transfer.
    pub chosen: Vec<u64>,
}

/// The sender's pads. Wiped on drop, redacted in `Debug`.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SenderPads {
    /// `x_0` of each transfer.
    pub zero: Vec<u64>,
    /// `x_1` of each transfer.
    pub one: Vec<u64>,
}

/// What both roles have.
struct Shared {
    height: TreeHeight,
    trees: Vec<Tree>,
    nonce: u64,
    hash: PadHash,
    instructions: Instructions,
    scratch: ScratchPool,
}

/// Room for one chunk's work. Wiped on drop.
struct Scratch {
    expansion: Expansion,
    hash: HashScratch,
}

/// Room for as many chunks as were worked on at the same time. Kept from batch to batch: making and
/// wiping it takes longer than a small batch.
#[derive(Default)]
struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    fn with<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = taken.unwrap_or_else(|| Scratch { expansion: Expansion::new(), hash: HashScratch::new() });
        let result = work(&mut scratch);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        result
    }
}

impl Shared {
    fn new(height: TreeHeight, trees: Vec<Tree>, transcript: &Transcript) -> Self {
        Self {
            height,
            trees,
            nonce: transcript.nonce(),
            hash: PadHash::new(transcript.permutation()),
            instructions: Instructions::detect(),
            scratch: ScratchPool::default(),
        }
    }

    /// Expands each tree for the blocks from `block` on. `correct` sees the tree's number, its rows
    /// and its sum.
    fn expand(
        &self,
        expansion: &mut Expansion,
        block: u64,
        lanes: usize,
        mut correct: impl FnMut(usize, std::ops::Range<usize>, &mut Expansion),
    ) {
        for (number, (tree, rows)) in self.trees.iter().zip(self.height.ranges()).enumerate() {
            let tweak = self.nonce ^ number as u64;
            expansion.expand(self.instructions, tree, tweak, block, lanes, rows.start);
            correct(number, rows, expansion);
        }
    }
}

/// No sum of transfer numbers overflows.
fn check_first(first: u64) {
    assert!(first.is_multiple_of(BLOCK as u64) && first <= 1 << 62, "batches start at multiples of {BLOCK}");
}

impl ExtensionReceiver {
    pub(super) fn new(height: TreeHeight, trees: Vec<Tree>, transcript: &Transcript) -> Self {
        Self { shared: Shared::new(height, trees, transcript) }
    }

    /// Makes the pads of `count` transfers by `choices` (packed, lowest bit first; those past
    /// `count` are padding, and hidden as well), and the message to the sender,
    /// [`extension_len`](super::extension_len)`(count)` bytes.
    ///
    /// `first` is the number of the first transfer on this connection and direction, a multiple of
    /// [`BLOCK`]. Batches may be made in any order. The caller must use each number up to `first +
    /// padded(count)` only once: two batches of the same numbers would give away the differences of
    /// their choices.
    ///
    /// # Panics
    /// If `first` is no multiple of [`BLOCK`] or above `2^62`, or `choices` holds fewer than
    /// [`padded`]`(count)` bits.
    pub fn extend(&self, first: u64, count: usize, choices: &[u64]) -> (Vec<u8>, ReceiverPads) {
        check_first(first);
        let choices = &choices[..padded(count) / 64];
        let block_len = self.shared.height.block_len();
        let mut message = vec![0; self.shared.height.extension_len(count)];
        let mut pads = ReceiverPads { chosen: vec![0; count] };
        message
            .par_chunks_mut(CHUNK * block_len)
            .zip(choices.par_chunks(CHUNK * BLOCK / 64))
            .zip(pads.chosen.par_chunks_mut(CHUNK * BLOCK))
            .enumerate()
            .for_each(|(chunk, ((message, choices), pads))| {
                let block = first / BLOCK as u64 + (chunk * CHUNK) as u64;
                self.shared.scratch.with(|scratch| self.extend_chunk(scratch, block, choices, message, pads));
            });
        (message, pads)
    }

    fn extend_chunk(&self, scratch: &mut Scratch, block: u64, choices: &[u64], message: &mut [u8], pads: &mut [u64]) {
        let block_len = self.shared.height.block_len();
        let lanes = (message.len() / block_len).div_ceil(LANE_BLOCKS);
        self.shared.expand(&mut scratch.expansion, block, lanes, |tree, _, expansion| {
            let sums = expansion.sum.as_flattened().as_chunks::<8>().0.as_chunks::<2>().0;
            let choices = choices.as_chunks::<2>().0;
            for ((message, sum), choices) in message.chunks_exact_mut(block_len).zip(sums).zip(choices) {
                let correction = &mut message[16 * tree..16 * (tree + 1)];
                for ((bytes, sum), choices) in correction.as_chunks_mut::<8>().0.iter_mut().zip(sum).zip(choices) {
                    *bytes = (u64::from_le_bytes(*sum) ^ choices).to_le_bytes();
                }
            }
        });
        for (lane, pads) in pads.chunks_mut(HASHED).enumerate() {
            let Scratch { expansion, hash } = scratch;
            self.shared.instructions.transpose(&expansion.rows, lane, &mut hash.columns);
            let first = BLOCK as u64 * (block + (lane * LANE_BLOCKS) as u64);
            self.shared.hash.hash(self.shared.instructions, first, hash, pads);
        }
    }
}

impl ExtensionSender {
    pub(super) fn new(height: TreeHeight, delta: u128, trees: Vec<Tree>, transcript: &Transcript) -> Self {
        let masks = std::array::from_fn(|row| 0u8.wrapping_sub((delta >> row) as u8 & 1));
        let bytes = Zeroizing::new(delta.to_le_bytes());
        let mut columns = Zeroizing::new(vec![[0; LANE]; BLOCK]);
        columns.as_flattened_mut().as_chunks_mut().0.fill(*bytes);
        Self { shared: Shared::new(height, trees, transcript), masks: Zeroizing::new(masks), delta: columns }
    }

    /// Makes both pads of each of `count` transfers from the receiver's message of the same `first`
    /// and `count`.
    ///
    /// # Errors
    /// [`OtError::Length`] if `message` has not exactly
    /// [`extension_len`](super::extension_len)`(count)` bytes.
    ///
    /// # Panics
    /// If `first` is no multiple of [`BLOCK`] or above `2^62`.
    pub fn extend(&self, first: u64, count: usize, message: &[u8]) -> Result<SenderPads, OtError> {
        check_first(first);
        OtError::check_length(EXTENSION, self.shared.height.extension_len(count), message)?;
        let mut pads = SenderPads { zero: vec![0; count], one: vec![0; count] };
        let SenderPads { zero, one } = &mut pads;
        message
            .par_chunks(CHUNK * self.shared.height.block_len())
            .zip(zero.par_chunks_mut(CHUNK * BLOCK))
            .zip(one.par_chunks_mut(CHUNK * BLOCK))
            .enumerate()
            .for_each(|(chunk, ((message, zero), one))| {
                let block = first / BLOCK as u64 + (chunk * CHUNK) as u64;
                self.shared.scratch.with(|scratch| self.extend_chunk(scratch, block, message, zero, one));
            });
        Ok(pads)
    }

    fn extend_chunk(&self, scratch: &mut Scratch, block: u64, message: &[u8], zero: &mut [u64], one: &mut [u64]) {
        let Shared { height, instructions, hash: pad_hash, .. } = &self.shared;
        let block_len = height.block_len();
        let lanes = (message.len() / block_len).div_ceil(LANE_BLOCKS);
        let mut corrections: Stream = [[0; LANE]; STREAM_LANES];
        self.shared.expand(&mut scratch.expansion, block, lanes, |tree, rows, expansion| {
            let blocks = corrections.as_flattened_mut().as_chunks_mut::<16>().0;
            for (correction, message) in blocks.iter_mut().zip(message.chunks_exact(block_len)) {
                correction.copy_from_slice(&message[16 * tree..16 * (tree + 1)]);
            }
            for (row, mask) in expansion.rows[rows.clone()].iter_mut().zip(&self.masks[rows]) {
                instructions.add(&mut row[..lanes], &corrections[..lanes], *mask);
            }
        });
        for (lane, (zero, one)) in zero.chunks_mut(HASHED).zip(one.chunks_mut(HASHED)).enumerate() {
            let Scratch { expansion, hash } = scratch;
            let first = BLOCK as u64 * (block + (lane * LANE_BLOCKS) as u64);
            instructions.transpose(&expansion.rows, lane, &mut hash.columns);
            pad_hash.hash(*instructions, first, hash, zero);
            instructions.add(&mut hash.columns, &self.delta, 0xff);
            pad_hash.hash(*instructions, first, hash, one);
        }
    }
}

impl std::fmt::Debug for ExtensionReceiver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ExtensionReceiver(redacted)")
    }
}

impl std::fmt::Debug for ExtensionSender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ExtensionSender(redacted)")
    }
}

impl std::fmt::Debug for ReceiverPads {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ReceiverPads({} redacted)", self.chosen.len())
    }
}

impl std::fmt::Debug for SenderPads {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SenderPads({} redacted)", self.zero.len())
    }
}
