//! Sums of the products of kernels and inputs, cut into pieces for single threads.

use std::ops::Range;

use super::{PreparedLinear, Scratch};
use crate::rlwe::bundle::{BLOCK, Bundle};
use crate::rlwe::direct;
use crate::rlwe::inputs::Polynomials;
use crate::rlwe::ntt::NttPolynomial;
use crate::rlwe::products::Multiplier;

/// Most output ciphertexts that one thread sums at a time: their sums stay in the second cache.
pub(super) const MAX_TOGETHER: usize = 8;

/// A piece of the work on the products: some output tiles of one group, for some requests and windows.
pub(super) struct Work {
    pub(super) group: usize,
    /// Output tiles.
    pub(super) rows: Range<usize>,
    /// Windows of requests: numbered by request, then by window.
    pub(super) targets: Range<usize>,
}

impl PreparedLinear {
    /// All work on the products, cut into pieces for single threads.
    pub(super) fn work(&self, requests: usize) -> Vec<Work> {
        let targets = requests * self.geometry.windows();
        let rows = self.geometry.output_tiles();
        let targets_together = targets.min(MAX_TOGETHER);
        // Rows that are summed together read their inputs once. Yet there should be work for all threads.
        let pieces = self.geometry.groups() * rows * targets.div_ceil(targets_together);
        let most_rows = (MAX_TOGETHER / targets_together).min(pieces.div_ceil(4 * rayon::current_num_threads()));
        let mut work = Vec::new();
        for group in 0..self.geometry.groups() {
            let mut first = 0;
            while first < rows {
                // KernelPolynomials that are not held are made one row at a time.
                let held = self.kernels.held_rows().saturating_sub(group * rows + first);
                let together = if self.direct { most_rows } else { held.clamp(1, most_rows) };
                let last = rows.min(first + together);
                work.extend((0..targets).step_by(targets_together).map(|target| Work {
                    group,
                    rows: first..last,
                    targets: target..targets.min(target + targets_together),
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
    pub(super) fn outputs(&self, work: &Work) -> impl Iterator<Item = (usize, usize)> {
        let (windows, tiles, group, targets) =
            (self.geometry.windows(), self.geometry.output_tiles(), work.group, work.targets.clone());
        work.rows.clone().flat_map(move |row| {
            targets.clone().map(move |target| (target / windows, (group * windows + target % windows) * tiles + row))
        })
    }

    /// The sums of products of one piece of work: for each row, for each target.
    pub(super) fn sum(&self, work: &Work, inputs: &[Bundle<2>], scratch: &mut Scratch) {
        let Scratch { sums, maker, .. } = scratch;
        let sums = &mut sums[..work.rows.len() * work.targets.len()];
        sums.iter_mut().flatten().for_each(NttPolynomial::clear);
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

    /// As [`Self::sum`], without the NTT.
    pub(super) fn sum_directly(&self, work: &Work, inputs: &[Polynomials], sums: &mut [Polynomials]) {
        sums.iter_mut().flatten().for_each(|sum| sum.fill(0));
        let first_row = work.group * self.geometry.output_tiles();
        let tiles = self.geometry.channel_tiles();
        for block in 0..direct::blocks(self.plan.packing.parameters.dimension()) {
            for tile in 0..tiles {
                for (place, target) in work.targets.clone().enumerate() {
                    let input = &inputs[self.input(work.group, target) * tiles + tile];
                    let taps = work.rows.clone().map(|row| self.kernels.taps(first_row + row, tile));
                    let sums = sums.iter_mut().skip(place).step_by(work.targets.len());
                    direct::add_products(taps.zip(sums), input, block);
                }
            }
        }
    }
}
