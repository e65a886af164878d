//! Products of rows of weights and columns of elements.

use super::vectors::{LONGEST, Vectors};

/// Rows whose sums are in registers at the same time.
pub(super) const BLOCK: usize = 4;

/// Some rows of a group and the columns that they meet, as pairs of halves.
pub(super) struct Rows<'a> {
    pub weights: &'a [u32],
    pub low: &'a [u32],
    pub high: &'a [u32],
    pub row_pairs: usize,
}

/// Splits pairs of elements; a last one without a neighbour is paired with zero.
#[inline(always)]
pub(super) fn split<S: Vectors>(_: S, elements: &[u32], low: &mut [u32], high: &mut [u32]) {
    let (pairs, rest) = elements.as_chunks::<2>();
    for ((low, high), [first, second]) in low.iter_mut().zip(high.iter_mut()).zip(pairs) {
        [*low, *high] = S::split(*first, *second);
    }
    if let [last] = rest {
        [low[pairs.len()], high[pairs.len()]] = S::split(*last, 0);
    }
}

/// Adds the product of each row and each column to `sums`, ordered `[row][column]`.
#[inline(always)]
pub(super) fn multiply<S: Vectors>(simd: S, rows: &Rows<'_>, sums: &mut [u32]) {
    let length = rows.row_pairs;
    let positions = rows.low.len() / length;
    for (weights, sums) in rows.weights.chunks(BLOCK * length).zip(sums.chunks_mut(BLOCK * positions)) {
        for position in 0..positions {
            let low = &rows.low[position * length..][..length];
            let high = &rows.high[position * length..][..length];
            if weights.len() == BLOCK * length {
                add_rows::<S, BLOCK>(simd, weights, low, high, &mut sums[position..], positions);
            } else {
                for (row, weights) in weights.chunks_exact(length).enumerate() {
                    add_rows::<S, 1>(simd, weights, low, high, &mut sums[row * positions + position..], positions);
                }
            }
        }
    }
}

/// Adds the products of `ROWS` rows and one column to every `step`-th of `sums`.
#[inline(always)]
fn add_rows<S: Vectors, const ROWS: usize>(
    simd: S,
    weights: &[u32],
    low: &[u32],
    high: &[u32],
    sums: &mut [u32],
    step: usize,
) {
    let mut products = [[simd.splat(0); 2]; ROWS];
    for at in (0..low.len()).step_by(S::LANES) {
        let elements = [simd.load(low, at), simd.load(high, at)];
        for (row, products) in products.iter_mut().enumerate() {
            let weights = simd.load(weights, row * low.len() + at);
            *products = simd.add_products(*products, weights, elements);
        }
    }
    for (row, products) in products.iter().enumerate() {
        let mut lanes = [0; LONGEST];
        simd.store(simd.join(*products), &mut lanes);
        let sum = &mut sums[row * step];
        *sum = lanes.iter().fold(*sum, |sum, lane| sum.wrapping_add(*lane));
    }
}
