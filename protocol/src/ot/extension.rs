//! SoftSpokenOT: any number of random OTs from 128 base OTs.

use rayon::prelude::*;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    error::OtError,
    expansion::{CHUNK, Expansion},
    hash::{HASHED, HashScratch, PadHash},
    pool::Pool,
    simd::{Instructions, LANE, LANE_BLOCKS, Lane, STREAM_LANES, Stream},
    transcript::{Key, Transcript},
    tree::Tree,
};
use crate::plan::{BLOCK, ROWS, TreeHeight, padded};

pub(super) const EXTENSION: &str = "extension message";

/// Chooses. Wiped on drop.
pub(super) struct SoftReceiver {
    shared: Shared,
}

/// Gets both keys of each transfer. Wiped on drop.
pub(super) struct SoftSender {
    shared: Shared,
    /// Row `l` of the matrix is corrected where byte `l` has ones; all of its bits are equal.
    masks: Zeroizing<[u8; ROWS]>,
    /// `Delta` in each place of a matrix of columns.
    delta: Zeroizing<Vec<Lane>>,
}

/// The receiver's keys. Wiped on drop, redacted in `Debug`.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ReceiverKeys {
    /// `x_c` of each transfer.
    pub chosen: Vec<u64>,
}

/// The sender's keys. Wiped on drop, redacted in `Debug`.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SenderKeys {
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
    transcript: Transcript,
    scratch: Pool<Scratch>,
}

/// Room for one chunk's work. Wiped on drop.
struct Scratch {
    expansion: Expansion,
    hash: HashScratch,
}

impl Scratch {
    fn new() -> Self {
        Self { expansion: Expansion::new(), hash: HashScratch::new() }
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
            transcript: *transcript,
            scratch: Pool::default(),
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
pub(super) fn check_first(first: u64) {
    assert!(first.is_multiple_of(BLOCK as u64) && first <= 1 << 62, "batches start at multiples of {BLOCK}");
}

impl SoftReceiver {
    pub(super) fn new(height: TreeHeight, trees: Vec<Tree>, transcript: &Transcript) -> Self {
        Self { shared: Shared::new(height, trees, transcript) }
    }

    pub(super) fn height(&self) -> TreeHeight {
        self.shared.height
    }

    pub(super) fn transcript(&self) -> &Transcript {
        &self.shared.transcript
    }

    /// As [`ExtensionReceiver::extend`](super::ExtensionReceiver::extend).
    pub(super) fn extend(&self, first: u64, count: usize, choices: &[u64]) -> (Vec<u8>, ReceiverKeys) {
        check_first(first);
        let mut keys = ReceiverKeys { chosen: vec![0; count] };
        let Shared { hash, instructions, .. } = &self.shared;
        let message = self.columns(first, choices, &mut keys.chosen, |first, scratch, keys| {
            hash.hash(*instructions, first, scratch, keys);
        });
        (message, keys)
    }

    /// The columns `v` of `count` transfers, which are `q` but for `Delta` where the choice is 1, and the message to
    /// the sender. The transfers must not be used otherwise.
    pub(super) fn correlate(&self, count: usize, choices: &[u64]) -> (Vec<u8>, Zeroizing<Vec<Key>>) {
        let mut columns = Zeroizing::new(vec![Key::default(); count]);
        let message = self.columns(0, choices, &mut columns, |_, scratch, columns| copy_columns(scratch, columns));
        (message, columns)
    }

    /// Has `finish` make an output of each column of 512 transfers.
    fn columns<T: Send>(
        &self,
        first: u64,
        choices: &[u64],
        outputs: &mut [T],
        finish: impl Fn(u64, &mut HashScratch, &mut [T]) + Sync,
    ) -> Vec<u8> {
        let choices = &choices[..padded(outputs.len()) / 64];
        let block_len = self.shared.height.block_len();
        let mut message = vec![0; self.shared.height.extension_len(outputs.len())];
        message
            .par_chunks_mut(CHUNK * block_len)
            .zip(choices.par_chunks(CHUNK * BLOCK / 64))
            .zip(outputs.par_chunks_mut(CHUNK * BLOCK))
            .enumerate()
            .for_each(|(chunk, ((message, choices), outputs))| {
                let block = first / BLOCK as u64 + (chunk * CHUNK) as u64;
                self.shared.scratch.with(Scratch::new, |scratch| {
                    self.chunk_columns(scratch, block, choices, message);
                    for (lane, outputs) in outputs.chunks_mut(HASHED).enumerate() {
                        let Scratch { expansion, hash } = scratch;
                        self.shared.instructions.transpose(&expansion.rows, lane, &mut hash.columns);
                        finish(BLOCK as u64 * (block + (lane * LANE_BLOCKS) as u64), hash, outputs);
                    }
                });
            });
        message
    }

    /// Leaves the rows in `scratch`.
    fn chunk_columns(&self, scratch: &mut Scratch, block: u64, choices: &[u64], message: &mut [u8]) {
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
    }
}

impl SoftSender {
    pub(super) fn new(height: TreeHeight, delta: u128, trees: Vec<Tree>, transcript: &Transcript) -> Self {
        let masks = std::array::from_fn(|row| 0u8.wrapping_sub((delta >> row) as u8 & 1));
        let bytes = Zeroizing::new(delta.to_le_bytes());
        let mut columns = Zeroizing::new(vec![[0; LANE]; BLOCK]);
        columns.as_flattened_mut().as_chunks_mut().0.fill(*bytes);
        Self { shared: Shared::new(height, trees, transcript), masks: Zeroizing::new(masks), delta: columns }
    }

    pub(super) fn height(&self) -> TreeHeight {
        self.shared.height
    }

    pub(super) fn transcript(&self) -> &Transcript {
        &self.shared.transcript
    }

    /// `Delta`.
    pub(super) fn delta(&self) -> Zeroizing<Key> {
        Zeroizing::new(std::array::from_fn(|byte| self.delta[0][byte]))
    }

    /// As [`ExtensionSender::extend`](super::ExtensionSender::extend).
    pub(super) fn extend(&self, first: u64, count: usize, message: &[u8]) -> Result<SenderKeys, OtError> {
        check_first(first);
        OtError::check_length(EXTENSION, self.shared.height.extension_len(count), message)?;
        let mut keys = SenderKeys { zero: vec![0; count], one: vec![0; count] };
        let SenderKeys { zero, one } = &mut keys;
        message
            .par_chunks(CHUNK * self.shared.height.block_len())
            .zip(zero.par_chunks_mut(CHUNK * BLOCK))
            .zip(one.par_chunks_mut(CHUNK * BLOCK))
            .enumerate()
            .for_each(|(chunk, ((message, zero), one))| {
                let block = first / BLOCK as u64 + (chunk * CHUNK) as u64;
                self.shared.scratch.with(Scratch::new, |scratch| self.extend_chunk(scratch, block, message, zero, one));
            });
        Ok(keys)
    }

    /// The columns `q` of `count` transfers, from the receiver's message.
    pub(super) fn correlate(&self, count: usize, message: &[u8]) -> Result<Zeroizing<Vec<Key>>, OtError> {
        OtError::check_length(EXTENSION, self.shared.height.extension_len(count), message)?;
        let mut columns = Zeroizing::new(vec![Key::default(); count]);
        message
            .par_chunks(CHUNK * self.shared.height.block_len())
            .zip(columns.par_chunks_mut(CHUNK * BLOCK))
            .enumerate()
            .for_each(|(chunk, (message, columns))| {
                self.shared.scratch.with(Scratch::new, |scratch| {
                    self.chunk_rows(scratch, (chunk * CHUNK) as u64, message);
                    for (lane, columns) in columns.chunks_mut(HASHED).enumerate() {
                        let Scratch { expansion, hash } = scratch;
                        self.shared.instructions.transpose(&expansion.rows, lane, &mut hash.columns);
                        copy_columns(hash, columns);
                    }
                });
            });
        Ok(columns)
    }

    fn extend_chunk(&self, scratch: &mut Scratch, block: u64, message: &[u8], zero: &mut [u64], one: &mut [u64]) {
        self.chunk_rows(scratch, block, message);
        let Shared { instructions, hash: key_hash, .. } = &self.shared;
        for (lane, (zero, one)) in zero.chunks_mut(HASHED).zip(one.chunks_mut(HASHED)).enumerate() {
            let Scratch { expansion, hash } = scratch;
            let first = BLOCK as u64 * (block + (lane * LANE_BLOCKS) as u64);
            instructions.transpose(&expansion.rows, lane, &mut hash.columns);
            key_hash.hash(*instructions, first, hash, zero);
            instructions.add(&mut hash.columns, &self.delta, 0xff);
            key_hash.hash(*instructions, first, hash, one);
        }
    }

    /// Leaves the corrected rows in `scratch`.
    fn chunk_rows(&self, scratch: &mut Scratch, block: u64, message: &[u8]) {
        let Shared { height, instructions, .. } = &self.shared;
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
    }
}

/// The columns in the order of their transfers.
fn copy_columns(scratch: &HashScratch, columns: &mut [Key]) {
    for (block, columns) in columns.chunks_mut(BLOCK).enumerate() {
        for (column, lane) in columns.iter_mut().zip(&scratch.columns) {
            column.copy_from_slice(&lane[16 * block..16 * (block + 1)]);
        }
    }
}

impl std::fmt::Debug for ReceiverKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ReceiverKeys({} redacted)", self.chosen.len())
    }
}

impl std::fmt::Debug for SenderKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SenderKeys({} redacted)", self.zero.len())
    }
}
