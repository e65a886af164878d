//! Digests of what both parties of the base OTs saw, and the public values drawn from them.

use aes::{Aes128Enc, cipher::KeyInit};
use sha2::{Digest, Sha256};

use crate::plan::{ROWS, TreeHeight};
use zeroize::Zeroizing;

/// `T` of the module's description. Public.
#[derive(Clone, Copy)]
pub(super) struct Transcript([u8; 32]);

/// 16-byte secrets of the base OTs and the trees.
pub(super) type Key = [u8; 16];

impl Transcript {
    pub(super) fn new(height: TreeHeight, first_message: &[u8], sender_point: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tacit v1 ot transcript")
            .chain_update([height.get()])
            .chain_update(first_message)
            .chain_update(sender_point);
        Self(hash.finalize().into())
    }

    /// `H2`: the key of base OT `index` on `side` (0 or 1), from the encoding of the
    /// Diffie-Hellman point.
    pub(super) fn base_key(&self, index: usize, side: u8, point: &[u8]) -> Key {
        debug_assert!(index < ROWS && side < 2);
        let digest: Zeroizing<[u8; 32]> = Zeroizing::new(
            Sha256::new()
                .chain_update(b"tacit v1 ot base key")
                .chain_update(self.0)
                .chain_update((index as u64).to_le_bytes())
                .chain_update([side])
                .chain_update(point)
                .finalize()
                .into(),
        );
        first(&digest)
    }

    /// `N`: separates the streams of different connections and directions.
    pub(super) fn nonce(&self) -> u64 {
        u64::from_le_bytes(first(&self.digest(b"tacit v1 ot nonce")))
    }

    /// The permutation of the correlation-robust hash.
    pub(super) fn permutation(&self) -> Aes128Enc {
        self.cipher(b"tacit v1 ot hash")
    }

    /// AES-128 under a public key of this transcript.
    pub(super) fn cipher(&self, label: &[u8]) -> Aes128Enc {
        Aes128Enc::new(&first::<16>(&self.digest(label)).into())
    }

    fn digest(&self, label: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(label).chain_update(self.0).finalize().into()
    }
}

fn first<const LENGTH: usize>(digest: &[u8; 32]) -> [u8; LENGTH] {
    std::array::from_fn(|index| digest[index])
}
