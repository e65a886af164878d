//! Secret randomness: seeds from the system and the streams expanded from them.

use chacha20::ChaCha20Rng;
use rand::{Rng, SeedableRng, TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The system's random generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct RandomError;

/// 256 bits of secret randomness. Wiped on drop, redacted in `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A fresh seed from the system.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }

    /// An independent seed for one purpose: SHA-256 over this seed, `label` and `index`.
    pub fn derive(&self, label: &str, index: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update((label.len() as u64).to_le_bytes());
        hash.update(label.as_bytes());
        hash.update(index.to_le_bytes());
        Self(hash.finalize().into())
    }

    /// The stream of this seed (ChaCha20). The generator's state is wiped on drop.
    pub fn stream(&self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.0)
    }

    /// `count` uniform ring elements.
    pub fn uniform_u32(&self, count: usize) -> Vec<u32> {
        let mut stream = self.stream();
        let mut bytes = zeroize::Zeroizing::new(vec![0u8; count * 4]);
        stream.fill_bytes(&mut bytes);
        bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
    }

    /// A seed with known bytes, for tests only.
    #[cfg(test)]
    pub(crate) fn for_test(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seed(redacted)")
    }
}
