//! The client's side of the encryption: an interface with interchangeable backends, and the default one.

use rand::{TryRng, rngs::SysRng};

use super::error::RlweError;
use super::keys::{PublicKey, SecretKey};
use super::masks::SEED_BYTES;
use crate::plan::ParameterSet;
use crate::random::RandomError;

/// Seeded encryptions of several polynomials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// Expands to the mask polynomials, one after the other ([`super::expand_masks`]).
    pub seed: [u8; SEED_BYTES],
    /// One body of `N` coefficients for each polynomial.
    pub bodies: Vec<Vec<u64>>,
}

/// A secret key of one parameter set, and what its owner does with it.
pub trait ClientKeys: Send + Sync {
    /// The key's parameter set.
    fn parameters(&self) -> ParameterSet;

    /// A fresh encryption of zero.
    ///
    /// # Errors
    /// If the random generator or the backend fails.
    fn public_key(&self) -> Result<PublicKey, RlweError> {
        let zero = vec![0; self.parameters().dimension()];
        let Encrypted { seed, mut bodies } = self.encrypt(&[zero])?;
        Ok(PublicKey { parameters: self.parameters(), seed, body: bodies.swap_remove(0) })
    }

    /// Encrypts `2^32` times each plaintext polynomial of `N` coefficients, with a fresh seed.
    ///
    /// # Errors
    /// If a polynomial has a wrong length, or the random generator or the backend fails.
    fn encrypt(&self, plaintexts: &[Vec<u32>]) -> Result<Encrypted, RlweError>;

    /// The phase `body - mask * s`, all `N` coefficients.
    ///
    /// # Errors
    /// If a polynomial has a wrong length, or the backend fails.
    fn phase(&self, mask: &[u64], body: &[u64]) -> Result<Vec<u64>, RlweError>;
}

/// Makes keys.
pub trait ClientBackend: Send + Sync {
    /// Name of the backend, for people.
    fn name(&self) -> &'static str;

    /// A fresh secret key.
    ///
    /// # Errors
    /// If the random generator or the backend fails.
    fn generate(&self, parameters: ParameterSet) -> Result<Box<dyn ClientKeys>, RlweError>;
}

/// The default backend: products by the number-theoretic transform (NTT).
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeBackend;

impl ClientBackend for NativeBackend {
    fn name(&self) -> &'static str {
        "native"
    }

    fn generate(&self, parameters: ParameterSet) -> Result<Box<dyn ClientKeys>, RlweError> {
        Ok(Box::new(NativeEngine(SecretKey::generate(parameters)?)))
    }
}

/// A key of the default backend.
pub(super) struct NativeEngine(pub(super) SecretKey);

impl ClientKeys for NativeEngine {
    fn parameters(&self) -> ParameterSet {
        self.0.parameters
    }

    fn encrypt(&self, plaintexts: &[Vec<u32>]) -> Result<Encrypted, RlweError> {
        check_lengths(self.parameters(), plaintexts.iter().map(Vec::len))?;
        let seed = random_seed()?;
        Ok(Encrypted { seed, bodies: self.0.encrypt(&seed, plaintexts)? })
    }

    fn phase(&self, mask: &[u64], body: &[u64]) -> Result<Vec<u64>, RlweError> {
        check_lengths(self.parameters(), [mask.len(), body.len()].into_iter())?;
        let mut phase = self.0.product(mask);
        for (phase, body) in phase.iter_mut().zip(body) {
            *phase = body.wrapping_sub(*phase);
        }
        Ok(phase)
    }
}

/// A fresh public seed for masks.
pub(super) fn random_seed() -> Result<[u8; SEED_BYTES], RlweError> {
    let mut seed = [0; SEED_BYTES];
    SysRng.try_fill_bytes(&mut seed).map_err(|_| RandomError)?;
    Ok(seed)
}

/// Every polynomial must have `N` coefficients.
pub(super) fn check_lengths(
    parameters: ParameterSet,
    mut lengths: impl Iterator<Item = usize>,
) -> Result<(), RlweError> {
    let expected = parameters.dimension();
    match lengths.find(|length| *length != expected) {
        Some(got) => Err(RlweError::Elements { what: "a polynomial", expected, got }),
        None => Ok(()),
    }
}
