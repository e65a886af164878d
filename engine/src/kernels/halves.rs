//! Elements of the ring as two signed 16-bit numbers: `element = low + 2^16 high` modulo `2^32`.

/// What is added before the upper half is cut off, so that the lower half can be read as a signed number.
pub(super) const ROUND: u32 = 0x8000;

/// The numbers `low` of two elements, as a pair.
#[inline(always)]
pub(super) fn low_halves(first: u32, second: u32) -> u32 {
    first & 0xffff | second << 16
}

/// The numbers `high` of two elements, as a pair.
#[inline(always)]
pub(super) fn high_halves(first: u32, second: u32) -> u32 {
    first.wrapping_add(ROUND) >> 16 | second.wrapping_add(ROUND) & 0xffff_0000
}

/// Two weights, as a pair.
pub(super) fn pair(first: i16, second: i16) -> u32 {
    u32::from(first as u16) | u32::from(second as u16) << 16
}
