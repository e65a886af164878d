//! Sums of products of transforms, reduced once for several products.
//!
//! Both primes are `2^50 - d` with a small `d`. A product of two residues is below `2^100`; its low and high 52 bits are
//! summed apart, for [`TERMS`] products at most, so that neither sum leaves its word. The reduction then folds: `2^52` is
//! `4 d` modulo the prime. A kernel meets masks and bodies at the same time, each part of it read once for both.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m512i;

use super::bundle::{BLOCK, Block};
use super::residues::PRIMES;

/// Most products between two reductions: the sums of their high halves stay below `2^52 - 2^4`.
const TERMS: usize = 16;
/// What `2^50` is modulo each prime.
const DEFICITS: [u64; 2] = [(1 << 50) - PRIMES[0], (1 << 50) - PRIMES[1]];
// The folds assume the upper bound; the lower one is that of the sums of high halves.
const _: () = assert!(DEFICITS[0] >= 2 && DEFICITS[0] < 1 << 30 && DEFICITS[1] >= 2 && DEFICITS[1] < 1 << 30);

/// The instructions that the sums are compiled for.
#[derive(Clone, Copy)]
pub(super) enum Multiplier {
    /// Words of 128 bits.
    Portable,
    /// AVX-512 with products of 52 bits.
    #[cfg(target_arch = "x86_64")]
    Ifma(Ifma),
}

impl Multiplier {
    /// The fastest that this processor has.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = Ifma::try_new() {
            return Self::Ifma(ifma);
        }
        Self::Portable
    }

    /// Adds the products of kernels and as many inputs, each with its mask and its body, to the sums of masks and of bodies,
    /// modulo the prime of this index. All residues are below the prime.
    #[inline]
    pub(super) fn add_products(
        self,
        prime: usize,
        sums: [&mut Block; 2],
        kernels: &[[Block; 1]],
        inputs: &[[Block; 2]],
    ) {
        let [mask, body] = sums;
        for (kernels, inputs) in kernels.chunks(TERMS).zip(inputs.chunks(TERMS)) {
            match self {
                Self::Portable => portable(prime, [mask, body], kernels, inputs),
                #[cfg(target_arch = "x86_64")]
                Self::Ifma(ifma) => ifma.vectorize(
                    #[inline(always)]
                    || ifma.add_products(prime, [mask, body], kernels, inputs),
                ),
            }
        }
    }
}

/// At most [`TERMS`] products.
fn portable(prime: usize, sums: [&mut Block; 2], kernels: &[[Block; 1]], inputs: &[[Block; 2]]) {
    for (index, sums) in sums.into_iter().enumerate() {
        let mut wide = sums.map(u128::from);
        for ([kernel], input) in kernels.iter().zip(inputs) {
            for ((wide, kernel), input) in wide.iter_mut().zip(kernel).zip(&input[index]) {
                *wide += u128::from(*kernel) * u128::from(*input);
            }
        }
        *sums = wide.map(|wide| fold(wide, prime));
    }
}

/// A number below `2^105` modulo a prime.
fn fold(number: u128, prime: usize) -> u64 {
    const LOW: u128 = (1 << 50) - 1;
    let deficit = u128::from(DEFICITS[prime]);
    // Below 2^50 + 2^85, then 2^50 + 2^66, 2^50 + 2^47, and 2^50 + 2^30, which is less than twice the prime.
    let once = |number: u128| (number & LOW) + (number >> 50) * deficit;
    let folded = once(once(once(once(number)))) as u64;
    folded.min(folded.wrapping_sub(PRIMES[prime]))
}

#[cfg(target_arch = "x86_64")]
pulp::simd_type! {
    /// AVX-512 with products of 52 bits. A value exists only where the processor has them.
    pub(super) struct Ifma {
        sse: "sse",
        sse2: "sse2",
        avx: "avx",
        avx2: "avx2",
        avx512f: "avx512f",
        avx512ifma: "avx512ifma",
    }
}

/// Vectors of a block.
#[cfg(target_arch = "x86_64")]
const VECTORS: usize = BLOCK / 8;

#[cfg(target_arch = "x86_64")]
impl Ifma {
    /// At most [`TERMS`] products.
    #[inline(always)]
    fn add_products(self, prime: usize, sums: [&mut Block; 2], kernels: &[[Block; 1]], inputs: &[[Block; 2]]) {
        let zero = self.avx512f._mm512_setzero_si512();
        let mut low = [[zero; VECTORS]; 2];
        let mut high = low;
        for ([kernel], input) in kernels.iter().zip(inputs) {
            for (vector, kernel) in kernel.as_chunks::<8>().0.iter().enumerate() {
                let kernel: __m512i = pulp::cast(*kernel);
                for index in 0..2 {
                    let input: __m512i = pulp::cast(input[index].as_chunks::<8>().0[vector]);
                    low[index][vector] = self.avx512ifma._mm512_madd52lo_epu64(low[index][vector], kernel, input);
                    high[index][vector] = self.avx512ifma._mm512_madd52hi_epu64(high[index][vector], kernel, input);
                }
            }
        }
        for (index, sums) in sums.into_iter().enumerate() {
            self.reduce(prime, sums, low[index], high[index]);
        }
    }

    /// `sums += low + 2^52 high`, `low` at most `2^56` and `high` below `2^52 - 2^4`.
    #[inline(always)]
    fn reduce(self, prime: usize, sums: &mut Block, low: [__m512i; VECTORS], high: [__m512i; VECTORS]) {
        let Self { avx512f, avx512ifma, .. } = self;
        let splat = |value: u64| avx512f._mm512_set1_epi64(value as i64);
        let (modulus, deficit) = (splat(PRIMES[prime]), splat(DEFICITS[prime]));
        // What 2^52 is, below 2^32.
        let fold = splat(4 * DEFICITS[prime]);
        let zero = avx512f._mm512_setzero_si512();
        let once = |value: __m512i| avx512f._mm512_min_epu64(value, avx512f._mm512_sub_epi64(value, modulus));
        for ((sums, low), high) in sums.as_chunks_mut::<8>().0.iter_mut().zip(low).zip(high) {
            let high = avx512f._mm512_add_epi64(high, avx512f._mm512_srli_epi64::<52>(low));
            let low = avx512f._mm512_and_si512(low, splat((1 << 52) - 1));
            // Each low product adds less than 2^52; the high ones are below 2^32, then below 2^12.
            let low = avx512ifma._mm512_madd52lo_epu64(low, high, fold);
            let high = avx512ifma._mm512_madd52hi_epu64(zero, high, fold);
            let low = avx512ifma._mm512_madd52lo_epu64(low, high, fold);
            let high = avx512ifma._mm512_madd52hi_epu64(zero, high, fold);
            let low = avx512ifma._mm512_madd52lo_epu64(low, high, fold);
            // At most 2^54 now, and below 2^50 + 2^35 after the last fold, which is less than twice the prime.
            let high = avx512f._mm512_srli_epi64::<50>(low);
            let low = avx512f._mm512_and_si512(low, splat((1 << 50) - 1));
            let residue = once(avx512ifma._mm512_madd52lo_epu64(low, high, deficit));
            *sums = pulp::cast(once(avx512f._mm512_add_epi64(residue, pulp::cast(*sums))));
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::Seed;

    fn residues(prime: usize, stream: &mut impl RngExt) -> Block {
        std::array::from_fn(|_| stream.random_range(0..PRIMES[prime]))
    }

    #[test]
    fn sums_are_those_of_the_definition() {
        let mut stream = Seed::for_test(9).stream();
        for (prime, modulus) in PRIMES.into_iter().enumerate() {
            let largest = [modulus - 1; BLOCK];
            for terms in [0, 1, 2, TERMS - 1, TERMS, TERMS + 1, 5 * TERMS + 3] {
                let mut random = || residues(prime, &mut stream);
                let cases = [
                    (vec![[largest]; terms], vec![[largest; 2]; terms], [largest; 2]),
                    (vec![[[0; BLOCK]]; terms], vec![[largest; 2]; terms], [[0; BLOCK], largest]),
                    (
                        (0..terms).map(|_| [random()]).collect(),
                        (0..terms).map(|_| [random(), random()]).collect(),
                        [random(), random()],
                    ),
                ];
                for (kernels, inputs, start) in cases {
                    let mut expected = start;
                    for ([kernel], input) in kernels.iter().zip(&inputs) {
                        for (sums, input) in expected.iter_mut().zip(input) {
                            for (place, sum) in sums.iter_mut().enumerate() {
                                let product = u128::from(kernel[place]) * u128::from(input[place]);
                                *sum = ((u128::from(*sum) + product) % u128::from(modulus)) as u64;
                            }
                        }
                    }
                    for multiplier in [Multiplier::Portable, Multiplier::detect()] {
                        let [mut mask, mut body] = start;
                        multiplier.add_products(prime, [&mut mask, &mut body], &kernels, &inputs);
                        assert_eq!([mask, body], expected, "{terms} terms");
                    }
                }
            }
        }
    }
}
