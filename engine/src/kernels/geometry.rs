//! How a convolution is divided: bands of output rows, planes of elements, tiles of output channels.

use std::ops::Range;

use tacit_protocol::plan::LinearShape;

use super::terms::{Plane, Tile, planes, tiles};
use super::vectors::LONGEST;

/// Multiplications from which on a layer is spread over threads: about 50 microseconds on one.
pub(super) const PARALLEL_FROM: usize = 1 << 22;

/// Bytes of the planes of a band, unless a single row needs more.
const BAND_BYTES: usize = 320 << 10;

/// Output positions of a band from which on it may be split between threads.
const SPLIT_FROM: usize = 256;

/// The division of one layer.
pub(super) struct Geometry {
    pub shape: LinearShape,
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
    /// Tiles of a group that have all rows that the instructions allow. They come first.
    pub full_tiles: usize,
    /// Whether the layer is spread over threads.
    pub parallel: bool,
}

/// Some output rows of one group.
pub(super) struct Band<'a> {
    pub geometry: &'a Geometry,
    /// Pairs of weights of the layer, ordered `[group][tile][pair of terms][row of the tile]`.
    pub weights: &'a [u32],
    pub group: usize,
    pub rows: Range<usize>,
    /// Bias of each channel of the group, unless it is added later.
    pub bias: Option<&'a [u32]>,
}

impl Geometry {
    /// For tiles of at most `tile_rows` channels, and as many threads as this one's pool has.
    pub fn new(shape: &LinearShape, tile_rows: usize) -> Self {
        let planes = planes(shape);
        let [stride, dilation] = [shape.stride[0], shape.dilation[0]];
        let mut phases: Vec<usize> = (0..shape.kernel[0]).map(|row| row * dilation % stride).collect();
        phases.sort_unstable();
        phases.dedup();
        let reach = (shape.kernel[0] - 1) * dilation / stride;
        let parallel = shape.weight_count() / shape.output.channels * shape.output.elements() >= PARALLEL_FROM;

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
        let tiles = tiles(shape.output.channels / shape.groups, tile_rows);
        let full_tiles = shape.output.channels / shape.groups / tile_rows;
        Self {
            shape: *shape,
            planes,
            phases,
            band_rows,
            phase_rows,
            plane_length,
            offsets,
            tiles,
            full_tiles,
            parallel,
        }
    }
}

impl Band<'_> {
    /// The weights of a tile, ordered `[pair of terms][row of the tile]`.
    pub fn tile_weights(&self, tile: usize) -> &[u32] {
        let Tile { first, rows } = self.geometry.tiles[tile];
        let (shape, terms) = (&self.geometry.shape, self.geometry.offsets.len());
        let channel = self.group * (shape.output.channels / shape.groups) + first;
        &self.weights[channel * terms..][..rows * terms]
    }
}
