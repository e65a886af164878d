//! The kernels, compiled for each instruction set.
//!
//! The kernels are written once, generic over [`Vectors`], and compiled four times: portable, for AVX2, for AVX2 with VNNI
//! and for AVX-512 with VNNI. Which one runs is found out at run time. A value of a type that implements [`Vectors`] exists only where the
//! processor has its instructions; that is what makes its methods safe to call.
#![allow(unsafe_code, reason = "loads and stores of vectors, calls of functions compiled for detected instructions")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::convolution::Band;
#[cfg(target_arch = "x86_64")]
use super::halves::{ROUND, high_halves, low_halves};
use super::vectors::{Portable, Vectors};
use super::{image, matrix, tile};

/// Implements [`Vectors`] for a type of instructions that exists only where they were detected.
macro_rules! vectors {
    (
        $(#[$attribute:meta])* $name:ident: $vector:ty, $lanes:literal lanes, $rows:literal rows, splat $splat:ident,
        load $load:ident, store $store:ident, add $add:ident, shift $shift:ident, down $down:ident,
        add_products |$sum:ident, $left:ident, $right:ident| $products:expr,
        odd_from |$even:ident, $odd:ident| $blend:expr
    ) => {
        $(#[$attribute])*
        #[cfg(target_arch = "x86_64")]
        #[derive(Clone, Copy, Debug)]
        struct $name(());

        #[cfg(target_arch = "x86_64")]
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
    Avx2: __m256i, 8 lanes, 6 rows, splat _mm256_set1_epi32,
    load _mm256_loadu_si256, store _mm256_storeu_si256, add _mm256_add_epi32, shift _mm256_slli_epi32, down _mm256_srli_epi32,
    add_products |sum, left, right| _mm256_add_epi32(sum, _mm256_madd_epi16(left, right)),
    odd_from |even, odd| _mm256_blend_epi16::<0b1010_1010>(even, odd)
}

vectors! {
    /// AVX2 with VNNI: 16 registers, multiply and add in one instruction.
    AvxVnni: __m256i, 8 lanes, 6 rows, splat _mm256_set1_epi32,
    load _mm256_loadu_si256, store _mm256_storeu_si256, add _mm256_add_epi32, shift _mm256_slli_epi32, down _mm256_srli_epi32,
    add_products |sum, left, right| _mm256_dpwssd_avx_epi32(sum, left, right),
    odd_from |even, odd| _mm256_blend_epi16::<0b1010_1010>(even, odd)
}

vectors! {
    /// AVX-512 with VNNI: 32 registers.
    Avx512: __m512i, 16 lanes, 8 rows, splat _mm512_set1_epi32,
    load _mm512_loadu_si512, store _mm512_storeu_si512, add _mm512_add_epi32, shift _mm512_slli_epi32, down _mm512_srli_epi32,
    add_products |sum, left, right| _mm512_dpwssd_epi32(sum, left, right),
    odd_from |even, odd| _mm512_mask_blend_epi16(0xaaaa_aaaa, even, odd)
}

/// The elements that meet the terms of a sum: for each term an equally long piece of the low and of the high halves.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    low: &'a [u32],
    high: &'a [u32],
    /// Where each piece begins; none is followed by less than `length` elements.
    offsets: &'a [usize],
    length: usize,
}

impl<'a> Pieces<'a> {
    /// Panics if the pieces are not inside of the halves.
    pub(super) fn new(low: &'a [u32], high: &'a [u32], offsets: &'a [usize], length: usize) -> Self {
        let available = low.len().min(high.len());
        assert!(offsets.iter().all(|offset| offset.checked_add(length).is_some_and(|end| end <= available)), "pieces");
        Self { low, high, offsets, length }
    }

    /// `length` elements of each piece, those from `position` on. Panics if the pieces are shorter.
    #[inline(always)]
    pub(super) fn at(self, position: usize, length: usize) -> impl Iterator<Item = [&'a [u32]; 2]> {
        assert!(position.checked_add(length).is_some_and(|end| end <= self.length), "elements of a piece");
        self.offsets.iter().map(move |offset| {
            // SAFETY: `offset + self.length` is at most the length of both, and `position + length` at most `self.length`.
            unsafe {
                let range = offset.unchecked_add(position)..offset.unchecked_add(position).unchecked_add(length);
                [self.low.get_unchecked(range.clone()), self.high.get_unchecked(range)]
            }
        })
    }
}

/// The instruction set that the kernels are compiled for. A value exists only where the processor has it.
#[derive(Clone, Copy, Debug)]
pub struct Instructions(Set);

#[derive(Clone, Copy, Debug)]
enum Set {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Instructions {
    /// All that this processor has, the best one first.
    pub fn available() -> impl Iterator<Item = Self> {
        let mut sets = [None; 4];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                sets[0] = Some(Set::Avx512(Avx512(())));
            }
            if is_x86_feature_detected!("avx2") {
                if is_x86_feature_detected!("avxvnni") {
                    sets[1] = Some(Set::AvxVnni(AvxVnni(())));
                }
                sets[2] = Some(Set::Avx2(Avx2(())));
            }
        }
        sets[3] = Some(Set::Portable(Portable));
        sets.into_iter().flatten().map(Self)
    }

    /// The best that this processor has.
    pub(super) fn detect() -> Self {
        Self::available().next().unwrap_or(Self(Set::Portable(Portable)))
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni(_) => "AVX-VNNI",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "AVX-512",
        }
    }

    /// [`Vectors::LANES`] of the set.
    pub(super) fn lanes(self) -> usize {
        match self.0 {
            Set::Portable(_) => Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni(_) => AvxVnni::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => Avx512::LANES,
        }
    }

    /// [`Vectors::ROWS`] of the set.
    pub(super) fn rows(self) -> usize {
        match self.0 {
            Set::Portable(_) => Portable::ROWS,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => Avx2::ROWS,
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni(_) => AvxVnni::ROWS,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => Avx512::ROWS,
        }
    }
}

/// Declares the kernels, once for each instruction set.
macro_rules! kernels {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*) = $generic:path;)*) => {
        impl Instructions {
            $(
                $(#[$attribute])*
                pub(super) fn $name(self, $($argument: $type),*) {
                    match self.0 {
                        Set::Portable(portable) => $generic(portable, $($argument),*),
                        // SAFETY: the value `simd` exists only where AVX2 was detected.
                        #[cfg(target_arch = "x86_64")]
                        Set::Avx2(simd) => unsafe { avx2::$name(simd, $($argument),*) },
                        // SAFETY: the value `simd` exists only where AVX2 and AVX-VNNI were detected.
                        #[cfg(target_arch = "x86_64")]
                        Set::AvxVnni(simd) => unsafe { avx_vnni::$name(simd, $($argument),*) },
                        // SAFETY: the value `simd` exists only where AVX-512 F, BW and VNNI were detected.
                        #[cfg(target_arch = "x86_64")]
                        Set::Avx512(simd) => unsafe { avx512::$name(simd, $($argument),*) },
                    }
                }
            )*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx2 {
            use super::*;
            $(
                #[target_feature(enable = "avx2")]
                pub(super) fn $name(simd: Avx2, $($argument: $type),*) {
                    $generic(simd, $($argument),*);
                }
            )*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx_vnni {
            use super::*;
            $(
                #[target_feature(enable = "avx2,avxvnni")]
                pub(super) fn $name(simd: AvxVnni, $($argument: $type),*) {
                    $generic(simd, $($argument),*);
                }
            )*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::*;
            $(
                #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
                pub(super) fn $name(simd: Avx512, $($argument: $type),*) {
                    $generic(simd, $($argument),*);
                }
            )*
        }
    };
}

kernels! {
    /// Lays the input of a band of output rows out as planes of halves.
    fn lay_out(band: &Band<'_>, share: &[u32], low: &mut [u32], high: &mut [u32]) = image::lay_out;

    /// Adds the products of a band: `outputs` are its pieces of the channels from `first_tile` on.
    fn convolve(band: &Band<'_>, tiles: std::ops::Range<usize>, pieces: Pieces<'_>, outputs: &mut [&mut [u32]])
        = tile::convolve;

    /// Splits elements into pairs of halves.
    fn split(elements: &[u32], low: &mut [u32], high: &mut [u32]) = matrix::split;

    /// Adds the products of rows of weights and columns.
    fn multiply(rows: &matrix::Rows<'_>, sums: &mut [u32]) = matrix::multiply;
}
