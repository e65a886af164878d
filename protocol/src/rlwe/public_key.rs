//! A client's public key, ready for fresh encryptions of zero.

use super::error::RlweError;
use super::keys::PublicKey;
use super::ntt::{Ntt, NttPolynomial};
use crate::plan::ParameterSet;

/// A client's public key, transformed: mask and body.
pub struct PreparedPublicKey {
    pub(super) parameters: ParameterSet,
    transformed: [NttPolynomial; 2],
}

impl PreparedPublicKey {
    /// Transforms a key.
    ///
    /// # Errors
    /// If the body has a wrong number of coefficients.
    pub fn new(key: &PublicKey) -> Result<Self, RlweError> {
        super::client_keys::check_lengths(key.parameters, std::iter::once(key.body.len()))?;
        Ok(Self::with_mask(key, &super::expand_masks(&key.seed, key.parameters, 1)))
    }

    /// A key whose body has the right length, with its mask already expanded.
    pub(super) fn with_mask(key: &PublicKey, mask: &[u64]) -> Self {
        let ntt = Ntt::of(key.parameters);
        let transform = |polynomial: &[u64]| {
            let mut transformed = NttPolynomial::zero(key.parameters);
            ntt.forward_large(polynomial, &mut transformed);
            transformed
        };
        Self { parameters: key.parameters, transformed: [transform(mask), transform(&key.body)] }
    }

    /// Adds the key times a small polynomial to mask and body.
    pub(super) fn add_product(&self, multiplier: &[i32], sums: &mut [NttPolynomial; 2]) {
        let ntt = Ntt::of(self.parameters);
        let multiplier = ntt.forward_small(multiplier);
        for (sum, key) in sums.iter_mut().zip(&self.transformed) {
            ntt.multiply_accumulate(sum, key, &multiplier);
        }
    }
}
