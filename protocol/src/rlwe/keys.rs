//! Secret and public keys.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::error::RlweError;
use super::masks::{SEED_BYTES, expand_masks};
use super::ntt::{Ntt, NttPolynomial};
use super::ring::{add_noise, binary};
use crate::plan::ParameterSet;
use crate::random::Seed;

/// A client's public key: an encryption of zero, the mask part as a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Ring dimension and noise.
    pub parameters: ParameterSet,
    /// Expands to the mask polynomial.
    pub seed: [u8; SEED_BYTES],
    /// Coefficients of the body, all 64 bits.
    pub body: Vec<u64>,
}

/// Bytes of a public key in a message: seed and body.
pub const fn public_key_len(parameters: ParameterSet) -> usize {
    SEED_BYTES + 8 * parameters.dimension()
}

/// A binary secret key. Wiped on drop, redacted in `Debug`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct SecretKey {
    #[zeroize(skip)]
    pub(super) parameters: ParameterSet,
    /// The key's transform, scaled by `1/N`.
    transformed: NttPolynomial,
}

impl SecretKey {
    /// A uniform binary key.
    pub(super) fn generate(parameters: ParameterSet) -> Result<Self, RlweError> {
        let mut bits = binary(parameters, &mut Seed::random()?.stream());
        let key = Self::from_bits(parameters, &bits);
        bits.zeroize();
        Ok(key)
    }

    /// A key with the given coefficients, 0 or 1.
    pub(super) fn from_bits(parameters: ParameterSet, bits: &[i32]) -> Self {
        Self { parameters, transformed: Ntt::of(parameters).forward_small(bits) }
    }

    /// `mask * s`.
    pub(super) fn product(&self, mask: &[u64]) -> Vec<u64> {
        Ntt::of(self.parameters).product(mask, &self.transformed)
    }

    /// Bodies of fresh encryptions of `2^32 * plaintext`, the masks expanded from `seed` in turn.
    pub(super) fn encrypt(&self, seed: &[u8; SEED_BYTES], plaintexts: &[Vec<u32>]) -> Result<Vec<Vec<u64>>, RlweError> {
        let noise = Seed::random()?;
        let dimension = self.parameters.dimension();
        let masks = expand_masks(seed, self.parameters, plaintexts.len());
        let encrypt = |(index, (mask, plaintext)): (usize, (&[u64], &Vec<u32>))| {
            let mut body = self.product(mask);
            add_noise(self.parameters, &mut body, &mut noise.derive("encryption", index as u64).stream());
            for (coefficient, message) in body.iter_mut().zip(plaintext) {
                *coefficient = coefficient.wrapping_add(u64::from(*message) << 32);
            }
            body
        };
        Ok(masks.chunks_exact(dimension).zip(plaintexts).enumerate().map(encrypt).collect())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SecretKey({:?}, redacted)", self.parameters)
    }
}
