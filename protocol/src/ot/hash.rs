//! The hash that makes keys of columns: TMMO (Guo, Katz, Wang, Yu, IEEE S&P 2020), `pi(pi(x) ^ i) ^ pi(x)`.

use aes::{
    Aes128Enc, Block,
    cipher::{BlockCipherEncrypt, array::Array},
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::simd::{Instructions, LANE, LANE_BLOCKS, Lane};
use crate::plan::BLOCK;

/// Transfers that are hashed at once.
pub(super) const HASHED: usize = LANE_BLOCKS * BLOCK;

/// Hashes 512 columns at once under the connection's permutation.
pub(super) struct PadHash {
    permutation: Aes128Enc,
}

/// The input of a hash, and room for its steps: 128 times four columns each. Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct HashScratch {
    pub columns: Vec<Lane>,
    inner: Vec<Lane>,
    outer: Vec<Lane>,
}

impl HashScratch {
    pub(super) fn new() -> Self {
        let [columns, inner, outer] = [0; 3].map(|_| vec![[0; LANE]; BLOCK]);
        Self { columns, inner, outer }
    }
}

impl PadHash {
    pub(super) fn new(permutation: Aes128Enc) -> Self {
        Self { permutation }
    }

    /// The keys of the transfers from `first` on, at most [`HASHED`], whose columns are in `scratch`.
    pub(super) fn hash(&self, instructions: Instructions, first: u64, scratch: &mut HashScratch, keys: &mut [u64]) {
        let HashScratch { columns, inner, outer } = scratch;
        inner.copy_from_slice(columns);
        self.permutation.encrypt_blocks(blocks(inner));
        outer.copy_from_slice(inner);
        instructions.tweak(outer, first);
        self.permutation.encrypt_blocks(blocks(outer));
        for (block, keys) in keys.chunks_mut(BLOCK).enumerate() {
            for (key, (inner, outer)) in keys.iter_mut().zip(inner.iter().zip(outer.iter())) {
                *key = low_half(inner, block) ^ low_half(outer, block);
            }
        }
    }
}

fn blocks(lanes: &mut [Lane]) -> &mut [Block] {
    Array::slice_as_chunks_mut(lanes.as_flattened_mut()).0
}

fn low_half(lane: &Lane, block: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| lane[16 * block + byte]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes::cipher::KeyInit;

    /// Keys of 512 transfers from `first` on, under the key 00, 01 .. 0f.
    fn keys(columns: impl Fn(usize) -> u128, first: u64) -> Vec<u64> {
        let key: [u8; 16] = std::array::from_fn(|index| index as u8);
        let mut scratch = HashScratch::new();
        for transfer in 0..HASHED {
            let place = 16 * (transfer / BLOCK);
            scratch.columns[transfer % BLOCK][place..place + 16].copy_from_slice(&columns(transfer).to_le_bytes());
        }
        let mut keys = vec![0; HASHED];
        let hash = PadHash::new(Aes128Enc::new(&key.into()));
        hash.hash(Instructions::detect(), first, &mut scratch, &mut keys);
        keys
    }

    /// Expected values computed with another implementation of AES (OpenSSL's) from the formula.
    #[test]
    fn known_answers() {
        assert_eq!(keys(|_| 0, 0)[0], 0xf393_5570_11a2_3c69);
        let x = u128::from_be_bytes(std::array::from_fn(|index| 0xff - 0x11 * index as u8));
        assert_eq!(keys(|_| x, 0x0123_4567_89ab_cd80)[0], 0xb77f_0135_8f70_d89b);
        assert_eq!(keys(|_| u128::MAX, 0)[1], 0x256f_2140_592d_4e87);
        let unit = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128;
        let many = keys(|transfer| unit.wrapping_mul(transfer as u128), 1280);
        assert_eq!(
            [0, 127, 128, 511].map(|transfer| many[transfer]),
            [0xda46_5746_fb7c_4669, 0x7aa1_5a03_459c_b141, 0x2004_bbfa_0f5c_c48a, 0x9c16_fb86_166c_f90b]
        );
    }

    #[test]
    fn equal_columns_of_different_transfers_give_different_keys() {
        let mut keys = keys(|_| 7, 0);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), HASHED);
    }
}
