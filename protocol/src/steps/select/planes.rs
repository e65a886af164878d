//! Bits of 64 elements in one word: the elements of a step are cut into blocks of 64, the last of which may be shorter.
//! Bits past a block's end are zero.

use std::ops::Range;

/// Elements of a block.
pub(super) const BLOCK: usize = 64;

/// Elements of block number `block`.
pub(super) fn count(block: usize, elements: usize) -> usize {
    (elements - block * BLOCK).min(BLOCK)
}

/// Where the elements of a block are in a row of all elements that starts at `first`.
pub(super) fn range(first: usize, block: usize, elements: usize) -> Range<usize> {
    let start = first + block * BLOCK;
    start..start + count(block, elements)
}

/// `count` bits (1 to 64) from position `first` of packed bits on.
pub(super) fn read(bits: &[u64], first: usize, count: usize) -> u64 {
    let (word, shift) = (first / 64, first % 64);
    let low = bits[word] >> shift;
    let high = if shift + count > 64 { bits[word + 1] << (64 - shift) } else { 0 };
    (low | high) & u64::MAX >> (64 - count)
}

/// Bit `bit` of each of up to 64 numbers.
pub(super) fn gather<N: Copy + Into<u64>>(numbers: &[N], bit: u32) -> u64 {
    numbers.iter().rev().fold(0, |plane, number| plane << 1 | (*number).into() >> bit & 1)
}

/// Appends a block of `count` bits, up to a whole number of bytes.
pub(super) fn write(plane: u64, count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&plane.to_le_bytes()[..count.div_ceil(8)]);
}

/// Takes a block of `count` bits off the front. Missing bytes read as zero.
pub(super) fn take(bytes: &mut &[u8], count: usize) -> u64 {
    let block = take_bytes(bytes, count.div_ceil(8));
    let mut word = [0; 8];
    word[..block.len()].copy_from_slice(block);
    u64::from_le_bytes(word)
}

/// Takes `length` bytes, or all there are, off the front.
pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (front, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    front
}
