//! Ciphertexts as they travel: seeds instead of fresh masks, coefficients cut to their top bits, output coefficients only.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

use super::error::RlweError;
use super::keys::SEED_BYTES;
use super::packing::Geometry;
use super::params::ParameterSet;
use crate::bits::{pack, packed_len, unpack};
use crate::plan::{LinearStep, Packing};

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
struct MaskStream(Aes128);

impl MaskStream {
    fn new(seed: &[u8; SEED_BYTES]) -> Self {
        Self(Aes128::new(&Array(*seed)))
    }

    /// The coefficients from `first`, an even number, on.
    fn read(&self, first: usize, coefficients: &mut [u64]) {
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

/// Bytes of a linear step's upload and of its response.
pub fn message_lengths(linear: &LinearStep) -> (usize, usize) {
    let geometry = Geometry::new(linear);
    let Packing { parameters, upload_bits, .. } = linear.packing;
    let upload = SEED_BYTES + geometry.input_ciphertexts() * packed_len(parameters.dimension(), upload_bits);
    let response = (0..geometry.output_ciphertexts()).map(|index| response_length(linear, &geometry, index)).sum();
    (upload, response)
}

/// Bytes of one ciphertext of a response: its mask, and the outputs that it holds.
pub(super) fn response_length(linear: &LinearStep, geometry: &Geometry, index: usize) -> usize {
    let Packing { parameters, response_mask_bits, response_body_bits, .. } = linear.packing;
    packed_len(parameters.dimension(), response_mask_bits)
        + packed_len(geometry.output_count(index), response_body_bits)
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
pub(crate) fn write_bodies(seed: &[u8; SEED_BYTES], bodies: &[Vec<u64>], linear: &LinearStep) -> Vec<u8> {
    let mut message = Vec::with_capacity(message_lengths(linear).0);
    message.extend_from_slice(seed);
    for body in bodies {
        write_coefficients(body.iter().copied(), linear.packing.upload_bits, &mut message);
    }
    message
}

/// The ciphertexts of an upload, read one by one.
pub(crate) struct Upload<'a> {
    masks: MaskStream,
    bodies: &'a [u8],
    dimension: usize,
    bits: u32,
}

impl<'a> Upload<'a> {
    /// Checks the length of a linear step's upload.
    pub(crate) fn new(linear: &LinearStep, message: &'a [u8]) -> Result<Self, RlweError> {
        let expected = message_lengths(linear).0;
        let (Some((seed, bodies)), true) = (message.split_first_chunk::<SEED_BYTES>(), message.len() == expected)
        else {
            return Err(RlweError::Length { what: "the encrypted masks", expected, got: message.len() });
        };
        let Packing { parameters, upload_bits, .. } = linear.packing;
        Ok(Self { masks: MaskStream::new(seed), bodies, dimension: parameters.dimension(), bits: upload_bits })
    }

    /// The mask of a ciphertext.
    pub(crate) fn read_mask(&self, ciphertext: usize, mask: &mut [u64]) {
        self.masks.read(ciphertext * self.dimension, mask);
    }

    /// The body of a ciphertext.
    pub(crate) fn read_body(&self, ciphertext: usize, body: &mut [u64]) {
        let length = packed_len(self.dimension, self.bits);
        let coefficients = read_coefficients(&self.bodies[ciphertext * length..], self.dimension, self.bits);
        body.iter_mut().zip(coefficients).for_each(|(place, coefficient)| *place = coefficient);
    }
}

/// Mask and body of a ciphertext.
pub(crate) type Ciphertext = (Vec<u64>, Vec<u64>);

/// The mask and the output coefficients of each ciphertext of a response; the other coefficients of a body are zero.
pub(crate) fn read_response(linear: &LinearStep, message: &[u8]) -> Result<Vec<Ciphertext>, RlweError> {
    let expected = message_lengths(linear).1;
    if message.len() != expected {
        return Err(RlweError::Length { what: "the linear responses", expected, got: message.len() });
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
