//! Bit operations on rows: sums of streams, the transposition of rows into columns, tweaks.
//!
//! Each is written once, in safe portable code over fixed-size lanes that the compiler turns into
//! vector instructions, and compiled three times: for the target's baseline, for AVX2 and for
//! AVX-512. Which one runs is found out at run time. No address and no branch depends on the data.
#![allow(unsafe_code, reason = "calls of functions compiled for instructions that were detected")]

mod portable;

/// Four blocks of 16 bytes, which are transposed side by side.
pub(super) type Lane = [u8; LANE];

/// Bytes of a lane.
pub(super) const LANE: usize = 64;

/// Blocks in a lane.
pub(super) const LANE_BLOCKS: usize = LANE / 16;

/// Lanes that are worked on at once: 64 blocks, what the widest AES instructions take in one go.
pub(super) const STREAM_LANES: usize = 16;

/// The stream of one leaf, or a sum of such.
pub(super) type Stream = [Lane; STREAM_LANES];

/// A row of the matrix that is transposed. The last lane is unused: it keeps the 128 rows' equal
/// lanes out of each other's way in the cache.
pub(super) type Row = [Lane; STREAM_LANES + 1];

/// Base-2 logarithm of the most leaves that [`Instructions::fold`] takes.
pub(super) const FOLD: usize = 4;

/// The instruction set that the operations are compiled for. A value exists only where the processor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instructions(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Instructions {
    /// The best that this processor has.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                return Self(Set::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                return Self(Set::Avx2);
            }
        }
        Self(Set::Portable)
    }

    /// All that this processor has.
    #[cfg(test)]
    fn available() -> Vec<Self> {
        let mut sets = vec![Self(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                sets.push(Self(Set::Avx2));
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                sets.push(Self(Set::Avx512));
            }
        }
        sets
    }
}

/// Declares the operations, once for each instruction set.
macro_rules! operations {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*);)*) => {
        impl Instructions {
            $(
                $(#[$attribute])*
                #[inline]
                pub(super) fn $name(self, $($argument: $type),*) {
                    match self.0 {
                        Set::Portable => portable::$name($($argument),*),
                        // SAFETY: `Set::Avx2` is made only where AVX2 was detected.
                        #[cfg(target_arch = "x86_64")]
                        Set::Avx2 => unsafe { avx2::$name($($argument),*) },
                        // SAFETY: `Set::Avx512` is made only where AVX-512 F and BW were detected.
                        #[cfg(target_arch = "x86_64")]
                        Set::Avx512 => unsafe { avx512::$name($($argument),*) },
                    }
                }
            )*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx2 {
            use super::{Lane, Row, Stream, portable};
            $(
                #[target_feature(enable = "avx2")]
                pub(super) fn $name($($argument: $type),*) {
                    portable::$name($($argument),*);
                }
            )*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::{Lane, Row, Stream, portable};
            $(
                #[target_feature(enable = "avx512f,avx512bw")]
                pub(super) fn $name($($argument: $type),*) {
                    portable::$name($($argument),*);
                }
            )*
        }
    };
}

operations! {
    /// Sets `sum` to the exclusive or of all leaves' streams, and adds to `rows[l]` that of the
    /// leaves whose number has bit `l` set, as many lanes as `sum` has. There are `2^rows.len()`
    /// leaves, 2 to `2^FOLD`.
    fn fold(leaves: &[Stream], sum: &mut [Lane], rows: &mut [Row]);

    /// Adds (exclusive or) `term` to `sum` where `mask` has ones. Both have the same length.
    fn add(sum: &mut [Lane], term: &[Lane], mask: u8);

    /// Transposes the four blocks of lane `lane` of 128 rows: block `b` of `columns[i]` becomes
    /// column `i` of block `b`.
    fn transpose(rows: &[Row], lane: usize, columns: &mut [Lane]);

    /// Adds (exclusive or) `first + 128 b + i` to the low half of block `b` of `columns[i]`.
    fn tweak(columns: &mut [Lane], first: u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use rand::Rng;

    fn random_rows(number: u64, count: usize) -> Vec<Row> {
        let mut stream = Seed::for_test(number).stream();
        let mut rows = vec![[[0; LANE]; STREAM_LANES + 1]; count];
        rows.iter_mut().flatten().for_each(|lane| stream.fill_bytes(lane));
        rows
    }

    fn random_streams(number: u64, count: usize) -> Vec<Stream> {
        random_rows(number, count).iter().map(|row| std::array::from_fn(|lane| row[lane])).collect()
    }

    fn bit(bytes: &[u8], index: usize) -> u8 {
        bytes[index / 8] >> (index % 8) & 1
    }

    #[test]
    fn every_instruction_set_transposes_each_block() {
        let rows = random_rows(1, 128);
        for instructions in Instructions::available() {
            for lane in 0..STREAM_LANES {
                let mut columns = [[0; LANE]; 128];
                instructions.transpose(&rows, lane, &mut columns);
                for block in 0..LANE_BLOCKS {
                    let place = block * 16..block * 16 + 16;
                    for (column, bytes) in columns.iter().enumerate() {
                        for (row, source) in rows.iter().enumerate() {
                            assert_eq!(
                                bit(&bytes[place.clone()], row),
                                bit(&source[lane][place.clone()], column),
                                "{instructions:?}, lane {lane}, block {block}, column {column}, row {row}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_folds_by_the_bits_of_the_leaf() {
        for instructions in Instructions::available() {
            for height in 1..=FOLD {
                let leaves = random_streams(2, 1 << height);
                for lanes in [1, 5, STREAM_LANES] {
                    let before = random_rows(3, height);
                    let mut rows = before.clone();
                    let mut sum = [[0xa5; LANE]; STREAM_LANES];
                    instructions.fold(&leaves, &mut sum[..lanes], &mut rows);
                    for lane in 0..STREAM_LANES + 1 {
                        for byte in 0..LANE {
                            let of = |wanted: &dyn Fn(usize) -> bool| {
                                (0..leaves.len())
                                    .filter(|leaf| wanted(*leaf))
                                    .fold(0, |sum, leaf| sum ^ leaves[leaf][lane][byte])
                            };
                            for level in 0..height {
                                let change = before[level][lane][byte] ^ rows[level][lane][byte];
                                let expected = if lane < lanes { of(&|leaf| leaf >> level & 1 == 1) } else { 0 };
                                assert_eq!(change, expected);
                            }
                            if lane < STREAM_LANES {
                                let expected = if lane < lanes { of(&|_| true) } else { 0xa5 };
                                assert_eq!(sum[lane][byte], expected);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_adds_under_the_mask_and_tweaks_by_the_transfer() {
        let [before, term] = [4, 5].map(|number| random_streams(number, 1)[0]);
        for instructions in Instructions::available() {
            for mask in [0, 0xff, 0x5a] {
                let mut sum = before;
                instructions.add(&mut sum, &term, mask);
                for (index, byte) in sum.as_flattened().iter().enumerate() {
                    assert_eq!(*byte, before.as_flattened()[index] ^ term.as_flattened()[index] & mask);
                }
            }
            let mut columns = [[0; LANE]; 128];
            instructions.tweak(&mut columns, 0x1_0000_0080);
            for (number, lane) in columns.iter().enumerate() {
                for (block, bytes) in lane.as_chunks::<16>().0.iter().enumerate() {
                    let expected = 0x1_0000_0080 + (128 * block + number) as u128;
                    assert_eq!(u128::from_le_bytes(*bytes), expected);
                }
            }
        }
    }
}
