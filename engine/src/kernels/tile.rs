//! Products of tiles: a few rows of weights times a few vectors of output positions, all sums in registers.
//!
//! Each step of the inner loop takes a pair of weights of each row, two neighbours in the sum, and meets them with the
//! same pairs of elements of a vector of positions: once with the low halves, once with the high ones.

use std::ops::Range;

use super::geometry::Band;
use super::pieces::Pieces;
use super::terms::Tile;
use super::vectors::{LONGEST, Vectors};

/// Bytes of weights that should stay in the second-level cache while the positions of a band pass.
const WEIGHTS_AT_ONCE: usize = 128 << 10;

/// What a tile multiplies, and what it adds.
#[derive(Clone, Copy)]
struct Factors<'a> {
    /// Pairs of weights, ordered `[pair of terms][row]`.
    weights: &'a [u32],
    pieces: Pieces<'a>,
    /// Bias of each row, unless it is added later.
    bias: Option<&'a [u32]>,
}

/// The factors of one tile of a band.
#[inline(always)]
fn factors<'a>(band: &'a Band<'_>, tile: usize, pieces: Pieces<'a>) -> Factors<'a> {
    let Tile { first, rows } = band.geometry.tiles[tile];
    let bias = band.bias.map(|bias| &bias[first..][..rows]);
    Factors { weights: band.tile_weights(tile), pieces, bias }
}

/// Writes the products of the tiles `tiles` of a band's group to `outputs`, the band's pieces of their channels.
#[inline(always)]
pub(super) fn convolve<S: Vectors>(
    simd: S,
    band: &Band<'_>,
    tiles: Range<usize>,
    pieces: Pieces<'_>,
    outputs: &mut [&mut [u32]],
) {
    let geometry = band.geometry;
    let full = tiles.start.min(geometry.full_tiles)..tiles.end.min(geometry.full_tiles);
    let at_once = (WEIGHTS_AT_ONCE / (4 * S::ROWS * geometry.offsets.len())).max(1);
    let (full_outputs, mut rest_outputs) = outputs.split_at_mut(full.len() * S::ROWS);
    let parts = full_outputs.chunks_mut(at_once * S::ROWS);
    for (first, outputs) in full.clone().step_by(at_once).zip(parts) {
        // Positions outside, tiles inside: the elements that a tile reads stay in the first-level cache for the next.
        for position in (0..outputs[0].len()).step_by(S::LANES) {
            for (tile, outputs) in outputs.chunks_exact_mut(S::ROWS).enumerate() {
                let factors = factors(band, first + tile, pieces);
                match S::ROWS {
                    8 => write_tile::<S, 8, 1>(simd, factors, position, outputs),
                    6 => write_tile::<S, 6, 1>(simd, factors, position, outputs),
                    _ => write_tile::<S, 4, 1>(simd, factors, position, outputs),
                }
            }
        }
    }
    for tile in full.end..tiles.end {
        let factors = factors(band, tile, pieces);
        let (outputs, others) = rest_outputs.split_at_mut(geometry.tiles[tile].rows);
        rest_outputs = others;
        match (S::ROWS, outputs.len()) {
            (6, 4) => write_rows::<S, 4, 1>(simd, factors, outputs),
            (8, 4) => write_rows::<S, 4, 2>(simd, factors, outputs),
            (8, 2) => write_rows::<S, 2, 4>(simd, factors, outputs),
            (8, _) => write_rows::<S, 1, 8>(simd, factors, outputs),
            (_, 2) => write_rows::<S, 2, 2>(simd, factors, outputs),
            _ => write_rows::<S, 1, 4>(simd, factors, outputs),
        }
    }
}

/// Writes the products of one tile at all positions.
#[inline(always)]
fn write_rows<S: Vectors, const ROWS: usize, const COLUMNS: usize>(
    simd: S,
    factors: Factors<'_>,
    outputs: &mut [&mut [u32]],
) {
    for position in (0..outputs[0].len()).step_by(COLUMNS * S::LANES) {
        write_tile::<S, ROWS, COLUMNS>(simd, factors, position, outputs);
    }
}

/// Writes the products of `ROWS` rows of weights and `COLUMNS` vectors of positions from `position` on.
#[inline(always)]
fn write_tile<S: Vectors, const ROWS: usize, const COLUMNS: usize>(
    simd: S,
    factors: Factors<'_>,
    position: usize,
    outputs: &mut [&mut [u32]],
) {
    let mut sums = [[[simd.splat(0); 2]; COLUMNS]; ROWS];
    if let Some(bias) = factors.bias {
        for (sums, bias) in sums.iter_mut().zip(&bias[..ROWS]) {
            *sums = [[simd.splat(*bias), simd.splat(0)]; COLUMNS];
        }
    }
    let pieces = factors.pieces.at(position, COLUMNS * S::LANES);
    for (weights, [low, high]) in factors.weights.as_chunks::<ROWS>().0.iter().zip(pieces) {
        let mut elements = [[simd.splat(0); 2]; COLUMNS];
        for (column, elements) in elements.iter_mut().enumerate() {
            *elements = [simd.load(low, column * S::LANES), simd.load(high, column * S::LANES)];
        }
        for row in 0..ROWS {
            let weights = simd.splat(weights[row]);
            for column in 0..COLUMNS {
                sums[row][column] = simd.add_products(sums[row][column], weights, elements[column]);
            }
        }
    }
    let mut joined = [[simd.splat(0); COLUMNS]; ROWS];
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            joined[row][column] = simd.join(sums[row][column]);
        }
    }
    let left = outputs[0].len() - position;
    if left >= COLUMNS * S::LANES {
        for row in 0..ROWS {
            let output = &mut outputs[row][position..];
            for column in 0..COLUMNS {
                simd.store(joined[row][column], &mut output[column * S::LANES..]);
            }
        }
    } else {
        let mut lanes = [[0; LONGEST]; COLUMNS];
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                simd.store(joined[row][column], &mut lanes[column]);
            }
            let sums = lanes.iter().flat_map(|lanes| &lanes[..S::LANES]);
            outputs[row][position..].iter_mut().zip(sums).for_each(|(output, sum)| *output = *sum);
        }
    }
}
