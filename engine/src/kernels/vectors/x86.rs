//! Vectors of the instruction sets of x86-64.
//!
//! A value of one of these types exists only where the processor has its instructions; that is what makes its methods safe
//! to call.
#![allow(unsafe_code, reason = "loads and stores of vectors, with detected instructions")]

use std::arch::x86_64::*;

use super::Vectors;
use crate::kernels::halves::{ROUND, high_halves, low_halves};

/// Implements [`Vectors`] for a type of instructions that exists only where they were detected.
macro_rules! vectors {
    (
        $(#[$attribute:meta])* $name:ident: $($feature:tt)&+, $vector:ty, $lanes:literal lanes, $rows:literal rows, splat $splat:ident,
        load $load:ident, store $store:ident, add $add:ident, shift $shift:ident, down $down:ident,
        add_products |$sum:ident, $left:ident, $right:ident| $products:expr,
        odd_from |$even:ident, $odd:ident| $blend:expr
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug)]
        pub(in crate::kernels) struct $name(());

        impl $name {
            /// A value, if the processor has the instructions.
            pub(in crate::kernels) fn detect() -> Option<Self> {
                let detected = $(is_x86_feature_detected!($feature))&&+;
                detected.then_some(Self(()))
            }
        }

        impl Vectors for $name {
            type Vector = $vector;

            const LANES: usize = $lanes;
            const ROWS: usize = $rows;

            #[inline(always)]
            fn splat(self, element: u32) -> $vector {
                // SAFETY: a value of this type exists only where the instructions do.
                unsafe { $splat(element as i32) }
            }

            #[inline(always)]
            fn load(self, from: &[u32], at: usize) -> $vector {
                let from = &from[at..][..$lanes];
                // SAFETY: the instructions exist as `self` does, and the slice has the elements of a vector.
                unsafe { $load(from.as_ptr().cast()) }
            }

            #[inline(always)]
            fn store(self, vector: $vector, to: &mut [u32]) {
                let to = &mut to[..$lanes];
                // SAFETY: the instructions exist as `self` does, and the slice has the elements of a vector.
                unsafe { $store(to.as_mut_ptr().cast(), vector) }
            }

            #[inline(always)]
            fn split(first: u32, second: u32) -> [u32; 2] {
                [low_halves(first, second), high_halves(first, second)]
            }

            #[inline(always)]
            fn split_lanes(self, first: $vector, second: $vector) -> [$vector; 2] {
                // SAFETY: a value of this type exists only where the instructions do.
                unsafe {
                    let blend = |$even: $vector, $odd: $vector| $blend;
                    let round = $splat(ROUND as i32);
                    let (low, high) = ($shift::<16>(second), $down::<16>($add(first, round)));
                    [blend(first, low), blend(high, $add(second, round))]
                }
            }

            #[inline(always)]
            fn add_products(self, sums: [$vector; 2], weights: $vector, elements: [$vector; 2]) -> [$vector; 2] {
                // SAFETY: a value of this type exists only where the instructions do.
                unsafe {
                    let add = |$sum: $vector, $left: $vector, $right: $vector| $products;
                    [add(sums[0], weights, elements[0]), add(sums[1], weights, elements[1])]
                }
            }

            #[inline(always)]
            fn join(self, [low, high]: [$vector; 2]) -> $vector {
                // SAFETY: a value of this type exists only where the instructions do.
                unsafe { $add(low, $shift::<16>(high)) }
            }
        }
    };
}

vectors! {
    /// AVX2: 16 registers.
    Avx2: "avx2", __m256i, 8 lanes, 6 rows, splat _mm256_set1_epi32,
    load _mm256_loadu_si256, store _mm256_storeu_si256, add _mm256_add_epi32, shift _mm256_slli_epi32, down _mm256_srli_epi32,
    add_products |sum, left, right| _mm256_add_epi32(sum, _mm256_madd_epi16(left, right)),
    odd_from |even, odd| _mm256_blend_epi16::<0b1010_1010>(even, odd)
}

vectors! {
    /// AVX2 with VNNI: 16 registers, multiply and add in one instruction.
    AvxVnni: "avx2" & "avxvnni", __m256i, 8 lanes, 6 rows, splat _mm256_set1_epi32,
    load _mm256_loadu_si256, store _mm256_storeu_si256, add _mm256_add_epi32, shift _mm256_slli_epi32, down _mm256_srli_epi32,
    add_products |sum, left, right| _mm256_dpwssd_avx_epi32(sum, left, right),
    odd_from |even, odd| _mm256_blend_epi16::<0b1010_1010>(even, odd)
}

vectors! {
    /// AVX-512 with VNNI: 32 registers.
    Avx512: "avx512f" & "avx512bw" & "avx512vnni", __m512i, 16 lanes, 8 rows, splat _mm512_set1_epi32,
    load _mm512_loadu_si512, store _mm512_storeu_si512, add _mm512_add_epi32, shift _mm512_slli_epi32, down _mm512_srli_epi32,
    add_products |sum, left, right| _mm512_dpwssd_epi32(sum, left, right),
    odd_from |even, odd| _mm512_mask_blend_epi16(0xaaaa_aaaa, even, odd)
}
