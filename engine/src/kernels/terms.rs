//! The terms of a convolution's sums, two at a time, and the order of the weights that follows.

use std::ops::Range;

use tacit_protocol::plan::LinearShape;

use super::halves::pair;

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

/// The planes of a group: pairs of channels, then pairs of columns of the last channel if their number is odd.
pub(super) fn planes(shape: &LinearShape) -> Vec<Plane> {
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
pub(super) fn tiles(channels: usize, rows: usize) -> Vec<Tile> {
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
pub(super) fn pairs_of_weights(shape: &LinearShape, weights: &[i16], planes: &[Plane], tiles: &[Tile]) -> Vec<u32> {
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
