//! Sampling of the scheme's polynomials.

use chacha20::ChaCha20Rng;
use rand::Rng;
use zeroize::Zeroizing;

use super::gaussian::add_gaussian;
use crate::plan::ParameterSet;

/// A polynomial with coefficients 0 and 1, each uniform: keys, and the multipliers of rerandomisations.
pub(super) fn binary(parameters: ParameterSet, stream: &mut ChaCha20Rng) -> Vec<i32> {
    let mut bytes = Zeroizing::new([0; ParameterSet::N4096.dimension() / 8]);
    let bytes = &mut bytes[..parameters.dimension() / 8];
    stream.fill_bytes(bytes);
    // Of its size from the start: a vector that grows leaves copies of a key behind.
    let mut coefficients = vec![0; parameters.dimension()];
    for (coefficients, byte) in coefficients.as_chunks_mut::<8>().0.iter_mut().zip(bytes) {
        *coefficients = std::array::from_fn(|bit| i32::from(*byte >> bit & 1));
    }
    coefficients
}

/// Adds a Gaussian of the set's standard deviation, rounded to integers, to each coefficient ([`add_gaussian`]).
pub(super) fn add_noise(parameters: ParameterSet, polynomial: &mut [u64], stream: &mut ChaCha20Rng) {
    add_gaussian(parameters.deviation(), polynomial, stream);
}
