//! The server's side: products of encrypted masks with the weights, made fresh and masked.

mod sums;

use chacha20::ChaCha20Rng;
use rand::Rng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::plan::packing::Geometry;
use crate::plan::{LinearStep, check_packing};
use crate::random::Seed;
use crate::rlwe::bundle::Bundle;
use crate::rlwe::ciphertext::{Upload, message_lengths, response_length, write_coefficients};
use crate::rlwe::direct;
use crate::rlwe::error::RlweError;
use crate::rlwe::inputs::{self, Polynomials};
use crate::rlwe::kernel_polynomials::{KernelPolynomials, RowMaker};
use crate::rlwe::noise::{NoiseReport, noise_report};
use crate::rlwe::ntt::{Ntt, NttPolynomial};
use crate::rlwe::public_key::PreparedPublicKey;
use crate::rlwe::ring::{add_noise, binary};
use crate::share::Share;

/// A linear step's kernel polynomials and where they belong.
pub struct PreparedLinear {
    plan: LinearStep,
    geometry: Geometry,
    kernels: KernelPolynomials,
    /// Whether products are made without the NTT.
    direct: bool,
    noise: NoiseReport,
}

/// A client's upload for a linear step.
#[derive(Clone, Copy)]
pub struct LinearRequest<'a> {
    /// The client's key of the step's parameter set.
    pub public_key: &'a PreparedPublicKey,
    /// The message.
    pub upload: &'a [u8],
    /// From which the server's share is drawn, never used before.
    pub seed: &'a Seed,
}

/// The response to an upload, and the server's share of the step's output.
pub type LinearResponse = (Vec<u8>, Share);

impl PreparedLinear {
    /// Transforms the weights, ordered `[output channel][input channel of the group][row][column]`, and holds all
    /// transforms.
    ///
    /// # Errors
    /// If the packing does not fit, or the noise bound does not hold for these weights.
    pub fn new(plan: &LinearStep, weights: &[i16]) -> Result<Self, RlweError> {
        Self::with_memory(plan, weights, usize::MAX)
    }

    /// As [`Self::new`], with at most `memory` bytes of transforms. What is not held is made from the weights, of which
    /// 4 bytes each are kept, for every response.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_memory(plan: &LinearStep, weights: &[i16], memory: usize) -> Result<Self, RlweError> {
        check_packing(&plan.shape, &plan.packing).map_err(RlweError::Packing)?;
        let direct = direct::is_cheaper(plan, &Geometry::new(plan));
        Self::with_products(plan, weights, memory, direct)
    }

    /// As [`Self::with_memory`], with or without the NTT.
    pub(in crate::rlwe) fn with_products(
        plan: &LinearStep,
        weights: &[i16],
        memory: usize,
        direct: bool,
    ) -> Result<Self, RlweError> {
        let noise = noise_report(plan, weights)?;
        let geometry = Geometry::new(plan);
        let memory = if direct { 0 } else { memory };
        let kernels = KernelPolynomials::new(plan.packing.parameters, &geometry, weights, memory);
        Ok(Self { plan: *plan, geometry, kernels, direct, noise })
    }

    /// Memory of all transforms of a step whose packing fits, in bytes; none if products are cheaper without.
    pub fn ntt_bytes(plan: &LinearStep) -> usize {
        let geometry = Geometry::new(plan);
        if direct::is_cheaper(plan, &geometry) {
            return 0;
        }
        KernelPolynomials::ntt_bytes(plan.packing.parameters, &geometry)
    }

    /// How often one response transforms each kernel that is not held: what holding it saves, for equal memory.
    pub fn ntts_per_response(plan: &LinearStep) -> usize {
        Geometry::new(plan).windows().div_ceil(sums::MAX_TOGETHER)
    }

    /// The step that was prepared.
    pub fn plan(&self) -> &LinearStep {
        &self.plan
    }

    /// The noise bound of the real weights.
    pub fn noise(&self) -> NoiseReport {
        self.noise
    }

    /// Memory of the transforms that are held, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.kernels.held_bytes()
    }

    /// Memory of transforms and weights, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.kernels.memory_bytes()
    }

    /// `W r - s`, encrypted, for each upload of an `r`; and `s`, the server's share, drawn from the request's seed. Each
    /// kernel is read or made once for several requests.
    ///
    /// # Errors
    /// If an upload has a wrong length, a key is of another parameter set, or the random generator fails.
    pub(crate) fn respond(&self, requests: &[LinearRequest]) -> Result<Vec<LinearResponse>, RlweError> {
        let fresh = requests.iter().map(|_| Seed::random()).collect::<Result<Vec<_>, _>>()?;
        self.respond_with(requests, &fresh)
    }

    /// [`Self::respond`] with the seeds of the rerandomisations, one for each request.
    pub(in crate::rlwe) fn respond_with(
        &self,
        requests: &[LinearRequest],
        fresh: &[Seed],
    ) -> Result<Vec<LinearResponse>, RlweError> {
        // Without transforms there is little to read of the weights, and inputs of one request are more likely in a cache.
        let together = if self.direct { 1 } else { requests.len().max(1) };
        let groups = requests.chunks(together).zip(fresh.chunks(together));
        let responses = groups.map(|(requests, fresh)| self.respond_together(requests, fresh));
        Ok(responses.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Responses that are computed in one pass.
    fn respond_together(&self, requests: &[LinearRequest], fresh: &[Seed]) -> Result<Vec<LinearResponse>, RlweError> {
        let parameters = self.plan.packing.parameters;
        if requests.iter().any(|request| request.public_key.parameters != parameters) {
            return Err(RlweError::Packing("the public key is of another parameter set"));
        }
        let uploads =
            requests.iter().map(|request| Upload::new(&self.plan, request.upload)).collect::<Result<Vec<_>, _>>()?;
        let inputs = if self.direct {
            Inputs::Plain(inputs::read(parameters, &self.geometry, &uploads))
        } else {
            Inputs::Ntt(inputs::transform(parameters, &self.geometry, &uploads))
        };
        let work = self.work(requests.len());
        let most_sums = work.iter().map(|work| work.rows.len() * work.targets.len()).max().unwrap_or(0);
        // Few pieces for each thread, each with buffers of its own.
        let piece = work.len().div_ceil(4 * rayon::current_num_threads());
        let outputs: Vec<Vec<Output>> = work
            .par_iter()
            .with_min_len(piece)
            .map_init(
                || self.scratch(most_sums),
                |scratch, work| {
                    match &inputs {
                        Inputs::Ntt(inputs) => self.sum(work, inputs, scratch),
                        Inputs::Plain(inputs) => self.sum_directly(work, inputs, &mut scratch.plain),
                    }
                    let finish = |(place, (request, index)): (usize, (usize, usize))| {
                        let (sums, plain) = if self.direct {
                            scratch.sums[0].iter_mut().for_each(NttPolynomial::clear);
                            (&mut scratch.sums[0], Some(&scratch.plain[place]))
                        } else {
                            (&mut scratch.sums[place], None)
                        };
                        let key = requests[request].public_key;
                        let mut fresh = fresh[request].derive("rerandomisation", index as u64).stream();
                        let mut masks = requests[request].seed.derive("mask", index as u64).stream();
                        let multiplier = binary(parameters, &mut fresh);
                        key.add_product(&Zeroizing::new(multiplier), sums);
                        let ntt = Ntt::of(parameters);
                        for (sum, polynomial) in sums.iter_mut().zip(scratch.polynomials.iter_mut()) {
                            ntt.inverse(sum, polynomial);
                        }
                        for (polynomial, plain) in scratch.polynomials.iter_mut().zip(plain.into_iter().flatten()) {
                            polynomial.iter_mut().zip(plain).for_each(|(sum, plain)| *sum = sum.wrapping_add(*plain));
                        }
                        let (message, shares) = self.finish(&mut scratch.polynomials, index, &mut fresh, &mut masks);
                        Output { request, index, message, shares }
                    };
                    self.outputs(work).enumerate().map(finish).collect()
                },
            )
            .collect();
        Ok(self.assemble(requests.len(), outputs))
    }

    /// Buffers for some sums.
    fn scratch(&self, sums: usize) -> Scratch {
        let parameters = self.plan.packing.parameters;
        let polynomials = || [(); 2].map(|()| vec![0; parameters.dimension()]);
        let (transformed, plain) = if self.direct { (1, sums) } else { (sums, 0) };
        Scratch {
            sums: (0..transformed).map(|_| [(); 2].map(|()| NttPolynomial::zero(parameters))).collect(),
            plain: Zeroizing::new((0..plain).map(|_| polynomials()).collect()),
            polynomials: Zeroizing::new(polynomials()),
            maker: if self.direct { None } else { self.kernels.maker() },
        }
    }

    /// Adds the noise of a rerandomisation to a ciphertext that has its product, masks and writes it; gives the server's shares of
    /// its outputs.
    ///
    /// Without the fresh encryption of zero the returned mask would be `sum k a`, from which the weights follow. The
    /// body is masked in the whole ciphertext ring: the noise `sum k e` in its low bits would give the weights away too.
    fn finish(
        &self,
        polynomials: &mut Polynomials,
        index: usize,
        fresh: &mut ChaCha20Rng,
        masks: &mut ChaCha20Rng,
    ) -> (Vec<u8>, Share) {
        let packing = &self.plan.packing;
        let [mask, body] = polynomials;
        let count = self.geometry.output_count(index);
        // Only these coefficients of the body leave the server.
        let mut held = Zeroizing::new(Vec::with_capacity(count));
        held.extend(self.geometry.outputs(index).map(|(position, _)| body[position]));
        add_noise(packing.parameters, mask, fresh);
        add_noise(packing.parameters, &mut held, fresh);
        let mut shares = Share(Vec::with_capacity(count));
        for coefficient in held.iter_mut() {
            let rho = masks.next_u64();
            shares.0.push((rho.wrapping_add(1 << 31) >> 32) as u32);
            *coefficient = coefficient.wrapping_sub(rho);
        }
        let mut message = Vec::with_capacity(response_length(&self.plan, &self.geometry, index));
        write_coefficients(mask.iter().copied(), packing.response_mask_bits, &mut message);
        write_coefficients(held.iter().copied(), packing.response_body_bits, &mut message);
        (message, shares)
    }

    /// Puts outputs, in any order, into the responses and shares of their requests.
    fn assemble(&self, requests: usize, outputs: Vec<Vec<Output>>) -> Vec<LinearResponse> {
        let lengths =
            (0..self.geometry.output_ciphertexts()).map(|index| response_length(&self.plan, &self.geometry, index));
        let offsets: Vec<usize> = lengths.scan(0, |end, length| Some(std::mem::replace(end, *end + length))).collect();
        let empty = || (vec![0; message_lengths(&self.plan).1], Share::zeros(self.plan.shape.output.elements()));
        let mut responses: Vec<LinearResponse> = (0..requests).map(|_| empty()).collect();
        for Output { request, index, message, shares } in outputs.into_iter().flatten() {
            let (response, share) = &mut responses[request];
            response[offsets[index]..][..message.len()].copy_from_slice(&message);
            for ((_, element), value) in self.geometry.outputs(index).zip(shares.iter()) {
                share[element] = *value;
            }
        }
        responses
    }
}

/// An output ciphertext of a request.
struct Output {
    request: usize,
    index: usize,
    message: Vec<u8>,
    shares: Share,
}

/// Inputs of all requests, ready for products.
enum Inputs {
    /// One bundle for each request, group and window.
    Ntt(Vec<Bundle<2>>),
    /// One for each ciphertext.
    Plain(Vec<Polynomials>),
}

/// Buffers of one thread. Wiped on drop.
struct Scratch {
    /// Transforms of the masks and bodies of sums; one is enough for sums without the NTT.
    sums: Vec<[NttPolynomial; 2]>,
    /// Sums without the NTT.
    plain: Zeroizing<Vec<Polynomials>>,
    /// One of the sums.
    polynomials: Zeroizing<Polynomials>,
    maker: Option<RowMaker>,
}
