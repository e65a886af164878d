//! What the known attacks on a stage cost, in bits: an estimate of our own, meant to err on the attacker's side.
//!
//! An instance is `blocks` blocks of `width` samples with one error each, in `dimension` unknowns. Every attack is
//! tried on the whole code, and on its densest part: each sample touches ten unknowns, so that after removing the
//! unknowns with the fewest samples one after the other (`densest_part`) there are still as many samples as unknowns
//! when a third of the unknowns have gone. Matrices are inverted with `k^2.8` operations, sparse systems solved with
//! `30 k^2` (Wiedemann); memory costs nothing.

use super::{super::simd::LOCALITY, parameters::Parameters, parameters::stages};

struct Instance {
    dimension: f64,
    width: f64,
    blocks: f64,
}

impl Instance {
    /// All samples; each block's parity is known, so that there is one unknown less for each.
    fn whole(parameters: Parameters, trees: usize) -> Self {
        let [dimension, width, blocks] = [parameters.dimension, parameters.leaves(), trees].map(|size| size as f64);
        Self { dimension: dimension - blocks, width, blocks }
    }

    /// Only samples in a `part` of the unknowns. The known parities are lost.
    fn part(parameters: Parameters, trees: usize, part: f64) -> Self {
        let whole = Self::whole(parameters, trees);
        Self { dimension: part * parameters.dimension as f64, ..whole }
    }

    fn solving(&self) -> f64 {
        30f64.log2() + 2.0 * self.dimension.log2()
    }

    /// Guesses samples without error (Prange), evenly from all blocks; with `errors` in each half of them found by
    /// collisions (Stern).
    fn information_set(&self, errors: usize) -> f64 {
        let each = self.dimension / self.blocks;
        let rate = each / self.width;
        let half = self.blocks / 2.0;
        let found = errors as f64;
        let choices = log_binomial(half, found);
        let probability = 2.0 * (choices + found * rate.log2() + (half - found) * (1.0 - rate).log2());
        let list = choices + found * each.log2();
        // So many sparse systems, or one inversion; the lists; the collisions.
        let reduction = (list.max(1.0).log2() + self.solving()).min(2.8 * self.dimension.log2());
        sum(&[reduction, list + 1.0 + list.max(1.0).log2(), list + 20f64.log2()]) - probability
    }

    /// Briaud and Øygarden's hybrid: guesses that the first `guessed` samples of each of a share of the blocks have no
    /// error, then solves by linearisation in the degree at which the Hilbert series of the products `e_i e_j = 0`
    /// within the blocks and of the parity checks ends.
    fn algebraic(&self, share: f64, guessed: f64) -> f64 {
        let (chosen, others) = (share * self.blocks, (1.0 - share) * self.blocks);
        let guess = -chosen * (1.0 - guessed / self.width).log2();
        let unknowns = self.dimension - chosen * guessed;
        if unknowns < 1.0 {
            return guess + self.solving();
        }
        let (short, long) = (self.width - 1.0 - guessed, self.width - 1.0);
        let checks = chosen * short + others * long - unknowns;
        // Newton's identities for (1 + short z)^chosen (1 + long z)^others / (1 + z)^checks.
        let mut series = vec![1.0];
        for degree in 1..=6 {
            let term = |power: usize| {
                let sign = if power % 2 == 1 { 1.0 } else { -1.0 };
                sign * (chosen * short.powi(power as i32) + others * long.powi(power as i32) - checks)
            };
            let next = (1..=degree).map(|power| term(power) * series[degree - power]).sum::<f64>() / degree as f64;
            if next <= 0.0 {
                let monomials: Vec<f64> = (0..=degree).map(|power| log_binomial(unknowns, power as f64)).collect();
                let monomials = sum(&monomials);
                let linear = (2.8 * monomials).min(2.0 * monomials + (3.0 * unknowns).log2());
                return guess + linear.max(self.solving());
            }
            series.push(next);
        }
        f64::INFINITY
    }

    fn best_information_set(&self) -> f64 {
        (0..6).map(|errors| self.information_set(errors)).fold(f64::INFINITY, f64::min)
    }

    fn best_algebraic(&self) -> f64 {
        let shares = (0..=16).map(|share| f64::from(share) / 16.0);
        let guesses = |share| (0..128).map(move |step| (share, f64::from(step) * self.width / 128.0));
        shares.flat_map(guesses).map(|(share, guess)| self.algebraic(share, guess)).fold(f64::INFINITY, f64::min)
    }
}

/// Logarithm of a sum of powers of two.
fn sum(exponents: &[f64]) -> f64 {
    let largest = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + exponents.iter().map(|exponent| (exponent - largest).exp2()).sum::<f64>().log2()
}

/// `log2` of `n` over `r`, for a small `r`.
fn log_binomial(n: f64, r: f64) -> f64 {
    (0..r as usize).map(|step| ((n - step as f64) / (step as f64 + 1.0)).log2()).sum()
}

/// The share of the unknowns of a random code of this `ratio` of samples to unknowns that removing the sparsest ones
/// leaves, when there are just as many samples.
fn densest_part(ratio: f64) -> f64 {
    use rand::Rng;
    const UNKNOWNS: usize = 4096;
    let samples = (ratio * UNKNOWNS as f64) as usize;
    let mut stream = crate::random::Seed::for_test(30).stream();
    let mut draw = || [(); LOCALITY].map(|()| stream.next_u32() as usize % UNKNOWNS);
    let code: Vec<[usize; LOCALITY]> = (0..samples).map(|_| draw()).collect();
    let mut touching = vec![Vec::new(); UNKNOWNS];
    for (sample, unknowns) in code.iter().enumerate() {
        unknowns.iter().for_each(|unknown| touching[*unknown].push(sample));
    }
    let mut degrees: Vec<usize> = touching.iter().map(Vec::len).collect();
    let (mut removed, mut gone) = (vec![false; UNKNOWNS], vec![false; samples]);
    let (mut unknowns_left, mut samples_left) = (UNKNOWNS, samples);
    while samples_left >= unknowns_left {
        let sparsest = (0..UNKNOWNS).filter(|unknown| !removed[*unknown]).min_by_key(|unknown| degrees[*unknown]);
        let sparsest = sparsest.expect("an unknown is left");
        removed[sparsest] = true;
        unknowns_left -= 1;
        for sample in &touching[sparsest] {
            if !std::mem::replace(&mut gone[*sample], true) {
                samples_left -= 1;
                code[*sample].iter().for_each(|unknown| degrees[*unknown] -= 1);
            }
        }
    }
    unknowns_left as f64 / UNKNOWNS as f64
}

/// The cheapest attacks, rounded down, on the largest stage of either kind: on the whole code by information sets and
/// by algebra, and on its densest part. `docs/security.md` cites these figures.
#[test]
fn every_known_attack_costs_more_than_128_bits() {
    let largest = stages(100_000_000);
    let mut found = Vec::new();
    for (layout, trees) in [(&largest[0], largest[0].trees), (&largest[1], largest[1].trees)] {
        let parameters = layout.parameters;
        let part = densest_part((trees * parameters.leaves()) as f64 / parameters.dimension as f64);
        let whole = Instance::whole(parameters, trees);
        let dense = Instance::part(parameters, trees, part);
        let bits = [whole.best_information_set(), whole.best_algebraic(), dense.best_information_set()];
        found.push((parameters.dimension, trees, bits.map(|bits| bits as u32)));
    }
    assert_eq!(found, [(28_672, 552, [190, 203, 144]), (131_072, 1024, [215, 222, 154])]);
}
