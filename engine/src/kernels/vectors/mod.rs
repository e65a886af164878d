//! What the kernels are written in: vectors of 32-bit elements.
//!
//! The inner loops are written once, generic over [`Vectors`]. `portable.rs` implements it without particular instructions,
//! `x86.rs` with AVX2, AVX-VNNI and AVX-512.

pub(super) mod portable;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

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

    /// Splits two elements that meet the two weights of a pair into two numbers that [`Vectors::add_products`] takes.
    fn split(first: u32, second: u32) -> [u32; 2];

    /// [`Vectors::split`] in each lane.
    fn split_lanes(self, first: Self::Vector, second: Self::Vector) -> [Self::Vector; 2];

    /// In each lane adds the products of a pair of weights and of two elements, which were split.
    fn add_products(
        self,
        sums: [Self::Vector; 2],
        weights: Self::Vector,
        elements: [Self::Vector; 2],
    ) -> [Self::Vector; 2];

    /// In each lane the sum of all products that were added to `sums`.
    fn join(self, sums: [Self::Vector; 2]) -> Self::Vector;
}
