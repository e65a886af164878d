//! Ciphertexts as they travel: seeds instead of fresh masks, coefficients cut to their top bits, output coefficients only.

use super::error::RlweError;
use super::masks::{MaskStream, SEED_BYTES};
use crate::bits::{pack, packed_len, unpack};
use crate::plan::packing::Geometry;
use crate::plan::{LinearStep, Packing};

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
