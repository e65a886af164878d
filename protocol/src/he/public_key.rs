//! A client's public key, ready for fresh encryptions of zero.

use super::error::HeError;
use super::keys::PublicKey;
use super::params::ParameterSet;
use super::transform::{Transformed, Transformer};

/// A client's public key, transformed: mask and body.
pub struct PreparedPublicKey {
    pub(super) parameters: ParameterSet,
    transformed: [Transformed; 2],
}

impl PreparedPublicKey {
    /// Transforms a key.
    ///
    /// # Errors
    /// If the body has a wrong number of coefficients.
    pub fn new(key: &PublicKey) -> Result<Self, HeError> {
        super::engine::check_lengths(key.parameters, std::iter::once(key.body.len()))?;
        Ok(Self::with_mask(key, &super::expand_masks(&key.seed, key.parameters, 1)))
    }

    /// A key whose body has the right length, with its mask already expanded.
    pub(super) fn with_mask(key: &PublicKey, mask: &[u64]) -> Self {
        let transformer = Transformer::of(key.parameters);
        let transform = |polynomial: &[u64]| {
            let mut transformed = Transformed::zero(key.parameters);
            transformer.forward_large(polynomial, &mut transformed);
            transformed
        };
        Self { parameters: key.parameters, transformed: [transform(mask), transform(&key.body)] }
    }

    /// Adds the key times a small polynomial to mask and body.
    pub(super) fn add_product(&self, multiplier: &[i32], sums: &mut [Transformed; 2]) {
        let transformer = Transformer::of(self.parameters);
        let multiplier = transformer.forward_small(multiplier);
        for (sum, key) in sums.iter_mut().zip(&self.transformed) {
            transformer.multiply_accumulate(sum, key, &multiplier);
        }
    }
}
