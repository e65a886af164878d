//! The inner loops, compiled for each instruction set, and the choice between them.
//!
//! They are compiled four times: portable, for AVX2, for AVX2 with VNNI and for AVX-512 with VNNI. Which one runs is found
//! out at run time.
#![allow(unsafe_code, reason = "calls of functions compiled for detected instructions")]

use std::ops::Range;

use super::geometry::Band;
use super::pieces::Pieces;
use super::rows::Rows;
use super::vectors::Vectors;
use super::vectors::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::vectors::x86::{Avx2, Avx512, AvxVnni};
use super::{image, rows, tile};

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
        let sets = [
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Set::Avx512),
            #[cfg(target_arch = "x86_64")]
            AvxVnni::detect().map(Set::AvxVnni),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Set::Avx2),
            Some(Set::Portable(Portable)),
        ];
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
    fn convolve(band: &Band<'_>, tiles: Range<usize>, pieces: Pieces<'_>, outputs: &mut [&mut [u32]])
        = tile::convolve;

    /// Splits elements into pairs of halves.
    fn split(elements: &[u32], low: &mut [u32], high: &mut [u32]) = rows::split;

    /// Adds the products of rows of weights and columns.
    fn multiply(rows: &Rows<'_>, sums: &mut [u32]) = rows::multiply;
}
