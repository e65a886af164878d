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

use super::PARALLEL_FROM;
use super::simd::{Instructions, Pieces};
use super::terms::{Plane, Tile, pairs_of_weights, planes, tiles};
use super::vectors::LONGEST;
use crate::parameters::RingBias;

/// Bytes of the planes of a band, unless a single row needs more.
const BAND_BYTES: usize = 320 << 10;

/// Output positions of a band from which on it may be split between threads.
const SPLIT_FROM: usize = 256;

/// Elements past the last plane that a tile may read: its sums are not used.
const SLACK: usize = 8 * LONGEST;

/// A convolution with its weights in the order of the kernels.
pub(super) struct Convolution {
    pub shape: LinearShape,
    instructions: Instructions,
    /// The planes of a group.
    pub planes: Vec<Plane>,
    /// Remainders of the padded image's rows, divided by the stride, that any row of the kernel meets.
    pub phases: Vec<usize>,
    /// Output rows of a band; the last may have fewer.
    pub band_rows: usize,
    /// Rows of one phase of a plane.
    pub phase_rows: usize,
    /// Elements from one plane to the next.
    pub plane_length: usize,
    /// Where the elements of each pair of terms begin.
    pub offsets: Vec<usize>,
    /// The tiles of a group.
    pub tiles: Vec<Tile>,
    /// Pairs of weights, ordered `[group][tile][pair of terms][row of the tile]`.
    weights: Zeroizing<Vec<u32>>,
    parallel: bool,
}

/// Some output rows of one group.
pub(super) struct Band<'a> {
    pub layer: &'a Convolution,
    pub group: usize,
    pub rows: Range<usize>,
    /// Bias of each channel of the group, unless it is added later.
    pub bias: Option<&'a [u32]>,
}

/// Work of one thread: tiles of a band with the pieces of the outputs that they write.
struct Unit<'a, 'o> {
    band: Band<'a>,
    tiles: Range<usize>,
    outputs: &'a mut [&'o mut [u32]],
}

impl Convolution {
    pub fn new(shape: &LinearShape, weights: &[i16], instructions: Instructions) -> Self {
        let planes = planes(shape);
        let [stride, dilation] = [shape.stride[0], shape.dilation[0]];
        let mut phases: Vec<usize> = (0..shape.kernel[0]).map(|row| row * dilation % stride).collect();
        phases.sort_unstable();
        phases.dedup();
        let reach = (shape.kernel[0] - 1) * dilation / stride;
        let parallel = weights.len() / shape.output.channels * shape.output.elements() >= PARALLEL_FROM;

        let row_bytes = 8 * planes.len() * phases.len() * shape.output.width;
        let fitting = (BAND_BYTES / row_bytes).saturating_sub(reach).max(reach.min(4)).max(1);
        let area = shape.output.height * shape.output.width;
        let threads = if parallel && shape.groups == 1 { rayon::current_num_threads() } else { 1 };
        let bands = shape.output.height.div_ceil(fitting).max(threads.min(area / SPLIT_FROM));
        // As many for each thread.
        let bands = if threads > 1 { bands.next_multiple_of(threads) } else { bands };
        let band_rows = shape.output.height.div_ceil(bands);
        let phase_rows = band_rows + reach;
        // An odd number of cache lines, so that the same place of many planes does not fall into the same cache set.
        let plane_length = ((phases.len() * phase_rows * shape.output.width).div_ceil(LONGEST) | 1) * LONGEST;
        let offsets = planes.iter().enumerate().flat_map(|(plane, _)| {
            let phases = &phases;
            (0..shape.kernel[0]).map(move |row| {
                let row = row * dilation;
                let phase = phases.iter().position(|phase| *phase == row % stride).unwrap_or(0);
                plane * plane_length + (phase * phase_rows + row / stride) * shape.output.width
            })
        });
        let offsets = offsets.collect();
        let tiles = tiles(shape.output.channels / shape.groups, instructions.rows());
        let weights = Zeroizing::new(pairs_of_weights(shape, weights, &planes, &tiles));
        Self {
            shape: *shape,
            instructions,
            planes,
            phases,
            band_rows,
            phase_rows,
            plane_length,
            offsets,
            tiles,
            weights,
            parallel,
        }
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        4 * self.weights.len() + size_of::<usize>() * self.offsets.len() + size_of::<Plane>() * self.planes.len()
    }

    /// The weights of a tile, ordered `[pair of terms][row of the tile]`.
    pub fn tile_weights(&self, group: usize, tile: usize) -> &[u32] {
        let Tile { first, rows } = self.tiles[tile];
        let channel = group * (self.shape.output.channels / self.shape.groups) + first;
        &self.weights[channel * self.offsets.len()..][..rows * self.offsets.len()]
    }

    /// Tiles that have all rows that the instructions allow.
    pub fn full_tiles(&self) -> usize {
        self.shape.output.channels / self.shape.groups / self.instructions.rows()
    }

    /// `accumulators = W * share + bias`.
    pub fn apply(&self, bias: &RingBias, share: &[u32], accumulators: &mut [u32]) {
        let shape = &self.shape;
        let area = shape.output.height * shape.output.width;
        let (bands, per_group) = (shape.output.height.div_ceil(self.band_rows), shape.output.channels / shape.groups);
        let channel_bias = match bias {
            RingBias::PerChannel(bias) => Some(bias.as_slice()),
            RingBias::PerElement(_) => None,
        };
        // The pieces of all channels, ordered `[group][band][channel of the group]`.
        let mut pieces: Vec<&mut [u32]> = Vec::new();
        pieces.resize_with(shape.output.channels * bands, Default::default);
        for (channel, plane) in accumulators.chunks_exact_mut(area).enumerate() {
            for (band, piece) in plane.chunks_mut(self.band_rows * shape.output.width).enumerate() {
                pieces[(channel / per_group * bands + band) * per_group + channel % per_group] = piece;
            }
        }
        let units = self.units(channel_bias, &mut pieces, bands);
        if self.parallel {
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
        let channels = self.shape.output.channels / self.shape.groups;
        let threads = if self.parallel { rayon::current_num_threads() } else { 1 };
        let parts = threads.div_ceil(self.shape.groups * bands).min(self.tiles.len());
        let per_part = self.tiles.len().div_ceil(parts);
        let mut units = Vec::with_capacity(self.shape.groups * bands * parts);
        for (index, mut outputs) in pieces.chunks_mut(channels).enumerate() {
            let (group, start) = (index / bands, index % bands * self.band_rows);
            let rows = start..(start + self.band_rows).min(self.shape.output.height);
            let bias = bias.map(|bias| &bias[group * channels..][..channels]);
            for first in (0..self.tiles.len()).step_by(per_part) {
                let tiles = first..(first + per_part).min(self.tiles.len());
                let (mine, others) = outputs.split_at_mut(self.tiles[tiles.clone()].iter().map(|tile| tile.rows).sum());
                outputs = others;
                let band = Band { layer: self, group, rows: rows.clone(), bias };
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
        let length = self.planes.len() * self.plane_length + SLACK;
        let mut planes = PLANES.take();
        if planes.len() < 2 * length + LONGEST {
            planes.resize(2 * length + LONGEST, 0);
        }
        let skipped = planes.as_ptr().align_offset(4 * LONGEST).min(LONGEST);
        let (low, high) = planes[skipped..][..2 * length].split_at_mut(length);
        self.instructions.lay_out(&unit.band, share, low, high);
        let positions = unit.band.rows.len() * self.shape.output.width;
        let pieces = Pieces::new(low, high, &self.offsets, positions + SLACK);
        self.instructions.convolve(&unit.band, unit.tiles, pieces, unit.outputs);
        PLANES.set(planes);
    }
}
