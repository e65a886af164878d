//! Bit operations on rows: sums of streams, the transposition of rows into columns, tweaks.
//!
//! Each is written once, in safe portable code over fixed-size lanes that the compiler turns into
//! vector instructions, and compiled three times: for the target's baseline, for AVX2 and for
//! AVX-512. Which one runs is found out at run time. No address and no branch depends on the data.
#![allow(unsafe_code, reason = "calls of functions compiled for instructions that were detected")]

mod lanes;
mod portable;
#[cfg(test)]
mod tests;

use lanes::Node;
pub(super) use lanes::{FOLD, LANE, LANE_BLOCKS, LOCALITY, Lane, Row, STREAM_LANES, Stream};

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
            use super::lanes::{LANE_BLOCKS, Lane, Node, Row, Stream};
            use super::portable;
            $(
                #[target_feature(enable = "avx2")]
                pub(super) fn $name($($argument: $type),*) {
                    portable::$name($($argument),*);
                }
            )*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::lanes::{LANE_BLOCKS, Lane, Node, Row, Stream};
            use super::portable;
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

    /// Sets each `out` to `sigma(node)`: the high half, then the sum of both halves.
    fn sigma(nodes: &[Node], out: &mut [Node]);

    /// From parents in `near` and their encrypted `sigma` in `encrypted` makes the left children, `encrypted ^
    /// sigma(parent)`, in `near`, and the right ones, left child `^` parent, in `far`.
    fn branch(encrypted: &[Node], near: &mut [Node], far: &mut [Node]);

    /// Adds (exclusive or) all nodes to `sum`.
    fn total(nodes: &[Node], sum: &mut Node);

    /// Adds (exclusive or) `value` to the node at the secret `position`.
    fn place(nodes: &mut [Node], position: usize, value: &Node);

    /// Sets the lowest bit of each node to zero.
    fn clear_lowest(nodes: &mut [Node]);

    /// Maps each word of 32 random bits, four from a node, to `0 .. bound` by the high half of their product.
    fn scale(random: &[Node], bound: u32, indices: &mut [u32]);

    /// Adds (exclusive or) to each sum the elements of `vector` at the public places that its [`LOCALITY`] indices
    /// name.
    fn gather(vector: &[Node], indices: &[u32], sums: &mut [Node]);

    /// Sets bit `i` of `bits[b]` to the lowest bit of block `b` of `columns[i]`.
    fn lowest(columns: &[Lane], bits: &mut [u128; LANE_BLOCKS]);
}
