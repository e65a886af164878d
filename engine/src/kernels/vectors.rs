//! What the kernels are written in: vectors of 32-bit elements. Here without particular instructions.

use super::halves::{high_halves, low_halves};

/// Elements of the longest vector.
pub(super) const LONGEST: usize = 16;

/// Operations on vectors whose 32-bit lanes are elements of the ring or pairs of signed 16-bit integers.
pub(super) trait Vectors: Copy {
    /// A vector of [`Vectors::LANES`] lanes.
    type Vector: Copy;

    /// Lanes of 32 bits.
    const LANES: usize;

    /// Rows of weights that meet one vector of elements at a time: as many as the registers hold sums of.
    const ROWS: usize;

    /// All lanes `element`.
    fn splat(self, element: u32) -> Self::Vector;

    /// The elements from `from[at]` on. Panics if they are not all there.
    fn load(self, from: &[u32], at: usize) -> Self::Vector;

    /// Writes the elements to the beginning of `to`. Panics if it is too short.
    fn store(self, vector: Self::Vector, to: &mut [u32]);

    /// In each lane `sum + left[0] right[0] + left[1] right[1]`, the factors being pairs.
    fn add_products(self, sum: Self::Vector, left: Self::Vector, right: Self::Vector) -> Self::Vector;

    /// In each lane `low + 2^16 high`.
    fn join(self, low: Self::Vector, high: Self::Vector) -> Self::Vector;

    /// In each lane the pair of the low and that of the high halves of two elements: [`low_halves`], [`high_halves`].
    fn halves(self, first: Self::Vector, second: Self::Vector) -> [Self::Vector; 2];
}

/// Portable code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Vectors for Portable {
    type Vector = [u32; 4];

    const LANES: usize = 4;
    const ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, element: u32) -> Self::Vector {
        [element; 4]
    }

    #[inline(always)]
    fn load(self, from: &[u32], at: usize) -> Self::Vector {
        let from = &from[at..][..4];
        [from[0], from[1], from[2], from[3]]
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [u32]) {
        to[..4].copy_from_slice(&vector);
    }

    #[inline(always)]
    fn add_products(self, mut sum: Self::Vector, left: Self::Vector, right: Self::Vector) -> Self::Vector {
        for lane in 0..4 {
            let first = i32::from(left[lane] as i16).wrapping_mul(i32::from(right[lane] as i16));
            let second = (left[lane] as i32 >> 16).wrapping_mul(right[lane] as i32 >> 16);
            sum[lane] = sum[lane].wrapping_add(first.wrapping_add(second) as u32);
        }
        sum
    }

    #[inline(always)]
    fn join(self, mut low: Self::Vector, high: Self::Vector) -> Self::Vector {
        for lane in 0..4 {
            low[lane] = low[lane].wrapping_add(high[lane] << 16);
        }
        low
    }

    #[inline(always)]
    fn halves(self, first: Self::Vector, second: Self::Vector) -> [Self::Vector; 2] {
        let (mut low, mut high) = ([0; 4], [0; 4]);
        for lane in 0..4 {
            low[lane] = low_halves(first[lane], second[lane]);
            high[lane] = high_halves(first[lane], second[lane]);
        }
        [low, high]
    }
}
