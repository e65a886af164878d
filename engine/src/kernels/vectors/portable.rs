//! Vectors without particular instructions.

use super::Vectors;

/// Portable code. Without multiplications of 16-bit pairs nothing is won by halves: an element is not split, but each of
/// the two has its own sum.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Portable;

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
    fn split(first: u32, second: u32) -> [u32; 2] {
        [first, second]
    }

    #[inline(always)]
    fn split_lanes(self, first: Self::Vector, second: Self::Vector) -> [Self::Vector; 2] {
        [first, second]
    }

    #[inline(always)]
    fn add_products(
        self,
        [mut first, mut second]: [Self::Vector; 2],
        weights: Self::Vector,
        elements: [Self::Vector; 2],
    ) -> [Self::Vector; 2] {
        for lane in 0..4 {
            let [low, high] = [i32::from(weights[lane] as i16), weights[lane] as i32 >> 16];
            first[lane] = first[lane].wrapping_add(elements[0][lane].wrapping_mul(low as u32));
            second[lane] = second[lane].wrapping_add(elements[1][lane].wrapping_mul(high as u32));
        }
        [first, second]
    }

    #[inline(always)]
    fn join(self, [mut first, second]: [Self::Vector; 2]) -> Self::Vector {
        for lane in 0..4 {
            first[lane] = first[lane].wrapping_add(second[lane]);
        }
        first
    }
}
