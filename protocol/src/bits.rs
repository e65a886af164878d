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
    debug_assert!((1..=64).contains(&width));
    let mask = u64::MAX >> (64 - width);
    let mut words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let mut buffer: u128 = 0;
    let mut filled = 0;
    (0..count).map(move |_| {
        if filled < width {
            buffer |= u128::from(words.next().unwrap_or(0)) << filled;
            filled += 64;
        }
        let value = buffer as u64 & mask;
        buffer >>= width;
        filled -= width;
        value
    })
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

    #[test]
    fn layout_is_lowest_bit_first() {
        let mut bytes = Vec::new();
        pack([0b101, 0b011, 0b110], 3, &mut bytes);
        assert_eq!(bytes, [0b1001_1101, 0b1]);
    }
}
