//! The server's side: products of encrypted masks with the weights, made fresh and masked.

use chacha20::ChaCha20Rng;
use rand::Rng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::ciphertext::{message_lengths, read_bodies, write_coefficients};
use super::error::HeError;
use super::keys::PublicKey;
use super::noise::{NoiseReport, noise_report};
use super::packing::Geometry;
use super::ring::{add_noise, binary};
use super::transform::{Transformed, Transformer};
use crate::plan::LinearPlan;
use crate::random::Seed;
use crate::share::Share;

/// A linear step's kernel polynomials, transformed once.
pub struct PreparedLinear {
    plan: LinearPlan,
    geometry: Geometry,
    kernels: Vec<Transformed>,
    noise: NoiseReport,
}

impl PreparedLinear {
    /// Transforms the weights, ordered `[output channel][input channel of the group][row][column]`.
    ///
    /// # Errors
    /// If the packing does not fit, or the noise bound does not hold for these weights.
    pub fn new(plan: &LinearPlan, weights: &[i16]) -> Result<Self, HeError> {
        let noise = noise_report(plan, weights)?;
        let geometry = Geometry::new(plan);
        let transformer = Transformer::of(plan.packing.parameters);
        let kernels = geometry.kernels(weights).par_iter().map(|kernel| transformer.forward_small(kernel)).collect();
        Ok(Self { plan: *plan, geometry, kernels, noise })
    }

    /// The step that was prepared.
    pub fn plan(&self) -> &LinearPlan {
        &self.plan
    }

    /// The noise bound of the real weights.
    pub fn noise(&self) -> NoiseReport {
        self.noise
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.kernels.iter().map(Transformed::memory_bytes).sum()
    }

    /// `W r - s`, encrypted, for an upload of `r`; and `s`, the server's share, drawn from `seed`.
    ///
    /// # Errors
    /// If the upload has a wrong length, the key is of another parameter set, or the random generator fails.
    pub(crate) fn respond(
        &self,
        public_key: &PreparedPublicKey,
        upload: &[u8],
        seed: &Seed,
    ) -> Result<(Vec<u8>, Share), HeError> {
        let parameters = self.plan.packing.parameters;
        if public_key.parameters != parameters {
            return Err(HeError::Packing("the public key is of another parameter set"));
        }
        let transformer = Transformer::of(parameters);
        let (masks, bodies) = read_bodies(&self.plan, upload)?;
        let transform = |polynomial: &[u64]| {
            let mut transformed = Transformed::zero(parameters);
            transformer.forward_large(polynomial, &mut transformed);
            transformed
        };
        let dimension = parameters.dimension();
        let inputs: Vec<[Transformed; 2]> = masks
            .par_chunks_exact(dimension)
            .zip(bodies.par_chunks_exact(dimension))
            .map(|(mask, body)| [transform(mask), transform(body)])
            .collect();

        let fresh = Seed::random()?;
        let scratch = || Scratch::new(dimension, [Transformed::zero(parameters), Transformed::zero(parameters)]);
        let outputs: Vec<(Vec<u8>, Share)> = (0..self.geometry.output_ciphertexts())
            .into_par_iter()
            .map_init(scratch, |scratch, index| {
                scratch.accumulators.iter_mut().for_each(Transformed::clear);
                for (input, kernel) in self.geometry.sources(index) {
                    for (accumulator, input) in scratch.accumulators.iter_mut().zip(&inputs[input]) {
                        transformer.multiply_accumulate(accumulator, input, &self.kernels[kernel]);
                    }
                }
                let mut fresh = fresh.derive("fresh zero", index as u64).stream();
                self.finish(scratch, public_key, index, &mut fresh, &mut seed.derive("mask", index as u64).stream())
            })
            .collect();

        let mut response = Vec::with_capacity(message_lengths(&self.plan).1);
        let mut share = Share::zeros(self.plan.shape.output.elements());
        for (index, (message, shares)) in outputs.into_iter().enumerate() {
            response.extend_from_slice(&message);
            for ((_, element), value) in self.geometry.outputs(index).zip(shares.iter()) {
                share[element] = *value;
            }
        }
        Ok((response, share))
    }

    /// Makes one accumulated ciphertext fresh, masks and writes it; gives the server's shares of its outputs.
    ///
    /// Without the fresh encryption of zero the returned mask would be `sum k a`, from which the weights follow. The
    /// body is masked in the whole ciphertext ring: the noise `sum k e` in its low bits would give the weights away too.
    fn finish(
        &self,
        scratch: &mut Scratch,
        public_key: &PreparedPublicKey,
        index: usize,
        fresh: &mut ChaCha20Rng,
        masks: &mut ChaCha20Rng,
    ) -> (Vec<u8>, Share) {
        let packing = &self.plan.packing;
        let transformer = Transformer::of(packing.parameters);
        let multiplier = transformer.forward_small(&Zeroizing::new(binary(packing.parameters, fresh)));
        for (accumulator, key) in scratch.accumulators.iter_mut().zip(&public_key.transformed) {
            transformer.multiply_accumulate(accumulator, key, &multiplier);
        }
        for (accumulator, polynomial) in scratch.accumulators.iter_mut().zip(scratch.polynomials.iter_mut()) {
            transformer.inverse(accumulator, polynomial);
            add_noise(packing.parameters, polynomial, fresh);
        }
        let [mask, body] = &*scratch.polynomials;
        let mut message = Vec::new();
        let mut shares = Vec::with_capacity(self.geometry.output_count(index));
        write_coefficients(mask.iter().copied(), packing.response_mask_bits, &mut message);
        let masked = self.geometry.outputs(index).map(|(position, _)| {
            let rho = masks.next_u64();
            shares.push((rho.wrapping_add(1 << 31) >> 32) as u32);
            body[position].wrapping_sub(rho)
        });
        write_coefficients(masked, packing.response_body_bits, &mut message);
        (message, Share(shares))
    }
}

/// Buffers of one thread: mask and body, transformed and not.
struct Scratch {
    accumulators: [Transformed; 2],
    polynomials: Zeroizing<[Vec<u64>; 2]>,
}

impl Scratch {
    fn new(dimension: usize, accumulators: [Transformed; 2]) -> Self {
        Self { accumulators, polynomials: Zeroizing::new([vec![0; dimension], vec![0; dimension]]) }
    }
}

/// A client's public key, transformed: mask and body.
pub struct PreparedPublicKey {
    parameters: super::ParameterSet,
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
}
