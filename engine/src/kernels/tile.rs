//! Products of tiles: a few rows of weights times a few vectors of output positions, all sums in registers.
//!
//! Each step of the inner loop takes a pair of weights of each row, two neighbours in the sum, and meets them with the
//! same pairs of elements of a vector of positions: once with the low halves, once with the high ones.

use std::ops::Range;

use super::convolution::Band;
use super::simd::{LONGEST, Pieces, Vectors};

/// Bytes of weights that should stay in the second-level cache while the positions of a band pass.
const WEIGHTS_AT_ONCE: usize = 128 << 10;

/// Adds the products of the tiles `tiles` of a band's group to `outputs`, the band's pieces of their channels.
#[inline(always)]
pub(super) fn convolve<S: Vectors>(
    simd: S,
    band: &Band<'_>,
    tiles: Range<usize>,
    pieces: Pieces<'_>,
    outputs: &mut [&mut [u32]],
) {
    let layer = band.layer;
    let full = tiles.start.min(layer.full_tiles())..tiles.end.min(layer.full_tiles());
    let at_once = (WEIGHTS_AT_ONCE / (4 * S::ROWS * layer.offsets.len())).max(1);
    let (full_outputs, mut rest_outputs) = outputs.split_at_mut(full.len() * S::ROWS);
    let groups = full_outputs.chunks_mut(at_once * S::ROWS);
    for (first, outputs) in full.clone().step_by(at_once).zip(groups) {
        // Positions outside, tiles inside: the elements that a tile reads stay in the first-level cache for the next.
        for position in (0..outputs[0].len()).step_by(S::LANES) {
            for (tile, outputs) in outputs.chunks_exact_mut(S::ROWS).enumerate() {
                let weights = layer.tile_weights(band.group, first + tile);
                match S::ROWS {
                    8 => add_tile::<S, 8, 1>(simd, weights, pieces, position, outputs),
                    _ => add_tile::<S, 4, 1>(simd, weights, pieces, position, outputs),
                }
            }
        }
    }
    for tile in full.end..tiles.end {
        let weights = layer.tile_weights(band.group, tile);
        let (outputs, others) = rest_outputs.split_at_mut(layer.tiles[tile].rows);
        rest_outputs = others;
        match (S::ROWS, outputs.len()) {
            (8, 4) => add_rows::<S, 4, 2>(simd, weights, pieces, outputs),
            (8, 2) => add_rows::<S, 2, 4>(simd, weights, pieces, outputs),
            (8, _) => add_rows::<S, 1, 8>(simd, weights, pieces, outputs),
            (_, 2) => add_rows::<S, 2, 2>(simd, weights, pieces, outputs),
            _ => add_rows::<S, 1, 4>(simd, weights, pieces, outputs),
        }
    }
}

/// Adds the products of one tile at all positions.
#[inline(always)]
fn add_rows<S: Vectors, const ROWS: usize, const COLUMNS: usize>(
    simd: S,
    weights: &[u32],
    pieces: Pieces<'_>,
    outputs: &mut [&mut [u32]],
) {
    for position in (0..outputs[0].len()).step_by(COLUMNS * S::LANES) {
        add_tile::<S, ROWS, COLUMNS>(simd, weights, pieces, position, outputs);
    }
}

/// Adds the products of `ROWS` rows of weights and `COLUMNS` vectors of positions from `position` on.
#[inline(always)]
fn add_tile<S: Vectors, const ROWS: usize, const COLUMNS: usize>(
    simd: S,
    weights: &[u32],
    pieces: Pieces<'_>,
    position: usize,
    outputs: &mut [&mut [u32]],
) {
    let mut low_sums = [[simd.splat(0); COLUMNS]; ROWS];
    let mut high_sums = [[simd.splat(0); COLUMNS]; ROWS];
    let elements = pieces.at(position, COLUMNS * S::LANES);
    for (weights, [low, high]) in weights.as_chunks::<ROWS>().0.iter().zip(elements) {
        let mut low_elements = [simd.splat(0); COLUMNS];
        let mut high_elements = [simd.splat(0); COLUMNS];
        for column in 0..COLUMNS {
            low_elements[column] = simd.load(low, column * S::LANES);
            high_elements[column] = simd.load(high, column * S::LANES);
        }
        for row in 0..ROWS {
            let weights = simd.splat(weights[row]);
            for column in 0..COLUMNS {
                low_sums[row][column] = simd.add_products(low_sums[row][column], weights, low_elements[column]);
                high_sums[row][column] = simd.add_products(high_sums[row][column], weights, high_elements[column]);
            }
        }
    }
    for row in 0..ROWS {
        let output = &mut outputs[row][position..];
        for column in 0..COLUMNS {
            let sum = simd.join(low_sums[row][column], high_sums[row][column]);
            let start = (column * S::LANES).min(output.len());
            add_to(simd, sum, &mut output[start..]);
        }
    }
}

/// Adds the lanes of `sum` to the first elements of `output`, as many as there are.
#[inline(always)]
fn add_to<S: Vectors>(simd: S, sum: S::Vector, output: &mut [u32]) {
    if output.len() >= S::LANES {
        let before = simd.load(output, 0);
        simd.store(simd.add(before, sum), output);
    } else {
        let mut lanes = [0; LONGEST];
        simd.store(sum, &mut lanes);
        output.iter_mut().zip(lanes).for_each(|(output, sum)| *output = output.wrapping_add(sum));
    }
}
