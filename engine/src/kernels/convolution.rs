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

use super::halves::pair;
use super::simd::{Instructions, LONGEST, Pieces};
use super::PARALLEL_FROM;
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

/// Some output channels of a group whose products are computed together.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// The first channel within the group.
    pub first: usize,
    pub rows: usize,
}

/// The elements that meet one pair of terms in one column of the kernel.
pub(super) struct Plane {
    pub taps: [Tap; 2],
    /// Output columns for which both taps lie inside of the image.
    pub inside: Range<usize>,
}

/// One channel of a group at one column of the kernel.
#[derive(Clone)]
pub(super) struct Tap {
    pub channel: usize,
    /// Column of the kernel, unless there is no such term.
    kernel_column: Option<usize>,
    /// Column of the padded image that meets output column 0, less the padding.
    origin: isize,
    /// Output columns for which the tap lies inside of the image.
    inside: Range<usize>,
}

/// Some output rows of one group.
pub(super) struct Band<'a> {
    pub layer: &'a Convolution,
    pub group: usize,
    pub rows: Range<usize>,
    /// Bias of each channel of the group, unless it is added later.
    pub bias: Option<&'a [u32]>,
}

/// Work of one thread: tiles of a band with the pieces of the outputs that they add to.
struct Unit<'a, 'o> {
    band: Band<'a>,
    tiles: Range<usize>,
    outputs: &'a mut [&'o mut [u32]],
}

impl Tap {
    fn new(shape: &LinearShape, channel: usize, kernel_column: Option<usize>) -> Self {
        let offset = kernel_column.unwrap_or(0) * shape.dilation[1];
        let origin = offset as isize - shape.padding.left as isize;
        let stride = shape.stride[1];
        let start = shape.padding.left.saturating_sub(offset).div_ceil(stride).min(shape.output.width);
        let end = (shape.padding.left + shape.input.width).saturating_sub(offset).div_ceil(stride);
        let inside = start..end.min(shape.output.width).max(start);
        // An absent term meets weights of zero: any elements will do, so it takes those of its neighbour in the pair.
        Self { channel, kernel_column, origin, inside }
    }

    /// Column of the image that meets an output column which lies inside.
    pub fn column(&self, stride: usize, position: usize) -> usize {
        (position * stride).wrapping_add_signed(self.origin)
    }

    /// The element that meets an output column, zero in the padding.
    pub fn element(&self, line: &[u32], stride: usize, position: usize) -> u32 {
        if self.inside.contains(&position) { line[self.column(stride, position)] } else { 0 }
    }
}

impl Plane {
    fn new(taps: [Tap; 2]) -> Self {
        let start = taps[0].inside.start.max(taps[1].inside.start);
        let end = taps[0].inside.end.min(taps[1].inside.end);
        Self { taps, inside: start..end.max(start) }
    }
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
            /// Room for the planes of a band. Taken out while it is used, as rayon may start another unit meanwhile.
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

/// The planes of a group: pairs of channels, then pairs of columns of the last channel if their number is odd.
fn planes(shape: &LinearShape) -> Vec<Plane> {
    let channels = shape.channels_per_group();
    let mut planes = Vec::new();
    for first in (0..channels - channels % 2).step_by(2) {
        for column in 0..shape.kernel[1] {
            let taps = [first, first + 1].map(|channel| Tap::new(shape, channel, Some(column)));
            planes.push(Plane::new(taps));
        }
    }
    if channels % 2 == 1 {
        for column in (0..shape.kernel[1]).step_by(2) {
            let first = Tap::new(shape, channels - 1, Some(column));
            let second = match column + 1 {
                column if column < shape.kernel[1] => Tap::new(shape, channels - 1, Some(column)),
                _ => Tap { kernel_column: None, ..first.clone() },
            };
            planes.push(Plane::new([first, second]));
        }
    }
    planes
}

/// Tiles of `rows` channels, then smaller powers of two.
fn tiles(channels: usize, rows: usize) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut first = 0;
    while first < channels {
        let left = channels - first;
        let rows = if left >= rows { rows } else { 1 << left.ilog2() };
        tiles.push(Tile { first, rows });
        first += rows;
    }
    tiles
}

/// The weights, ordered `[group][tile][pair of terms][row of the tile]`.
fn pairs_of_weights(shape: &LinearShape, weights: &[i16], planes: &[Plane], tiles: &[Tile]) -> Vec<u32> {
    let per_group = shape.output.channels / shape.groups;
    let [kernel_rows, kernel_columns] = shape.kernel;
    let per_channel = shape.channels_per_group() * kernel_rows * kernel_columns;
    let mut pairs = Vec::with_capacity(shape.output.channels * planes.len() * kernel_rows);
    for group in weights.chunks_exact(per_group * per_channel) {
        for tile in tiles {
            let rows = &group[tile.first * per_channel..][..tile.rows * per_channel];
            for plane in planes {
                for kernel_row in 0..kernel_rows {
                    for weights in rows.chunks_exact(per_channel) {
                        let [first, second] = [0, 1].map(|tap: usize| {
                            let tap = &plane.taps[tap];
                            tap.kernel_column.map_or(0, |column| {
                                weights[(tap.channel * kernel_rows + kernel_row) * kernel_columns + column]
                            })
                        });
                        pairs.push(pair(first, second));
                    }
                }
            }
        }
    }
    pairs
}
