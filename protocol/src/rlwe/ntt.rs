//! Exact products in `Z_{2^64}[X]/(X^N + 1)` by the number-theoretic transform (NTT) over two primes just under `2^50`.
//!
//! One factor has 64-bit coefficients, taken as signed, the other small signed ones. The product over the integers is
//! smaller than half the primes' product in absolute value (checked where kernels are prepared), so the residues
//! determine it, and with it its value modulo `2^64`.

use std::sync::LazyLock;

use pulp::Arch;
use tfhe_ntt::prime64::Plan;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::residues::{Multiply, PRIMES, Recombine, Reduce, residue_of};
use crate::plan::ParameterSet;

/// A polynomial's transforms modulo both primes. Wiped on drop: some are of keys.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct NttPolynomial([Vec<u64>; 2]);

impl NttPolynomial {
    /// The transform of zero.
    pub(super) fn zero(parameters: ParameterSet) -> Self {
        Self([vec![0; parameters.dimension()], vec![0; parameters.dimension()]])
    }

    /// The residues modulo both primes.
    pub(super) fn residues(&self) -> [&[u64]; 2] {
        self.0.each_ref().map(Vec::as_slice)
    }

    /// The residues modulo both primes, each to be kept below its prime.
    pub(super) fn residues_mut(&mut self) -> [&mut [u64]; 2] {
        self.0.each_mut().map(Vec::as_mut_slice)
    }

    pub(super) fn clear(&mut self) {
        self.0.iter_mut().for_each(|residues| residues.fill(0));
    }
}

/// Transforms of one ring dimension.
pub(super) struct Ntt {
    plans: [Plan; 2],
}

impl Ntt {
    /// The ntt of a parameter set's dimension, made once.
    pub(super) fn of(parameters: ParameterSet) -> &'static Self {
        static LARGE: LazyLock<Ntt> = LazyLock::new(|| Ntt::new(ParameterSet::N4096));
        static SMALL: LazyLock<Ntt> = LazyLock::new(|| Ntt::new(ParameterSet::N2048));
        match parameters {
            ParameterSet::N4096 => &LARGE,
            ParameterSet::N2048 => &SMALL,
        }
    }

    fn new(parameters: ParameterSet) -> Self {
        let plan = |prime| Plan::try_new(parameters.dimension(), prime).expect("both primes are 1 modulo 2N");
        Self { plans: PRIMES.map(plan) }
    }

    /// Transform of a polynomial with 64-bit coefficients, taken as signed, into `transformed`.
    pub(super) fn forward_large(&self, polynomial: &[u64], transformed: &mut NttPolynomial) {
        for ((plan, prime), residues) in self.plans.iter().zip(PRIMES).zip(&mut transformed.0) {
            Arch::new().dispatch(Reduce { values: polynomial, residues, prime });
            plan.fwd(residues);
        }
    }

    /// Transform of a polynomial with small signed coefficients, scaled by `1/N` so that an inverse of its products
    /// needs no further factor.
    pub(super) fn forward_small(&self, polynomial: &[i32]) -> NttPolynomial {
        let mut transformed = NttPolynomial([vec![0; polynomial.len()], vec![0; polynomial.len()]]);
        self.forward_small_into(polynomial, &mut transformed);
        transformed
    }

    /// As [`Self::forward_small`], into `transformed`.
    pub(super) fn forward_small_into(&self, polynomial: &[i32], transformed: &mut NttPolynomial) {
        for ((plan, residues), prime) in self.plans.iter().zip(&mut transformed.0).zip(PRIMES) {
            for (residue, value) in residues.iter_mut().zip(polynomial) {
                *residue = residue_of(*value, prime);
            }
            plan.fwd(residues);
            plan.normalize(residues);
        }
    }

    /// `accumulator += left * right`.
    pub(super) fn multiply_accumulate(
        &self,
        accumulator: &mut NttPolynomial,
        left: &NttPolynomial,
        right: &NttPolynomial,
    ) {
        for (index, plan) in self.plans.iter().enumerate() {
            plan.mul_accumulate(&mut accumulator.0[index], &left.0[index], &right.0[index]);
        }
    }

    /// The polynomial modulo `2^64` of an accumulator, into `polynomial`. The accumulator is used up.
    pub(super) fn inverse(&self, accumulator: &mut NttPolynomial, polynomial: &mut [u64]) {
        for (plan, residues) in self.plans.iter().zip(&mut accumulator.0) {
            plan.inv(residues);
        }
        let [first, second] = &accumulator.0;
        Arch::new().dispatch(Recombine { first, second, integers: polynomial });
    }

    /// `polynomial * factor` for a polynomial with 64-bit coefficients and a transformed small one.
    pub(super) fn product(&self, polynomial: &[u64], factor: &NttPolynomial) -> Vec<u64> {
        let mut product = vec![0; polynomial.len()];
        let mut first = Zeroizing::new(vec![0; polynomial.len()]);
        let mut second = Zeroizing::new(vec![0; polynomial.len()]);
        for (index, residues) in [&mut first, &mut second].into_iter().enumerate() {
            let (plan, prime) = (&self.plans[index], PRIMES[index]);
            Arch::new().dispatch(Reduce { values: polynomial, residues, prime });
            plan.fwd(residues);
            Arch::new().dispatch(Multiply { residues, factors: &factor.0[index], prime });
            plan.inv(residues);
        }
        Arch::new().dispatch(Recombine { first: &first, second: &second, integers: &mut product });
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use rand::{Rng, RngExt};

    fn schoolbook(large: &[u64], small: &[i32]) -> Vec<u64> {
        let dimension = large.len();
        let mut product = vec![0u64; dimension];
        for (index, factor) in small.iter().enumerate().filter(|(_, factor)| **factor != 0) {
            for (position, value) in large.iter().enumerate() {
                let term = value.wrapping_mul(i64::from(*factor) as u64);
                let target = index + position;
                if target < dimension {
                    product[target] = product[target].wrapping_add(term);
                } else {
                    product[target - dimension] = product[target - dimension].wrapping_sub(term);
                }
            }
        }
        product
    }

    #[test]
    fn products_are_exact() {
        let mut stream = Seed::for_test(1).stream();
        for parameters in ParameterSet::ALL {
            let dimension = parameters.dimension();
            let ntt = Ntt::of(parameters);
            let random: Vec<u64> = (0..dimension).map(|_| stream.next_u64()).collect();
            let weights: Vec<i32> = (0..dimension).map(|_| stream.random_range(-32768..=32767)).collect();
            let cases = [
                (random.clone(), weights.clone()),
                (vec![1 << 63; dimension], vec![-32768; dimension]),
                (vec![(1 << 63) - 1; dimension], vec![-32768; dimension]),
                (vec![u64::MAX; dimension], vec![32767; dimension]),
                (vec![0; dimension], weights),
                (random, vec![0; dimension]),
            ];
            for (large, small) in cases {
                let factor = ntt.forward_small(&small);
                let expected = schoolbook(&large, &small);
                let mut product = ntt.product(&large, &factor);
                assert_eq!(product, expected);

                let mut transformed = NttPolynomial::zero(parameters);
                ntt.forward_large(&large, &mut transformed);
                let mut accumulator = NttPolynomial::zero(parameters);
                ntt.multiply_accumulate(&mut accumulator, &transformed, &factor);
                ntt.inverse(&mut accumulator, &mut product);
                assert_eq!(product, expected);
            }
        }
    }
}
