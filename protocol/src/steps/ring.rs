//! Ring arithmetic that several steps share.

use crate::plan::padded;
use crate::random::Seed;
use zeroize::Zeroizing;

/// Added by the server to its share before bits are dropped: makes every value in `(-2^30, 2^30)` non-negative.
pub(super) const OFFSET: u32 = 1 << 30;

/// The addend of the server's share before `drop` low bits are dropped.
///
/// `2^drop - 1` centres the error of dropping bits of two shares separately: what is lost of both is between 0 and
/// `2 (2^drop - 1)`, so the result is strictly inside one unit of the exact quotient.
pub(super) const fn dropping_offset(drop: u32) -> u32 {
    OFFSET + (1 << drop) - 1
}

/// `value * 2^amount` on the ring, zero once everything is shifted out.
pub(super) const fn shift_left(value: u32, amount: u32) -> u32 {
    match value.checked_shl(amount) {
        Some(shifted) => shifted,
        None => 0,
    }
}

/// The low `width` bits set, `width <= 32`.
pub(super) const fn low_bits(width: u32) -> u32 {
    ((1u64 << width) - 1) as u32
}

/// `count` uniform bits, packed, up to a whole number of transfer blocks.
pub(super) fn random_bits(seed: &Seed, count: usize) -> Zeroizing<Vec<u64>> {
    let halves = Zeroizing::new(seed.uniform_u32(padded(count) / 32));
    let words = halves.as_chunks::<2>().0.iter().map(|[low, high]| u64::from(*low) | u64::from(*high) << 32);
    Zeroizing::new(words.collect())
}

/// Appends ring elements, little-endian.
pub(super) fn append(elements: impl ExactSizeIterator<Item = u32>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 4 * elements.len(), 0);
    for (bytes, element) in out[start..].as_chunks_mut::<4>().0.iter_mut().zip(elements) {
        *bytes = element.to_le_bytes();
    }
}

/// One bit of a packed bit vector.
pub(super) fn bit(words: &[u64], index: usize) -> u32 {
    (words[index / 64] >> (index % 64)) as u32 & 1
}
