//! The leaves: shared tables of what a digit of bits of both shares generates and propagates.
//!
//! A table is a machine word: bit `x` is the entry for the server's bits `x`. Both tables of a digit are worked on at
//! the same time.

use super::tree::Node;
use crate::bits::{BitReader, BitWriter};
use crate::plan::SelectLayout;
use crate::steps::ring::low_bits;

/// Elements that are worked on in one piece: whole transfer blocks, and whole bytes of everything that is packed.
pub(super) const CHUNK: usize = 2048;

/// Most elements that are looked up on one thread: to wake others would take longer.
pub(super) const MAX_SERIAL: usize = 4 * CHUNK;

/// Positions whose bit `j` is 0, for each `j`.
const POSITIONS: [u64; 6] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0f0f_0f0f_0f0f_0f0f,
    0x00ff_00ff_00ff_00ff,
    0x0000_ffff_0000_ffff,
    0x0000_0000_ffff_ffff,
];

/// The tables of one digit: what it generates, and what it propagates.
#[derive(Clone, Copy)]
struct Tables([u64; 2]);

impl Tables {
    /// The tables for the client's `bits` of a digit of `width`.
    #[inline(always)]
    fn of(bits: u32, width: u32) -> Self {
        let entries = u64::MAX >> (64 - (1 << width));
        // The server's bits that sum to all ones with the client's: below them nothing is carried, above them one is.
        let complement = (1 << width) - 1 - bits;
        Self([((entries << 1) << complement) & entries, 1 << complement])
    }

    /// The entries that change if position bit `bit` is flipped, for positions where it is 0.
    #[inline(always)]
    fn differences(self, bit: u32) -> Self {
        Self(self.0.map(|table| (table ^ table >> (1 << bit)) & POSITIONS[bit as usize]))
    }

    /// Adds to each entry, and to the one with position bit `bit` flipped, those of `half`.
    #[inline(always)]
    fn add_both(&mut self, half: Self, bit: u32) {
        for (table, half) in self.0.iter_mut().zip(half.0) {
            *table ^= half | half << (1 << bit);
        }
    }

    /// The entries at positions where bit `bit` is 0, without gaps, the second table's `2^(width-1)` after the first's.
    #[inline(always)]
    fn compress(self, bit: u32, width: u32) -> u64 {
        let [first, second] = self.0.map(|table| {
            (bit..width - 1).fold(table, |table, step| (table | table >> (1 << step)) & POSITIONS[step as usize + 1])
        });
        // A digit of 6 bits fills the word: 32 entries each.
        first | second << (1 << (width - 1))
    }

    /// Inverse of [`compress`](Self::compress); what lies above the two tables does not count.
    #[inline(always)]
    fn expand(packed: u64, bit: u32, width: u32) -> Self {
        let half = 1 << (width - 1);
        let entries = u64::MAX >> (64 - half);
        Self([packed & entries, packed >> half & entries].map(|table| {
            (bit..width - 1).rev().fold(table, |table, step| (table | table << (1 << step)) & POSITIONS[step as usize])
        }))
    }

    /// Appends what is kept: for the lowest digit only the first table.
    #[inline(always)]
    fn write(self, width: u32, lowest: bool, writer: &mut BitWriter) {
        writer.write(self.0[0], 1 << width);
        if !lowest {
            writer.write(self.0[1], 1 << width);
        }
    }
}

/// Bits of each correction of a digit.
#[inline(always)]
fn correction_width(width: u32, lowest: bool) -> u32 {
    if lowest { 1 << (width - 1) } else { 1 << width }
}

/// The client's half of sharing the tables of some elements: writes its corrections and its shares of the tables.
/// `keys` are those of the elements' transfers, one for each bit of the window.
pub(super) fn send_tables(
    layout: &SelectLayout,
    share: &[u32],
    keys: (&[u64], &[u64]),
    corrections: &mut [u8],
    tables: &mut [u8],
) {
    let window = layout.window() as usize;
    let (mut corrections, mut tables) = (BitWriter::new(corrections), BitWriter::new(tables));
    let keys = keys.0.chunks_exact(window).zip(keys.1.chunks_exact(window));
    for (own, (zero, one)) in share.iter().zip(keys) {
        let mut keys = zero.iter().zip(one);
        let mut bits = own >> layout.ignored;
        for (digit, width) in layout.digits.iter().copied().enumerate() {
            let mut own = Tables::of(bits & low_bits(width), width);
            let sent = correction_width(width, digit == 0);
            for (bit, (zero, one)) in (0..width).zip(&mut keys) {
                let correction = own.differences(bit).compress(bit, width) ^ zero ^ one;
                corrections.write(correction & u64::MAX >> (64 - sent), sent);
                own.add_both(Tables::expand(*zero, bit, width), bit);
            }
            own.write(width, digit == 0, &mut tables);
            bits >>= width;
        }
    }
    corrections.finish();
    tables.finish();
}

/// Packs the bits of the server's keys that corrections of the same size are added to.
pub(super) fn trim_keys(layout: &SelectLayout, keys: &[u64], trimmed: &mut [u8]) {
    let mut trimmed = BitWriter::new(trimmed);
    for keys in keys.chunks_exact(layout.window() as usize) {
        let mut keys = keys.iter();
        for (digit, width) in layout.digits.iter().copied().enumerate() {
            let kept = correction_width(width, digit == 0);
            for key in keys.by_ref().take(width as usize) {
                trimmed.write(key & u64::MAX >> (64 - kept), kept);
            }
        }
    }
    trimmed.finish();
}

/// The server's half: from its trimmed keys, its choice bits and the client's corrections to its shares of the tables.
pub(super) fn receive_tables(
    layout: &SelectLayout,
    keys: &[u8],
    choices: &[u8],
    corrections: &[u8],
    elements: usize,
    tables: &mut [u8],
) {
    let (mut keys, mut corrections) = (BitReader::new(keys), BitReader::new(corrections));
    let (mut choices, mut tables) = (BitReader::new(choices), BitWriter::new(tables));
    for _ in 0..elements {
        let mut flips = choices.read(layout.window());
        for (digit, width) in layout.digits.iter().copied().enumerate() {
            let mut own = Tables([0; 2]);
            let sent = correction_width(width, digit == 0);
            for bit in 0..width {
                let flip = (flips & 1).wrapping_neg();
                let received = Tables::expand(keys.read(sent) ^ corrections.read(sent) & flip, bit, width);
                let mut change = own.differences(bit);
                for (change, received) in change.0.iter_mut().zip(received.0) {
                    *change = *change & flip ^ received;
                }
                own.add_both(change, bit);
                flips >>= 1;
            }
            own.write(width, digit == 0, &mut tables);
        }
    }
    tables.finish();
}

/// Looks the masked windows of consecutive elements up: shares of what each digit generates and propagates, for blocks
/// of 64 elements.
pub(super) fn look_up(layout: &SelectLayout, tables: &[u8], masked: impl Iterator<Item = u64>, nodes: &mut [Node]) {
    let entry = |index: usize| u64::from(tables[index / 8] >> (index % 8)) & 1;
    let mut masked = masked.fuse();
    let mut start = 0;
    for nodes in nodes.chunks_mut(layout.digits.len()) {
        for (element, mut positions) in masked.by_ref().take(64).enumerate() {
            for (digit, (node, width)) in nodes.iter_mut().zip(&layout.digits).enumerate() {
                let position = positions as usize & low_bits(*width) as usize;
                positions >>= width;
                node.generate |= entry(start + position) << element;
                start += 1 << width;
                if digit > 0 {
                    node.propagate |= entry(start + position) << element;
                    start += 1 << width;
                }
            }
        }
    }
}
