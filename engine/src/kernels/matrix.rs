//! Products of a matrix and a vector over the ring.

use rayon::prelude::*;
use tacit_protocol::plan::LinearShape;

use super::PARALLEL_FROM;

/// Adds `W * share` to `accumulators`, one row of weights per output channel.
pub(super) fn add_product(shape: &LinearShape, weights: &[i16], share: &[u32], accumulators: &mut [u32]) {
    let row_length = weights.len() / shape.output.channels;
    let outputs_per_group = shape.output.channels / shape.groups;
    let row = |(channel, (sum, weights)): (usize, (&mut u32, &[i16]))| {
        let group = &share[channel / outputs_per_group * row_length..][..row_length];
        *sum = sum.wrapping_add(dot(weights, group));
    };
    if weights.len() >= PARALLEL_FROM {
        accumulators.par_iter_mut().zip(weights.par_chunks_exact(row_length)).enumerate().for_each(row);
    } else {
        accumulators.iter_mut().zip(weights.chunks_exact(row_length)).enumerate().for_each(row);
    }
}

fn dot(weights: &[i16], share: &[u32]) -> u32 {
    let products =
        weights.iter().zip(share).map(|(weight, element)| (i32::from(*weight) as u32).wrapping_mul(*element));
    products.fold(0, u32::wrapping_add)
}
