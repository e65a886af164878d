//! From the leaves' streams to rows: the vector oblivious linear evaluation of SoftSpokenOT, section 3.

use aes::{
    Aes128Enc, Block,
    cipher::{BlockCipherEncrypt, array::Array},
};
use zeroize::Zeroizing;

use super::{
    simd::{FOLD, Instructions, LANE, LANE_BLOCKS, Lane, Row, STREAM_LANES, Stream},
    tree::Tree,
};
use crate::plan::ROWS;

/// Blocks of 128 transfers that are expanded at once.
pub(super) const CHUNK: usize = STREAM_LANES * LANE_BLOCKS;

/// Room for the expansion of one chunk. Wiped on drop.
pub(super) struct Expansion {
    /// `v` of the receiver; `w`, then `q`, of the sender.
    pub rows: Zeroizing<Vec<Row>>,
    /// `u` of the tree that was expanded last (meaningless for a punctured one).
    pub sum: Zeroizing<Vec<Lane>>,
    counters: Vec<Lane>,
    leaves: Zeroizing<Vec<Stream>>,
    partial: Zeroizing<Vec<Lane>>,
}

impl Expansion {
    pub(super) fn new() -> Self {
        Self {
            rows: Zeroizing::new(vec![[[0; LANE]; STREAM_LANES + 1]; ROWS]),
            sum: Zeroizing::new(vec![[0; LANE]; STREAM_LANES]),
            counters: vec![[0; LANE]; STREAM_LANES],
            leaves: Zeroizing::new(vec![[[0; LANE]; STREAM_LANES]; 1 << FOLD]),
            partial: Zeroizing::new(vec![[0; LANE]; STREAM_LANES]),
        }
    }

    /// Sets the tree's rows, from row `start` on, and [`sum`](Self::sum) for the blocks of `lanes`
    /// lanes from `block` on.
    ///
    /// In terms of the places of the leaves (which are `x`, or `x ^ delta` in a punctured tree,
    /// where the stream at place 0 is unknown and taken as zero), row `l` becomes the sum of the
    /// streams at places with bit `l` set.
    pub(super) fn expand(
        &mut self,
        instructions: Instructions,
        tree: &Tree,
        tweak: u64,
        block: u64,
        lanes: usize,
        start: usize,
    ) {
        count(&mut self.counters[..lanes], block, tweak);
        let counters = Array::slice_as_chunks(self.counters[..lanes].as_flattened()).0;
        let rows = &mut self.rows[start..start + tree.height];
        rows.iter_mut().for_each(|row| row[..lanes].fill([0; LANE]));
        self.sum[..lanes].fill([0; LANE]);

        let (low, high) = rows.split_at_mut(tree.height.min(FOLD));
        let leaves = &mut self.leaves[..1 << low.len()];
        let absent = (1 << tree.height) - tree.leaves.len();
        let mut keys = tree.leaves.iter();
        for group in 0..1usize << high.len() {
            let skipped = if group == 0 { absent } else { 0 };
            leaves[..skipped].iter_mut().for_each(|stream| stream[..lanes].fill([0; LANE]));
            for (stream, key) in leaves[skipped..].iter_mut().zip(keys.by_ref()) {
                encrypt(key, counters, &mut stream[..lanes]);
            }
            instructions.fold(leaves, &mut self.partial[..lanes], low);
            instructions.add(&mut self.sum[..lanes], &self.partial[..lanes], 0xff);
            for (level, row) in high.iter_mut().enumerate() {
                if group >> level & 1 == 1 {
                    instructions.add(&mut row[..lanes], &self.partial[..lanes], 0xff);
                }
            }
        }
    }
}

/// The inputs of the leaves' ciphers.
fn count(lanes: &mut [Lane], block: u64, tweak: u64) {
    for (input, number) in lanes.as_flattened_mut().as_chunks_mut::<16>().0.iter_mut().zip(block..) {
        input[..8].copy_from_slice(&number.to_le_bytes());
        input[8..].copy_from_slice(&tweak.to_le_bytes());
    }
}

fn encrypt(key: &Aes128Enc, counters: &[Block], stream: &mut [Lane]) {
    let blocks = Array::slice_as_chunks_mut(stream.as_flattened_mut()).0;
    if key.encrypt_blocks_b2b(counters, blocks).is_err() {
        unreachable!("{} counters for {} blocks", counters.len(), blocks.len());
    }
}
