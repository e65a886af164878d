//! Ciphertexts as they travel: seeds instead of fresh masks, coefficients cut to their top bits, output coefficients only.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

use super::error::HeError;
use super::keys::SEED_BYTES;
use super::packing::Geometry;
use super::params::ParameterSet;
use crate::bits::{pack, packed_len, unpack};
use crate::plan::{LinearPlan, Packing};

/// The mask polynomials of `count` ciphertexts, one after the other.
///
/// The byte stream is `AES-128(seed, i)` for the 128-bit little-endian counters `i = 0, 1, ...`, *without its first byte*;
/// coefficients are its consecutive 64-bit little-endian words. `concrete-core` expands its seeds in this way, so its
/// seeded ciphertexts have the same form.
pub fn expand_masks(seed: &[u8; SEED_BYTES], parameters: ParameterSet, count: usize) -> Vec<u64> {
    const BATCH: usize = 64;
    let cipher = Aes128::new(&Array(*seed));
    let words = count * parameters.dimension();
    // The word before the first is cut off the front in the end: it would need the byte that is left out.
    let mut masks = Vec::with_capacity(words + 2 * BATCH + 1);
    let mut blocks = [Array([0u8; 16]); BATCH];
    let mut counter = 0u128;
    // The seven bytes of the word that goes on in the next block.
    let mut pending = 0;
    while masks.len() < words + 1 {
        for block in &mut blocks {
            block.0 = counter.to_le_bytes();
            counter += 1;
        }
        cipher.encrypt_blocks(&mut blocks);
        for block in &blocks {
            let block = u128::from_le_bytes(block.0);
            masks.extend([pending | (block as u64) << 56, (block >> 8) as u64]);
            pending = (block >> 72) as u64;
        }
    }
    masks.remove(0);
    masks.truncate(words);
    masks
}

/// Bytes of a linear step's upload and of its response.
pub fn message_lengths(linear: &LinearPlan) -> (usize, usize) {
    let geometry = Geometry::new(linear);
    let Packing { parameters, upload_bits, response_mask_bits, response_body_bits, .. } = linear.packing;
    let upload = SEED_BYTES + geometry.input_ciphertexts() * packed_len(parameters.dimension(), upload_bits);
    let mask = packed_len(parameters.dimension(), response_mask_bits);
    let response = (0..geometry.output_ciphertexts())
        .map(|index| mask + packed_len(geometry.output_count(index), response_body_bits))
        .sum();
    (upload, response)
}

/// The top `bits` bits of a coefficient, rounded.
fn cut(coefficient: u64, bits: u32) -> u64 {
    let dropped = 64 - bits;
    let half = if dropped == 0 { 0 } else { 1 << (dropped - 1) };
    coefficient.wrapping_add(half) >> dropped
}

/// Appends coefficients, cut.
pub(super) fn write_coefficients(coefficients: impl Iterator<Item = u64>, bits: u32, message: &mut Vec<u8>) {
    pack(coefficients.map(|coefficient| cut(coefficient, bits)), bits, message);
}

/// Reads coefficients that were cut.
fn read_coefficients(bytes: &[u8], count: usize, bits: u32) -> impl Iterator<Item = u64> + '_ {
    unpack(bytes, count, bits).map(move |top| top << (64 - bits))
}

/// A linear step's upload: the seed, then all bodies.
pub(crate) fn write_bodies(seed: &[u8; SEED_BYTES], bodies: &[Vec<u64>], linear: &LinearPlan) -> Vec<u8> {
    let mut message = Vec::with_capacity(message_lengths(linear).0);
    message.extend_from_slice(seed);
    for body in bodies {
        write_coefficients(body.iter().copied(), linear.packing.upload_bits, &mut message);
    }
    message
}

/// Masks and bodies of an upload, one after the other.
pub(crate) fn read_bodies(linear: &LinearPlan, message: &[u8]) -> Result<(Vec<u64>, Vec<u64>), HeError> {
    let expected = message_lengths(linear).0;
    let (Some((seed, bytes)), true) = (message.split_first_chunk::<SEED_BYTES>(), message.len() == expected) else {
        return Err(HeError::Length { what: "the encrypted masks", expected, got: message.len() });
    };
    let Packing { parameters, upload_bits, .. } = linear.packing;
    let dimension = parameters.dimension();
    let chunks = bytes.chunks_exact(packed_len(dimension, upload_bits));
    let masks = expand_masks(seed, parameters, chunks.len());
    let bodies = chunks.flat_map(|chunk| read_coefficients(chunk, dimension, upload_bits)).collect();
    Ok((masks, bodies))
}

/// Mask and body of a ciphertext.
pub(crate) type Ciphertext = (Vec<u64>, Vec<u64>);

/// The mask and the output coefficients of each ciphertext of a response; the other coefficients of a body are zero.
pub(crate) fn read_response(linear: &LinearPlan, message: &[u8]) -> Result<Vec<Ciphertext>, HeError> {
    let expected = message_lengths(linear).1;
    if message.len() != expected {
        return Err(HeError::Length { what: "the linear responses", expected, got: message.len() });
    }
    let geometry = Geometry::new(linear);
    let Packing { parameters, response_mask_bits, response_body_bits, .. } = linear.packing;
    let dimension = parameters.dimension();
    let mut rest = message;
    let ciphertexts = (0..geometry.output_ciphertexts()).map(|index| {
        let (mask, after) = rest.split_at(packed_len(dimension, response_mask_bits));
        let count = geometry.output_count(index);
        let (body, after) = after.split_at(packed_len(count, response_body_bits));
        rest = after;
        let mut coefficients = vec![0; dimension];
        let values = read_coefficients(body, count, response_body_bits);
        for ((position, _), value) in geometry.outputs(index).zip(values) {
            coefficients[position] = value;
        }
        (read_coefficients(mask, dimension, response_mask_bits).collect(), coefficients)
    });
    Ok(ciphertexts.collect())
}
