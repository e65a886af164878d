//! Exact products in `Z_{2^64}[X]/(X^N + 1)` by number-theoretic transforms over two primes just under `2^50`.
//!
//! One factor has 64-bit coefficients, taken as signed, the other small signed ones. The product over the integers is
//! smaller than half the primes' product in absolute value (checked where kernels are prepared), so the residues
//! determine it, and with it its value modulo `2^64`.

use std::sync::LazyLock;

use tfhe_ntt::prime::largest_prime_in_arithmetic_progression64;
use tfhe_ntt::prime64::Plan;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::params::ParameterSet;

const LIMIT: u64 = 1 << 50;
/// Both primes are 1 modulo `2N` for the largest `N`.
const STEP: u64 = 8192;
pub(super) const PRIMES: [u64; 2] = {
    let first = prime_below(LIMIT);
    [first, prime_below(first)]
};
const PRODUCT: u64 = PRIMES[0].wrapping_mul(PRIMES[1]);
const INVERSE: u64 = inverse(PRIMES[0], PRIMES[1]);
/// `floor(INVERSE * 2^64 / PRIMES[1])`, for Shoup's modular multiplication.
const INVERSE_SHOUP: u64 = (((INVERSE as u128) << 64) / PRIMES[1] as u128) as u64;

/// Largest sum of the small factor's absolute coefficients: `2^63` times it stays below half the primes' product.
pub(super) const MAX_ABSOLUTE_SUM: u64 = 1 << 35;

const fn prime_below(limit: u64) -> u64 {
    match largest_prime_in_arithmetic_progression64(STEP, 1, 0, limit - 1) {
        Some(prime) => prime,
        None => panic!("there are primes below 2^50"),
    }
}

/// `value^-1 mod prime`, by Fermat.
const fn inverse(value: u64, prime: u64) -> u64 {
    let (mut base, mut exponent, mut result) = (value as u128 % prime as u128, prime - 2, 1u128);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % prime as u128;
        }
        base = base * base % prime as u128;
        exponent >>= 1;
    }
    result as u64
}

/// A polynomial's transforms modulo both primes. Wiped on drop: some are of keys.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Transformed([Vec<u64>; 2]);

impl Transformed {
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
pub(super) struct Transformer {
    plans: [Plan; 2],
}

impl Transformer {
    /// The transformer of a parameter set's dimension, made once.
    pub(super) fn of(parameters: ParameterSet) -> &'static Self {
        static LARGE: LazyLock<Transformer> = LazyLock::new(|| Transformer::new(ParameterSet::N4096));
        static SMALL: LazyLock<Transformer> = LazyLock::new(|| Transformer::new(ParameterSet::N2048));
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
    pub(super) fn forward_large(&self, polynomial: &[u64], transformed: &mut Transformed) {
        let [first, second] = &mut transformed.0;
        for ((value, first), second) in polynomial.iter().zip(first.iter_mut()).zip(second.iter_mut()) {
            let (negative, magnitude) = ((*value as i64) < 0, (*value as i64).unsigned_abs());
            *first = signed_residue(magnitude % PRIMES[0], negative, PRIMES[0]);
            *second = signed_residue(magnitude % PRIMES[1], negative, PRIMES[1]);
        }
        self.plans[0].fwd(first);
        self.plans[1].fwd(second);
    }

    /// Transform of a polynomial with small signed coefficients, scaled by `1/N` so that an inverse of its products
    /// needs no further factor.
    pub(super) fn forward_small(&self, polynomial: &[i32]) -> Transformed {
        let mut transformed = Transformed([vec![0; polynomial.len()], vec![0; polynomial.len()]]);
        self.forward_small_into(polynomial, &mut transformed);
        transformed
    }

    /// As [`Self::forward_small`], into `transformed`.
    pub(super) fn forward_small_into(&self, polynomial: &[i32], transformed: &mut Transformed) {
        for ((plan, residues), prime) in self.plans.iter().zip(&mut transformed.0).zip(PRIMES) {
            for (residue, value) in residues.iter_mut().zip(polynomial) {
                *residue = signed_residue(u64::from(value.unsigned_abs()), *value < 0, prime);
            }
            plan.fwd(residues);
            plan.normalize(residues);
        }
    }

    /// `accumulator += left * right`.
    pub(super) fn multiply_accumulate(&self, accumulator: &mut Transformed, left: &Transformed, right: &Transformed) {
        for (index, plan) in self.plans.iter().enumerate() {
            plan.mul_accumulate(&mut accumulator.0[index], &left.0[index], &right.0[index]);
        }
    }

    /// The polynomial modulo `2^64` of an accumulator, into `polynomial`. The accumulator is used up.
    pub(super) fn inverse(&self, accumulator: &mut Transformed, polynomial: &mut [u64]) {
        for (plan, residues) in self.plans.iter().zip(&mut accumulator.0) {
            plan.inv(residues);
        }
        let [first, second] = &accumulator.0;
        for ((value, first), second) in polynomial.iter_mut().zip(first).zip(second) {
            *value = recombine(*first, *second);
        }
    }

    /// `left * right` for a large and a transformed small polynomial.
    pub(super) fn product(&self, left: &[u64], right: &Transformed) -> Vec<u64> {
        let mut transformed = Transformed([vec![0; left.len()], vec![0; left.len()]]);
        let mut accumulator = transformed.clone();
        self.forward_large(left, &mut transformed);
        self.multiply_accumulate(&mut accumulator, &transformed, right);
        let mut product = vec![0; left.len()];
        self.inverse(&mut accumulator, &mut product);
        product
    }
}

fn signed_residue(magnitude: u64, negative: bool, prime: u64) -> u64 {
    if negative && magnitude != 0 { prime - magnitude } else { magnitude }
}

/// The integer of smallest absolute value with these residues, modulo `2^64`.
fn recombine(first: u64, second: u64) -> u64 {
    // The first residue is below PRIMES[0], which may exceed PRIMES[1], though not its double.
    let difference = (second + 2 * PRIMES[1] - first) % PRIMES[1];
    let quotient = ((u128::from(difference) * u128::from(INVERSE_SHOUP)) >> 64) as u64;
    let mut digit = difference.wrapping_mul(INVERSE).wrapping_sub(quotient.wrapping_mul(PRIMES[1]));
    if digit >= PRIMES[1] {
        digit -= PRIMES[1];
    }
    let value = first.wrapping_add(PRIMES[0].wrapping_mul(digit));
    if digit > PRIMES[1] / 2 { value.wrapping_sub(PRODUCT) } else { value }
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
            let transformer = Transformer::of(parameters);
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
                assert_eq!(transformer.product(&large, &transformer.forward_small(&small)), schoolbook(&large, &small));
            }
        }
    }

    #[test]
    fn primes_are_as_stated() {
        for prime in PRIMES {
            assert!(prime < LIMIT && prime > LIMIT - (1 << 30) && prime % STEP == 1);
        }
        assert!(
            u128::from(MAX_ABSOLUTE_SUM) << 63
                < u128::from(PRIMES[0]) * u128::from(PRIMES[1]) / 2 - u128::from(PRIMES[0])
        );
    }
}
