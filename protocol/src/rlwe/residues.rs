//! Residues modulo two primes just under `2^50`: of numbers, of products, and back. Without branches, as they are of secrets.

use pulp::NullaryFnOnce;
use tfhe_ntt::prime::largest_prime_in_arithmetic_progression64;

const LIMIT: u64 = 1 << 50;
/// Both primes are 1 modulo `2N` for the largest `N`.
const STEP: u64 = 8192;
pub(super) const PRIMES: [u64; 2] = {
    let first = prime_below(LIMIT);
    [first, prime_below(first)]
};
const PRODUCT: u64 = PRIMES[0].wrapping_mul(PRIMES[1]);
const INVERSE: u64 = inverse(PRIMES[0], PRIMES[1]);

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

/// A small number modulo a prime, without a branch on its sign: weights are secret.
pub(super) fn residue_of(value: i32, prime: u64) -> u64 {
    let value = i64::from(value);
    (value as u64).wrapping_add(prime & (value >> 63) as u64)
}

/// Signed 64-bit numbers to their residues.
pub(super) struct Reduce<'a> {
    pub(super) values: &'a [u64],
    pub(super) residues: &'a mut [u64],
    pub(super) prime: u64,
}

impl NullaryFnOnce for Reduce<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // 2^50 is this number modulo the prime. The top 14 bits, with their sign, times it stay below 2^44.
        let excess = (LIMIT - self.prime) as i64;
        for (value, residue) in self.values.iter().zip(self.residues) {
            let high = (*value as i64 >> 50) as i32;
            let sum = (*value & (LIMIT - 1)).wrapping_add((i64::from(high) * excess) as u64);
            *residue = below(sum, self.prime);
        }
    }
}

/// Products of residues, in place.
pub(super) struct Multiply<'a> {
    pub(super) residues: &'a mut [u64],
    pub(super) factors: &'a [u64],
    pub(super) prime: u64,
}

impl NullaryFnOnce for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (residue, factor) in self.residues.iter_mut().zip(self.factors) {
            *residue = multiply_modulo(*residue, *factor, self.prime);
        }
    }
}

/// The integers of smallest absolute value with these residues, modulo `2^64`.
pub(super) struct Recombine<'a> {
    pub(super) first: &'a [u64],
    pub(super) second: &'a [u64],
    pub(super) integers: &'a mut [u64],
}

impl NullaryFnOnce for Recombine<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let residues = self.first.iter().zip(self.second);
        for (integer, (first, second)) in self.integers.iter_mut().zip(residues) {
            // The first prime is larger than the second one by little: two steps bring the difference there.
            let difference = below(below(second.wrapping_sub(*first), PRIMES[1]), PRIMES[1]);
            let digit = multiply_modulo(difference, INVERSE, PRIMES[1]);
            let value = first.wrapping_add(PRIMES[0].wrapping_mul(digit));
            let negative = ((PRIMES[1] / 2).wrapping_sub(digit) as i64 >> 63) as u64;
            *integer = value.wrapping_sub(PRODUCT & negative);
        }
    }
}

/// A number between `-prime` and `2 prime`, taken as signed, to its residue.
#[inline(always)]
fn below(value: u64, prime: u64) -> u64 {
    let value = value.wrapping_add(prime & (value as i64 >> 63) as u64).wrapping_sub(prime);
    value.wrapping_add(prime & (value as i64 >> 63) as u64)
}

/// The product of two residues: the quotient in double precision is off by one at most.
#[inline(always)]
fn multiply_modulo(left: u64, right: u64, prime: u64) -> u64 {
    let quotient = from_double(to_double(left) * to_double(right) * (1.0 / prime as f64));
    below(left.wrapping_mul(right).wrapping_sub(quotient.wrapping_mul(prime)), prime)
}

/// `2^52`: the low bits of a double between this and its double are an integer.
const OFFSET: f64 = (1u64 << 52) as f64;

/// An integer below `2^52`, exactly.
#[inline(always)]
fn to_double(value: u64) -> f64 {
    f64::from_bits(OFFSET.to_bits() | value) - OFFSET
}

/// The nearest integer of a number from 0 to `2^51`.
#[inline(always)]
fn from_double(value: f64) -> u64 {
    (value + OFFSET).to_bits() ^ OFFSET.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use pulp::Arch;
    use rand::{Rng, RngExt};

    #[test]
    fn residues_and_their_products_are_exact_at_the_extremes() {
        for prime in PRIMES {
            let signed = [0, 1, -1, i64::MAX, i64::MIN, i64::MIN + 1, (1 << 50) - 1, 1 << 50, -(1 << 50), prime as i64];
            let mut residues = [0; 10];
            Reduce { values: &signed.map(|value| value as u64), residues: &mut residues, prime }.call();
            assert_eq!(residues, signed.map(|value| value.rem_euclid(prime as i64) as u64));

            let mut stream = Seed::for_test(3).stream();
            let mut residues = vec![0, 1, 2, prime / 2, prime / 2 + 1, prime - 2, prime - 1];
            residues.extend((0..200).map(|_| stream.random_range(0..prime)));
            for factor in residues.clone() {
                let mut products = residues.clone();
                Multiply { residues: &mut products, factors: &vec![factor; residues.len()], prime }.call();
                for (value, product) in residues.iter().zip(products) {
                    assert_eq!(u128::from(product), u128::from(*value) * u128::from(factor) % u128::from(prime));
                }
            }
        }
    }

    /// Whatever the compiler makes of the same code: AVX2 and what this processor has best, against the target's own.
    #[test]
    fn every_instruction_set_gives_the_same_residues_and_integers() {
        let mut stream = Seed::for_test(4).stream();
        let values: Vec<u64> = (0..1003).map(|index| stream.next_u64() >> (index % 3 * 13)).collect();
        type Way = fn(&[u64]) -> Vec<u64>;
        macro_rules! way {
            ($run:expr) => {
                |values| {
                    let mut residues = PRIMES.map(|_| vec![0; values.len()]);
                    for (residues, prime) in residues.iter_mut().zip(PRIMES) {
                        $run(Reduce { values, residues, prime });
                        let factors = residues.clone();
                        $run(Multiply { residues, factors: &factors, prime });
                    }
                    let [first, second] = &residues;
                    let mut integers = vec![0; values.len()];
                    $run(Recombine { first, second, integers: &mut integers });
                    integers
                }
            };
        }
        fn own<Run: NullaryFnOnce>(run: Run) -> Run::Output {
            run.call()
        }
        fn best<Run: NullaryFnOnce>(run: Run) -> Run::Output {
            Arch::new().dispatch(run)
        }
        #[cfg(target_arch = "x86_64")]
        fn avx2<Run: NullaryFnOnce>(run: Run) -> Run::Output {
            match pulp::x86::V3::try_new() {
                Some(instructions) => pulp::Simd::vectorize(instructions, run),
                None => run.call(),
            }
        }
        let ways: &[Way] = &[
            way!(best),
            #[cfg(target_arch = "x86_64")]
            way!(avx2),
        ];
        let expected = (way!(own) as Way)(&values);
        assert!(ways.iter().all(|way| way(&values) == expected));
    }

    #[test]
    fn any_pair_of_residues_has_its_integer() {
        // Beyond this, integers of both signs may have the same residues.
        let most = (i128::from(PRIMES[0]) * i128::from(PRIMES[1])) / 2 - i128::from(PRIMES[0]);
        let integers = [0, 1, -1, most, -most, most - 1, i128::from(PRIMES[0]), -i128::from(PRIMES[1]), 1 << 98];
        let residues = |prime: u64| integers.map(|integer: i128| integer.rem_euclid(i128::from(prime)) as u64);
        let mut recombined = [0; 9];
        let [first, second] = PRIMES.map(residues);
        Recombine { first: &first, second: &second, integers: &mut recombined }.call();
        assert_eq!(recombined, integers.map(|integer| integer as u64));
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
