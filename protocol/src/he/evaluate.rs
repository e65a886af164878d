//! The server's side: products of encrypted masks with the weights, made fresh and masked.

use std::ops::Range;

use chacha20::ChaCha20Rng;
use rand::Rng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::bundle::{BLOCK, Bundle, fill};
use super::ciphertext::{Upload, message_lengths, response_length, write_coefficients};
use super::error::HeError;
use super::kernels::{Kernels, RowMaker};
use super::noise::{NoiseReport, noise_report};
use super::packing::Geometry;
use super::products::Multiplier;
use super::public_key::PreparedPublicKey;
use super::ring::{add_noise, binary};
use super::transform::{Transformed, Transformer};
use crate::plan::LinearPlan;
use crate::random::Seed;
use crate::share::Share;

/// Most output ciphertexts that one thread sums at a time: their sums stay in the second cache.
const SUMMED_TOGETHER: usize = 8;

/// A linear step's kernel polynomials and where they belong.
pub struct PreparedLinear {
    plan: LinearPlan,
    geometry: Geometry,
    kernels: Kernels,
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
    pub fn new(plan: &LinearPlan, weights: &[i16]) -> Result<Self, HeError> {
        Self::with_memory(plan, weights, usize::MAX)
    }

    /// As [`Self::new`], with at most `memory` bytes of transforms. What is not held is made from the weights, of which
    /// 4 bytes each are kept, for every response.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_memory(plan: &LinearPlan, weights: &[i16], memory: usize) -> Result<Self, HeError> {
        let noise = noise_report(plan, weights)?;
        let geometry = Geometry::new(plan);
        let kernels = Kernels::new(plan.packing.parameters, &geometry, weights, memory);
        Ok(Self { plan: *plan, geometry, kernels, noise })
    }

    /// Memory of all transforms of a step whose packing fits, in bytes.
    pub fn transforms_bytes(plan: &LinearPlan) -> usize {
        Kernels::transforms_bytes(plan.packing.parameters, &Geometry::new(plan))
    }

    /// How often one response transforms each kernel that is not held: what holding it saves, for equal memory.
    pub fn transforms_per_response(plan: &LinearPlan) -> usize {
        Geometry::new(plan).windows().div_ceil(SUMMED_TOGETHER)
    }

    /// The step that was prepared.
    pub fn plan(&self) -> &LinearPlan {
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
    pub(crate) fn respond(&self, requests: &[LinearRequest]) -> Result<Vec<LinearResponse>, HeError> {
        let fresh = requests.iter().map(|_| Seed::random()).collect::<Result<Vec<_>, _>>()?;
        self.respond_with(requests, &fresh)
    }

    /// [`Self::respond`] with the seeds of the fresh zeros, one for each request.
    pub(super) fn respond_with(
        &self,
        requests: &[LinearRequest],
        fresh: &[Seed],
    ) -> Result<Vec<LinearResponse>, HeError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = self.plan.packing.parameters;
        if requests.iter().any(|request| request.public_key.parameters != parameters) {
            return Err(HeError::Packing("the public key is of another parameter set"));
        }
        let uploads =
            requests.iter().map(|request| Upload::new(&self.plan, request.upload)).collect::<Result<Vec<_>, _>>()?;
        let inputs = self.transform(&uploads);
        let work = self.work(requests.len());
        let most_sums = work.iter().map(|work| work.rows.len() * work.targets.len()).max().unwrap_or(0);
        // Few pieces for each thread, each with buffers of its own.
        let piece = work.len().div_ceil(4 * rayon::current_num_threads());
        let outputs: Vec<Vec<Output>> = work
            .par_iter()
            .with_min_len(piece)
            .map_init(
                || Scratch::new(parameters, most_sums, self.kernels.maker()),
                |scratch, work| {
                    self.sum(work, &inputs, scratch);
                    let outputs = self.outputs(work).zip(&mut scratch.sums);
                    let finish = |((request, index), sums): ((usize, usize), &mut [Transformed; 2])| {
                        let key = requests[request].public_key;
                        let mut fresh = fresh[request].derive("fresh zero", index as u64).stream();
                        let mut masks = requests[request].seed.derive("mask", index as u64).stream();
                        let (message, shares) =
                            self.finish(sums, &mut scratch.polynomials, key, index, &mut fresh, &mut masks);
                        Output { request, index, message, shares }
                    };
                    outputs.map(finish).collect()
                },
            )
            .collect();
        Ok(self.assemble(requests.len(), outputs))
    }

    /// Transforms of all inputs: a bundle for each request, group and window, in this order.
    fn transform(&self, uploads: &[Upload]) -> Vec<Bundle<2>> {
        let parameters = self.plan.packing.parameters;
        let tiles = self.geometry.channel_tiles();
        let bundles = self.geometry.input_ciphertexts() / tiles;
        let mut inputs: Vec<Bundle<2>> =
            (0..uploads.len() * bundles).map(|_| Bundle::zero(parameters, tiles)).collect();
        let places: Vec<_> = inputs.iter_mut().flat_map(Bundle::places).enumerate().collect();
        let transformer = Transformer::of(parameters);
        let piece = places.len().div_ceil(4 * rayon::current_num_threads());
        places.into_par_iter().with_min_len(piece).for_each_init(
            || (vec![0; parameters.dimension()], [(); 2].map(|()| Transformed::zero(parameters))),
            |(polynomial, [mask, body]), (index, places)| {
                let (upload, ciphertext) = (&uploads[index / (bundles * tiles)], index % (bundles * tiles));
                upload.read_mask(ciphertext, polynomial);
                transformer.forward_large(polynomial, mask);
                upload.read_body(ciphertext, polynomial);
                transformer.forward_large(polynomial, body);
                fill(places, [&*mask, &*body]);
            },
        );
        inputs
    }

    /// All work on the products, cut into pieces for single threads.
    fn work(&self, requests: usize) -> Vec<Work> {
        let targets = requests * self.geometry.windows();
        let rows = self.geometry.output_tiles();
        let together = targets.min(SUMMED_TOGETHER);
        // Rows that are summed together read their inputs once. Yet there should be work for all threads.
        let pieces = self.geometry.groups() * rows * targets.div_ceil(together);
        let most_rows = (SUMMED_TOGETHER / together).min(pieces.div_ceil(4 * rayon::current_num_threads()));
        let mut work = Vec::new();
        for group in 0..self.geometry.groups() {
            let mut first = 0;
            while first < rows {
                // Kernels that are not held are made one row at a time.
                let held = self.kernels.held_rows().saturating_sub(group * rows + first);
                let last = rows.min(first + held.clamp(1, most_rows));
                work.extend((0..targets).step_by(together).map(|target| Work {
                    group,
                    rows: first..last,
                    targets: target..targets.min(target + together),
                }));
                first = last;
            }
        }
        work
    }

    /// The bundle of inputs of a target.
    fn input(&self, group: usize, target: usize) -> usize {
        let (request, window) = (target / self.geometry.windows(), target % self.geometry.windows());
        (request * self.geometry.groups() + group) * self.geometry.windows() + window
    }

    /// The request and the output ciphertext of each of a piece's sums.
    fn outputs(&self, work: &Work) -> impl Iterator<Item = (usize, usize)> {
        let (windows, tiles, group, targets) =
            (self.geometry.windows(), self.geometry.output_tiles(), work.group, work.targets.clone());
        work.rows.clone().flat_map(move |row| {
            targets.clone().map(move |target| (target / windows, (group * windows + target % windows) * tiles + row))
        })
    }

    /// The sums of products of one piece of work: for each row, for each target.
    fn sum(&self, work: &Work, inputs: &[Bundle<2>], scratch: &mut Scratch) {
        let Scratch { sums, maker, .. } = scratch;
        let sums = &mut sums[..work.rows.len() * work.targets.len()];
        sums.iter_mut().flatten().for_each(Transformed::clear);
        let first_row = work.group * self.geometry.output_tiles();
        let rows = work.rows.start + first_row..work.rows.end + first_row;
        let multiplier = Multiplier::detect();
        let blocks = Bundle::<1>::blocks(self.plan.packing.parameters);
        let inputs: Vec<&Bundle<2>> =
            work.targets.clone().map(|target| &inputs[self.input(work.group, target)]).collect();
        self.kernels.for_each_part(rows, maker, |kernels, tiles| {
            for block in 0..blocks {
                let (prime, place) = (2 * block / blocks, block % (blocks / 2));
                for (kernels, sums) in kernels.iter().zip(sums.chunks_exact_mut(inputs.len())) {
                    let kernels = kernels.block(block, 0..tiles.len());
                    for (input, sums) in inputs.iter().zip(sums) {
                        let sums = sums.each_mut().map(|sum| {
                            let [first, second] = sum.residues_mut();
                            let residues = if prime == 0 { first } else { second };
                            &mut residues.as_chunks_mut::<BLOCK>().0[place]
                        });
                        multiplier.add_products(prime, sums, kernels, input.block(block, tiles.clone()));
                    }
                }
            }
        });
    }

    /// Makes one summed ciphertext fresh, masks and writes it; gives the server's shares of its outputs.
    ///
    /// Without the fresh encryption of zero the returned mask would be `sum k a`, from which the weights follow. The
    /// body is masked in the whole ciphertext ring: the noise `sum k e` in its low bits would give the weights away too.
    fn finish(
        &self,
        sums: &mut [Transformed; 2],
        polynomials: &mut [Vec<u64>; 2],
        public_key: &PreparedPublicKey,
        index: usize,
        fresh: &mut ChaCha20Rng,
        masks: &mut ChaCha20Rng,
    ) -> (Vec<u8>, Share) {
        let packing = &self.plan.packing;
        let transformer = Transformer::of(packing.parameters);
        let multiplier = transformer.forward_small(&Zeroizing::new(binary(packing.parameters, fresh)));
        public_key.add_product(&multiplier, sums);
        for (sum, polynomial) in sums.iter_mut().zip(polynomials.iter_mut()) {
            transformer.inverse(sum, polynomial);
        }
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

/// A piece of the work on the products: some output tiles of one group, for some requests and windows.
struct Work {
    group: usize,
    /// Output tiles.
    rows: Range<usize>,
    /// Windows of requests: numbered by request, then by window.
    targets: Range<usize>,
}

/// An output ciphertext of a request.
struct Output {
    request: usize,
    index: usize,
    message: Vec<u8>,
    shares: Share,
}

/// Buffers of one thread. Wiped on drop.
struct Scratch {
    /// Masks and bodies of sums.
    sums: Vec<[Transformed; 2]>,
    /// Mask and body of one of them.
    polynomials: Zeroizing<[Vec<u64>; 2]>,
    maker: Option<RowMaker>,
}

impl Scratch {
    fn new(parameters: super::ParameterSet, sums: usize, maker: Option<RowMaker>) -> Self {
        let dimension = parameters.dimension();
        Self {
            sums: (0..sums).map(|_| [(); 2].map(|()| Transformed::zero(parameters))).collect(),
            polynomials: Zeroizing::new([vec![0; dimension], vec![0; dimension]]),
            maker,
        }
    }
}
