//! Packing of fixed-width numbers into bytes: lowest bit first, no gaps, the last byte filled with zeros.

/// Bytes that `count` numbers of `width` bits take.
pub const fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends the low `width` bits (1 to 64) of each value to `bytes`, starting at a byte boundary.
pub fn pack(values: impl IntoIterator<Item = u64>, width: u32, bytes: &mut Vec<u8>) {
    debug_assert!((1..=64).contains(&width));
    let mask = u64::MAX >> (64 - width);
    let mut buffer: u128 = 0;
    let mut filled = 0;
    for value in values {
        buffer |= u128::from(value & mask) << filled;
        filled += width;
        if filled >= 64 {
            bytes.extend_from_slice(&(buffer as u64).to_le_bytes());
            buffer >>= 64;
            filled -= 64;
        }
    }
    let rest = (buffer as u64).to_le_bytes();
    bytes.extend_from_slice(&rest[..(filled as usize).div_ceil(8)]);
}

/// Reads `count` numbers of `width` bits (1 to 64) from the start of `bytes`.
///
/// The caller has checked that `bytes` holds at least [`packed_len`] bytes; missing ones read as zero.
pub fn unpack(bytes: &[u8], count: usize, width: u32) -> impl Iterator<Item = u64> + '_ {
    let mut reader = BitReader::new(bytes);
    (0..count).map(move |_| reader.read(width))
}

/// Reads numbers of differing widths, packed like those of [`pack`]. Missing bytes read as zero.
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// The next bits, fewer than 64; those above `filled` are zero.
    buffer: u64,
    filled: u32,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, buffer: 0, filled: 0 }
    }

    /// The next number of `width` bits (1 to 64).
    #[inline(always)]
    pub(crate) fn read(&mut self, width: u32) -> u64 {
        debug_assert!((1..=64).contains(&width));
        let mask = u64::MAX >> (64 - width);
        if self.filled >= width {
            let value = self.buffer & mask;
            self.buffer >>= width;
            self.filled -= width;
            return value;
        }
        let word = self.next_word();
        let value = (self.buffer | word << self.filled) & mask;
        let used = width - self.filled;
        self.buffer = (word >> 1) >> (used - 1);
        self.filled = 64 - used;
        value
    }

    #[inline(always)]
    fn next_word(&mut self) -> u64 {
        match self.rest.split_first_chunk() {
            Some((word, rest)) => {
                self.rest = rest;
                u64::from_le_bytes(*word)
            }
            None => {
                let mut word = [0; 8];
                word[..self.rest.len()].copy_from_slice(self.rest);
                self.rest = &[];
                u64::from_le_bytes(word)
            }
        }
    }
}

/// Writes numbers of differing widths in place, packed like those of [`pack`]. What does not fit is dropped.
pub(crate) struct BitWriter<'a> {
    rest: &'a mut [u8],
    /// The last bits, fewer than 64, not yet in a byte.
    buffer: u64,
    filled: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes, buffer: 0, filled: 0 }
    }

    /// Writes `value`, which has no bits above `width` (1 to 64).
    #[inline(always)]
    pub(crate) fn write(&mut self, value: u64, width: u32) {
        debug_assert!((1..=64).contains(&width) && value <= u64::MAX >> (64 - width));
        self.buffer |= value << self.filled;
        let filled = self.filled + width;
        if filled < 64 {
            self.filled = filled;
            return;
        }
        self.put(8);
        self.buffer = (value >> 1) >> (63 - self.filled);
        self.filled = filled - 64;
    }

    /// Writes the last bits; the rest of their byte becomes zero.
    pub(crate) fn finish(mut self) {
        self.put(self.filled.div_ceil(8) as usize);
    }

    #[inline(always)]
    fn put(&mut self, bytes: usize) {
        let rest = std::mem::take(&mut self.rest);
        let (now, later) = rest.split_at_mut(bytes.min(rest.len()));
        now.copy_from_slice(&self.buffer.to_le_bytes()[..now.len()]);
        self.rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_inverts_pack(values in prop::collection::vec(any::<u64>(), 0..70), width in 1u32..=64) {
            let mut bytes = Vec::new();
            pack(values.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_len(values.len(), width));
            let mask = u64::MAX >> (64 - width);
            let expected: Vec<u64> = values.iter().map(|value| value & mask).collect();
            prop_assert_eq!(unpack(&bytes, values.len(), width).collect::<Vec<_>>(), expected);
        }
    }

    proptest! {
        #[test]
        fn differing_widths_come_back(values in prop::collection::vec((any::<u64>(), 1u32..=64), 0..70)) {
            let values: Vec<(u64, u32)> = values.iter().map(|(value, width)| (value >> (64 - width), *width)).collect();
            let bits: u32 = values.iter().map(|(_, width)| width).sum();
            let mut bytes = vec![0; bits.div_ceil(8) as usize];
            let mut writer = BitWriter::new(&mut bytes);
            values.iter().for_each(|(value, width)| writer.write(*value, *width));
            writer.finish();
            let mut reader = BitReader::new(&bytes);
            values.iter().for_each(|(value, width)| assert_eq!(reader.read(*width), *value));
        }
    }

    #[test]
    fn layout_is_lowest_bit_first() {
        let mut bytes = Vec::new();
        pack([0b101, 0b011, 0b110], 3, &mut bytes);
        assert_eq!(bytes, [0b1001_1101, 0b1]);
    }
}
