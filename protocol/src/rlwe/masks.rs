//! Mask polynomials from seeds.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

use crate::plan::ParameterSet;

/// Bytes of a seed from which mask polynomials are expanded.
pub const SEED_BYTES: usize = 16;

/// The mask polynomials of `count` ciphertexts, one after the other.
///
/// The byte stream is `AES-128(seed, i)` for the 128-bit little-endian counters `i = 0, 1, ...`, *without its first byte*;
/// coefficients are its consecutive 64-bit little-endian words. `concrete-core` expands its seeds in this way, so its
/// seeded ciphertexts have the same form.
pub fn expand_masks(seed: &[u8; SEED_BYTES], parameters: ParameterSet, count: usize) -> Vec<u64> {
    let mut masks = vec![0; count * parameters.dimension()];
    MaskStream::new(seed).read(0, &mut masks);
    masks
}

/// The stream of mask coefficients of one seed.
pub(super) struct MaskStream(Aes128);

impl MaskStream {
    pub(super) fn new(seed: &[u8; SEED_BYTES]) -> Self {
        Self(Aes128::new(&Array(*seed)))
    }

    /// The coefficients from `first`, an even number, on.
    pub(super) fn read(&self, first: usize, coefficients: &mut [u64]) {
        /// Blocks that are encrypted at a time, of which the last one is encrypted again as the first of the next.
        const BLOCKS: usize = 65;
        let mut blocks = [Array([0u8; 16]); BLOCKS];
        let counters = (first as u128 / 2..).step_by(BLOCKS - 1);
        for (coefficients, counter) in coefficients.chunks_mut(2 * (BLOCKS - 1)).zip(counters) {
            for (block, counter) in blocks.iter_mut().zip(counter..) {
                block.0 = counter.to_le_bytes();
            }
            self.0.encrypt_blocks(&mut blocks);
            for (pair, blocks) in coefficients.chunks_mut(2).zip(blocks.windows(2)) {
                let [block, next] = [0, 1].map(|index: usize| u128::from_le_bytes(blocks[index].0));
                let words = [(block >> 8) as u64, (block >> 72) as u64 | (next as u64) << 56];
                pair.iter_mut().zip(words).for_each(|(coefficient, word)| *coefficient = word);
            }
        }
    }
}
