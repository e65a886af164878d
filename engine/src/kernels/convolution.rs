//! Convolutions over the ring.
//!
//! The sum over input channels and kernel taps is taken two terms at a time. Two channels make the pairs; the last of an
//! odd number of channels is paired with itself, two neighbouring columns of the kernel at a time. For each pair and each
//! column of the kernel there is a **plane**: the elements that meet these weights, as wide as the output, so that all
//! output positions of a band of rows are contiguous, whatever the geometry, and another row of the kernel is only
//! another offset. With a vertical stride the rows of a plane are sorted by their remainder (**phases**).
//!
//! A band has as many output rows as keep its planes in the second-level cache. Its products are computed in tiles of
//! some output channels times some vectors of positions.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;
use tacit_protocol::plan::LinearShape;
use zeroize::Zeroizing;

use super::dispatch::Instructions;
use super::geometry::{Band, Geometry};
use super::pieces::Pieces;
use super::terms::{Plane, pairs_of_weights};
use super::vectors::LONGEST;
use crate::parameters::RingBias;

/// Elements past the last plane that a tile may read: its sums are not used.
const SLACK: usize = 8 * LONGEST;

/// A convolution with its weights in the order of the kernels.
pub(super) struct Convolution {
    geometry: Geometry,
    instructions: Instructions,
    /// Pairs of weights, ordered `[group][tile][pair of terms][row of the tile]`.
    weights: Zeroizing<Vec<u32>>,
}

/// Work of one thread: tiles of a band with the pieces of the outputs that they write.
struct Unit<'a, 'o> {
    band: Band<'a>,
    tiles: Range<usize>,
    outputs: &'a mut [&'o mut [u32]],
}

impl Convolution {
    pub fn new(shape: &LinearShape, weights: &[i16], instructions: Instructions) -> Self {
        let geometry = Geometry::new(shape, instructions.rows());
        let weights = Zeroizing::new(pairs_of_weights(shape, weights, &geometry.planes, &geometry.tiles));
        Self { geometry, instructions, weights }
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let Geometry { offsets, planes, .. } = &self.geometry;
        4 * self.weights.len() + size_of::<usize>() * offsets.len() + size_of::<Plane>() * planes.len()
    }

    /// `accumulators = W * share + bias`.
    pub fn apply(&self, bias: &RingBias, share: &[u32], accumulators: &mut [u32]) {
        let shape = &self.geometry.shape;
        let area = shape.output.height * shape.output.width;
        let (bands, per_group) =
            (shape.output.height.div_ceil(self.geometry.band_rows), shape.output.channels / shape.groups);
        let channel_bias = match bias {
            RingBias::PerChannel(bias) => Some(bias.as_slice()),
            RingBias::PerElement(_) => None,
        };
        // The pieces of all channels, ordered `[group][band][channel of the group]`.
        let mut pieces: Vec<&mut [u32]> = Vec::new();
        pieces.resize_with(shape.output.channels * bands, Default::default);
        for (channel, plane) in accumulators.chunks_exact_mut(area).enumerate() {
            for (band, piece) in plane.chunks_mut(self.geometry.band_rows * shape.output.width).enumerate() {
                pieces[(channel / per_group * bands + band) * per_group + channel % per_group] = piece;
            }
        }
        let units = self.units(channel_bias, &mut pieces, bands);
        if self.geometry.parallel {
            units.into_par_iter().for_each(|unit| self.run(unit, share));
        } else {
            units.into_iter().for_each(|unit| self.run(unit, share));
        }
        if channel_bias.is_none() {
            bias.add_to(shape.output, accumulators);
        }
    }

    /// Splits the work for the threads: by groups and bands, and where these are too few by tiles.
    fn units<'a, 'o>(
        &'a self,
        bias: Option<&'a [u32]>,
        pieces: &'a mut [&'o mut [u32]],
        bands: usize,
    ) -> Vec<Unit<'a, 'o>> {
        let channels = self.geometry.shape.output.channels / self.geometry.shape.groups;
        let threads = if self.geometry.parallel { rayon::current_num_threads() } else { 1 };
        let parts = threads.div_ceil(self.geometry.shape.groups * bands).min(self.geometry.tiles.len());
        let per_part = self.geometry.tiles.len().div_ceil(parts);
        let mut units = Vec::with_capacity(self.geometry.shape.groups * bands * parts);
        for (index, mut outputs) in pieces.chunks_mut(channels).enumerate() {
            let (group, start) = (index / bands, index % bands * self.geometry.band_rows);
            let rows = start..(start + self.geometry.band_rows).min(self.geometry.shape.output.height);
            let bias = bias.map(|bias| &bias[group * channels..][..channels]);
            for first in (0..self.geometry.tiles.len()).step_by(per_part) {
                let tiles = first..(first + per_part).min(self.geometry.tiles.len());
                let (mine, others) =
                    outputs.split_at_mut(self.geometry.tiles[tiles.clone()].iter().map(|tile| tile.rows).sum());
                outputs = others;
                let band = Band { geometry: &self.geometry, weights: &self.weights, group, rows: rows.clone(), bias };
                units.push(Unit { band, tiles, outputs: mine });
            }
        }
        units
    }

    fn run(&self, unit: Unit<'_, '_>, share: &[u32]) {
        thread_local! {
            /// Room for the planes of a band, kept for the next: pages that were used before cost nothing. It holds parts
            /// of the server's own share of the last layer, which alone is uniform. Taken out while it is used.
            static PLANES: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
        }
        // Whole cache lines: the planes begin with one, so that many loads do not cross into the next.
        let length = self.geometry.planes.len() * self.geometry.plane_length + SLACK;
        let mut planes = PLANES.take();
        if planes.len() < 2 * length + LONGEST {
            planes.resize(2 * length + LONGEST, 0);
        }
        let skipped = planes.as_ptr().align_offset(4 * LONGEST).min(LONGEST);
        let (low, high) = planes[skipped..][..2 * length].split_at_mut(length);
        self.instructions.lay_out(&unit.band, share, low, high);
        let positions = unit.band.rows.len() * self.geometry.shape.output.width;
        let pieces = Pieces::new(low, high, &self.geometry.offsets, positions + SLACK);
        self.instructions.convolve(&unit.band, unit.tiles, pieces, unit.outputs);
        PLANES.set(planes);
    }
}
