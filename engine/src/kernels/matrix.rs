//! Products of matrices and a few vectors over the ring: fully connected layers, and convolutions with so few output
//! positions that vectors of them would stay empty. The weights are read once, in order, row by row.

use std::cell::Cell;

use rayon::prelude::*;
use tacit_protocol::plan::{LinearShape, Padding};
use zeroize::Zeroizing;

use super::dispatch::Instructions;
use super::geometry::PARALLEL_FROM;
use super::halves::pair;
use super::rows::{BLOCK, Rows};
use super::vectors::LONGEST;
use crate::parameters::RingBias;

/// A layer with its weights in the order of the kernels.
pub(super) struct Matrix {
    shape: LinearShape,
    instructions: Instructions,
    /// Pairs of weights in a row, zeros at its end included.
    row_pairs: usize,
    /// Pairs of weights, one row per output channel.
    weights: Zeroizing<Vec<u32>>,
}

impl Matrix {
    /// Whether a layer has few enough output positions.
    pub fn suits(shape: &LinearShape, instructions: Instructions) -> bool {
        let positions = shape.output.height * shape.output.width;
        positions == 1 || positions * 4 <= instructions.lanes()
    }

    pub fn new(shape: &LinearShape, weights: &[i16], instructions: Instructions) -> Self {
        let row_length = weights.len() / shape.output.channels;
        let row_pairs = row_length.div_ceil(2).next_multiple_of(LONGEST);
        let mut pairs = Zeroizing::new(vec![0; shape.output.channels * row_pairs]);
        for (pairs, row) in pairs.chunks_exact_mut(row_pairs).zip(weights.chunks_exact(row_length)) {
            for (place, weights) in pairs.iter_mut().zip(row.chunks(2)) {
                *place = pair(weights[0], weights.get(1).copied().unwrap_or(0));
            }
        }
        Self { shape: *shape, instructions, row_pairs, weights: pairs }
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        4 * self.weights.len()
    }

    /// `accumulators = W * share + bias`.
    pub fn apply(&self, bias: &RingBias, share: &[u32], accumulators: &mut [u32]) {
        thread_local! {
            /// Room for the columns. Taken out while it is used, as rayon may start another layer meanwhile.
            static COLUMNS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
        }
        bias.fill(self.shape.output, accumulators);
        let positions = self.shape.output.height * self.shape.output.width;
        let per_group = self.row_pairs * positions;
        let length = self.shape.groups * per_group;
        let mut columns = COLUMNS.take();
        columns.clear();
        columns.resize(2 * length, 0);
        let (low, high) = columns.split_at_mut(length);
        self.lay_out(share, low, high);
        let (low, high) = (&*low, &*high);

        let channels = self.shape.output.channels / self.shape.groups;
        let run = |group: usize, first: usize, sums: &mut [u32]| {
            let columns = group * per_group..(group + 1) * per_group;
            let start = (group * channels + first) * self.row_pairs;
            let rows = Rows {
                weights: &self.weights[start..][..sums.len() / positions * self.row_pairs],
                low: &low[columns.clone()],
                high: &high[columns],
                row_pairs: self.row_pairs,
            };
            self.instructions.multiply(&rows, sums);
        };
        let parallel = self.weights.len() * positions >= PARALLEL_FROM / 2;
        for (group, sums) in accumulators.chunks_exact_mut(channels * positions).enumerate() {
            if parallel {
                let rows = channels.div_ceil(2 * rayon::current_num_threads()).next_multiple_of(BLOCK);
                let parts = sums.par_chunks_mut(rows * positions).enumerate();
                parts.for_each(|(part, sums)| run(group, part * rows, sums));
            } else {
                run(group, 0, sums);
            }
        }
        COLUMNS.set(columns);
    }

    /// Writes the column of each group and output position, ordered as the rows of weights are.
    fn lay_out(&self, share: &[u32], low: &mut [u32], high: &mut [u32]) {
        let shape = &self.shape;
        let area = shape.input.height * shape.input.width;
        let whole = shape.padding == Padding::default()
            && shape.output.height * shape.output.width == 1
            && shape.kernel == [shape.input.height, shape.input.width];
        let columns = low.chunks_exact_mut(self.row_pairs).zip(high.chunks_exact_mut(self.row_pairs));
        let positions = shape.output.height * shape.output.width;
        let mut gathered = Vec::new();
        for (index, (low, high)) in columns.enumerate() {
            let (group, position) = (index / positions, index % positions);
            let channels = &share[group * shape.channels_per_group() * area..][..shape.channels_per_group() * area];
            if whole {
                self.instructions.split(channels, low, high);
            } else {
                gathered.clear();
                gather(shape, channels, position, &mut gathered);
                self.instructions.split(&gathered, low, high);
            }
        }
    }
}

/// The elements that meet the weights at one output position, in the order of the weights.
fn gather(shape: &LinearShape, channels: &[u32], position: usize, column: &mut Vec<u32>) {
    let [top, left] =
        [position / shape.output.width * shape.stride[0], position % shape.output.width * shape.stride[1]];
    for image in channels.chunks_exact(shape.input.height * shape.input.width) {
        for kernel_row in 0..shape.kernel[0] {
            let row = (top + kernel_row * shape.dilation[0]).checked_sub(shape.padding.top);
            let line = row.and_then(|row| image.chunks_exact(shape.input.width).nth(row)).unwrap_or_default();
            column.extend((0..shape.kernel[1]).map(|kernel_column| {
                let place = (left + kernel_column * shape.dilation[1]).checked_sub(shape.padding.left);
                place.and_then(|place| line.get(place)).copied().unwrap_or(0)
            }));
        }
    }
}
