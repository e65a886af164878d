//! Sampling of the scheme's polynomials.

use chacha20::ChaCha20Rng;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::params::ParameterSet;

/// A polynomial with coefficients 0 and 1, each uniform: keys, and the multipliers of fresh zeros.
pub(super) fn binary(parameters: ParameterSet, stream: &mut ChaCha20Rng) -> Vec<i32> {
    // With room from the start: a vector that grows leaves copies of a key behind.
    let mut coefficients = Vec::with_capacity(parameters.dimension());
    for _ in 0..parameters.dimension() / 64 {
        let word = stream.next_u64();
        coefficients.extend((0..64).map(|bit| (word >> bit & 1) as i32));
    }
    coefficients
}

/// Adds a Gaussian of the set's standard deviation, rounded to integers, to each coefficient.
///
/// The continuous Gaussian is that of `rand_distr` (ziggurat with exact tails, 53 bits), so a rounded sample is within
/// a relative `2^-50` of the ideal at every point that is ever drawn.
pub(super) fn add_noise(parameters: ParameterSet, polynomial: &mut [u64], stream: &mut ChaCha20Rng) {
    let deviation = parameters.deviation();
    for coefficient in polynomial {
        let sample: f64 = stream.sample(StandardNormal);
        *coefficient = coefficient.wrapping_add((sample * deviation).round() as i64 as u64);
    }
}
