//! The server's online linear step over the ring: `accumulators = W * share + bias` modulo `2^32`.
//!
//! An element `x` of a share is split as `low + 2^16 high` with `low` a **signed** 16-bit number. The weights have 16
//! bits, so each half takes one multiply-accumulate of 16-bit numbers into 32-bit sums, two at a time in each lane
//! (`vpdpwssd`, `vpmaddwd`), and the result is `sum(low) + 2^16 sum(high)`, all modulo `2^32`. That is as many vector
//! instructions for each product as plain `f32` inference needs, with weights of half the size. Processors without such
//! instructions multiply whole elements. Which kernels run is found out at run time.
//!
//! Weights are brought into the order of the kernels once, when a model is prepared. Large layers are spread over threads.
//!
//! From the bottom up: `vectors` (what one instruction does), `terms` and `geometry` (how a layer is divided), the inner
//! loops `image`, `tile` and `rows`, `dispatch` (which compiled copy of them runs), `convolution` and `matrix` (a layer).
//!
//! # Why there is no Winograd transform
//!
//! `F(2x2, 3x3)` takes 16 products in place of 36, but its kernel transform halves twice, and two is not invertible modulo
//! `2^32`. With kernels times four, sums have to be known modulo `2^34` before they are divided by four. That is possible
//! with 32-bit accumulators: weights of 11 bits grow to 15 (up to ninefold), and of an element's 34 bits a lowest digit
//! small enough that its sums never wrap is taken apart (8 bits for 64 channels); the sums of digits above it may wrap.
//! But it makes three digits where the direct kernel has two halves: `36 / 16 * 2 / 3 = 1.5` times fewer
//! multiply-accumulates at most, and none for weights of more than 11 bits. Karatsuba's transform needs no division: 25
//! products in place of 36 with the same two halves, 1.44 times fewer.
//!
//! Against that stand 48 (or 50) sums for 4 outputs, to be joined, stored, loaded and added up, and as many pieces of
//! transformed input for 4 elements, while the direct kernel runs at 0.9 of the multipliers' peak. Counted in
//! instructions and bytes through the second-level cache, a convolution of 64 channels to 64 on 32x32 would gain a factor
//! of 1.1, and one of 16 to 16 would lose: too little for a second layout, where linear layers are a tenth of the online
//! phase.

mod convolution;
mod dispatch;
mod geometry;
mod halves;
mod image;
mod matrix;
mod pieces;
mod rows;
mod terms;
mod tile;
mod vectors;

use std::fmt;

use tacit_protocol::plan::LinearShape;

use crate::parameters::{LinearParameters, RingBias};
use convolution::Convolution;
pub use dispatch::Instructions;
use matrix::Matrix;

/// The linear step of one layer, ready to be applied to shares. Holds secrets: weights and bias, wiped on drop.
pub struct LinearKernel {
    shape: LinearShape,
    bias: RingBias,
    weights: Weights,
}

/// Weights in the order of the kernels.
enum Weights {
    Convolution(Convolution),
    Matrix(Matrix),
}

impl LinearKernel {
    /// Brings the weights of a layer into the order that the processor's best instructions need.
    ///
    /// # Panics
    /// If the parameters do not fit the shape.
    pub fn new(shape: &LinearShape, parameters: &LinearParameters) -> Self {
        Self::with(Instructions::detect(), shape, parameters)
    }

    /// [`LinearKernel::new`] with given instructions.
    ///
    /// # Panics
    /// If the parameters do not fit the shape.
    pub fn with(instructions: Instructions, shape: &LinearShape, parameters: &LinearParameters) -> Self {
        assert_eq!(parameters.weights.len(), shape.weight_count(), "number of weights");
        assert!(parameters.bias.fits(shape.output), "number of biases");
        let weights = if Matrix::suits(shape, instructions) {
            Weights::Matrix(Matrix::new(shape, &parameters.weights, instructions))
        } else {
            Weights::Convolution(Convolution::new(shape, &parameters.weights, instructions))
        };
        Self { shape: *shape, bias: parameters.bias.clone(), weights }
    }

    /// `accumulators = W * share + bias` modulo `2^32`.
    ///
    /// `share` has as many elements as the layer's input, `accumulators` as its output, both row-major.
    ///
    /// # Panics
    /// If a length does not fit the layer.
    pub fn apply(&self, share: &[u32], accumulators: &mut [u32]) {
        assert_eq!(share.len(), self.shape.input.elements(), "elements of the input");
        assert_eq!(accumulators.len(), self.shape.output.elements(), "elements of the output");
        match &self.weights {
            Weights::Convolution(convolution) => convolution.apply(&self.bias, share, accumulators),
            Weights::Matrix(matrix) => matrix.apply(&self.bias, share, accumulators),
        }
    }

    /// Memory held by weights and bias, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Convolution(convolution) => convolution.memory_bytes(),
            Weights::Matrix(matrix) => matrix.memory_bytes(),
        };
        weights + 4 * self.bias.len()
    }
}

impl fmt::Debug for LinearKernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LinearKernel({:?}, weights redacted)", self.shape)
    }
}

#[cfg(test)]
mod tests;
