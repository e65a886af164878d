//! Convolutions over the ring.
//!
//! The padded image is laid out as `stride x stride` phases, so that each weight meets a contiguous piece of one plane,
//! whatever the stride and the dilation. An output row is computed with the width of a plane, the few columns past the
//! output's own are dropped: so all rows of a channel form one contiguous piece.

use rayon::prelude::*;
use tacit_protocol::plan::LinearShape;

use super::PARALLEL_FROM;

/// Accumulators of one piece: half of a first-level cache together with four planes.
const PIECE: usize = 1024;

/// Adds `W * share` to `accumulators`.
pub(super) fn add_convolution(shape: &LinearShape, weights: &[i16], share: &[u32], accumulators: &mut [u32]) {
    let image = Phases::new(shape, share);
    let area = shape.output.height * shape.output.width;
    let weights_per_channel = weights.len() / shape.output.channels;
    let channel = |(channel, (plane, weights)): (usize, (&mut [u32], &[i16]))| {
        image.add_channel(shape, channel, weights, plane);
    };
    if weights_per_channel * accumulators.len() >= PARALLEL_FROM {
        accumulators
            .par_chunks_exact_mut(area)
            .zip(weights.par_chunks_exact(weights_per_channel))
            .enumerate()
            .for_each(channel);
    } else {
        accumulators
            .chunks_exact_mut(area)
            .zip(weights.chunks_exact(weights_per_channel))
            .enumerate()
            .for_each(channel);
    }
}

/// The padded image, channel by channel, phase by phase.
struct Phases {
    elements: Vec<u32>,
    /// Rows and columns of one plane.
    height: usize,
    width: usize,
    /// Elements of one channel, all phases.
    channel: usize,
}

impl Phases {
    fn new(shape: &LinearShape, share: &[u32]) -> Self {
        let [rows, columns] = shape.stride;
        let padded_height = shape.input.height + shape.padding.top + shape.padding.bottom;
        let padded_width = shape.input.width + shape.padding.left + shape.padding.right;
        let (height, width) = (padded_height.div_ceil(rows), padded_width.div_ceil(columns));
        let channel = rows * columns * height * width;
        let mut elements = vec![0; shape.input.channels * channel];
        let images = share.chunks_exact(shape.input.height * shape.input.width);
        for (phases, image) in elements.chunks_exact_mut(channel).zip(images) {
            for (row, line) in image.chunks_exact(shape.input.width).enumerate() {
                let row = row + shape.padding.top;
                let start = (row % rows * columns * height + row / rows) * width;
                if columns == 1 {
                    phases[start + shape.padding.left..][..line.len()].copy_from_slice(line);
                    continue;
                }
                for (column, element) in line.iter().enumerate() {
                    let column = column + shape.padding.left;
                    phases[start + column % columns * height * width + column / columns] = *element;
                }
            }
        }
        Self { elements, height, width, channel }
    }

    /// Where the piece of one weight begins within its channel.
    fn offset(&self, shape: &LinearShape, tap: usize) -> usize {
        let row = tap / shape.kernel[1] * shape.dilation[0];
        let column = tap % shape.kernel[1] * shape.dilation[1];
        let phase = row % shape.stride[0] * shape.stride[1] + column % shape.stride[1];
        (phase * self.height + row / shape.stride[0]) * self.width + column / shape.stride[1]
    }

    /// Adds one output channel's sums to `plane`.
    fn add_channel(&self, shape: &LinearShape, channel: usize, weights: &[i16], plane: &mut [u32]) {
        let taps = shape.kernel[0] * shape.kernel[1];
        let first = channel / (shape.output.channels / shape.groups) * shape.channels_per_group();
        let source = |index: usize| {
            let start = (first + index / taps) * self.channel + self.offset(shape, index % taps);
            &self.elements[start..]
        };
        let length = (shape.output.height - 1) * self.width + shape.output.width;
        let mut sums = [0u32; PIECE];
        for start in (0..length).step_by(PIECE) {
            let sums = &mut sums[..PIECE.min(length - start)];
            sums.fill(0);
            let (quadruples, rest) = weights.as_chunks::<4>();
            for (index, quadruple) in quadruples.iter().enumerate() {
                let sources = [0, 1, 2, 3].map(|lane| &source(4 * index + lane)[start..][..sums.len()]);
                add_four(sums, quadruple, sources);
            }
            for (index, weight) in rest.iter().enumerate() {
                let source = &source(4 * quadruples.len() + index)[start..][..sums.len()];
                let weight = i32::from(*weight) as u32;
                for (sum, element) in sums.iter_mut().zip(source) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(*element));
                }
            }
            self.drop_margin(shape, start, sums, plane);
        }
    }

    /// Adds the sums that belong to outputs, `start` being the position of the first one.
    fn drop_margin(&self, shape: &LinearShape, start: usize, sums: &[u32], plane: &mut [u32]) {
        let width = shape.output.width;
        let end = start + sums.len();
        for row in start / self.width..end.div_ceil(self.width) {
            let line = row * self.width;
            let (from, to) = (line.max(start), (line + width).min(end));
            if from < to {
                let outputs = &mut plane[row * width + from - line..][..to - from];
                for (output, sum) in outputs.iter_mut().zip(&sums[from - start..]) {
                    *output = output.wrapping_add(*sum);
                }
            }
        }
    }
}

/// `sums += w[0] a + w[1] b + w[2] c + w[3] d`.
fn add_four(sums: &mut [u32], weights: &[i16; 4], [a, b, c, d]: [&[u32]; 4]) {
    let weights = weights.map(|weight| i32::from(weight) as u32);
    for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let left = weights[0].wrapping_mul(*a).wrapping_add(weights[1].wrapping_mul(*b));
        let right = weights[2].wrapping_mul(*c).wrapping_add(weights[3].wrapping_mul(*d));
        *sum = sum.wrapping_add(left).wrapping_add(right);
    }
}
