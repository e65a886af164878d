//! Numbers and geometries for tests, here and in crates above.

use tacit_protocol::plan::{LinearShape, Padding, Shape};

/// A small deterministic generator (SplitMix64).
pub struct Numbers(
    /// The state: the seed at first.
    pub u64,
);

impl Numbers {
    /// Uniform over all integers.
    pub fn integer(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in `[-1, 1)`.
    pub fn real(&mut self) -> f64 {
        (self.integer() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Several of [`Self::real`].
    pub fn reals(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.real()).collect()
    }
}

/// A convolution's geometry with the output that follows.
pub fn convolution(
    input: [usize; 3],
    outputs: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    pads: [usize; 4],
    dilation: [usize; 2],
    groups: usize,
) -> LinearShape {
    let input = Shape::new(input[0], input[1], input[2]);
    let padding = Padding { top: pads[0], left: pads[1], bottom: pads[2], right: pads[3] };
    let rows = (input.height + pads[0] + pads[2] - dilation[0] * (kernel[0] - 1) - 1) / stride[0] + 1;
    let columns = (input.width + pads[1] + pads[3] - dilation[1] * (kernel[1] - 1) - 1) / stride[1] + 1;
    LinearShape { input, output: Shape::new(outputs, rows, columns), groups, kernel, stride, padding, dilation }
}

/// Geometries with every feature and with edge sizes.
pub fn linear_shapes() -> Vec<LinearShape> {
    vec![
        LinearShape::fully_connected(1, 1),
        LinearShape::fully_connected(37, 5),
        convolution([1, 1, 1], 1, [1, 1], [1, 1], [0; 4], [1, 1], 1),
        convolution([1, 28, 28], 4, [5, 5], [1, 1], [0; 4], [1, 1], 1),
        convolution([3, 9, 7], 4, [3, 3], [1, 1], [1; 4], [1, 1], 1),
        convolution([2, 9, 8], 3, [3, 2], [2, 3], [0, 1, 2, 1], [1, 1], 1),
        convolution([4, 11, 11], 6, [3, 3], [1, 2], [2; 4], [2, 3], 2),
        convolution([5, 6, 6], 5, [3, 3], [2, 2], [1; 4], [1, 1], 5),
        convolution([2, 3, 3], 2, [2, 2], [3, 3], [4, 0, 0, 4], [1, 1], 1),
        convolution([3, 1, 17], 2, [1, 4], [1, 1], [0, 3, 0, 3], [1, 1], 1),
        convolution([2, 2, 2], 3, [2, 2], [1, 1], [0; 4], [1, 1], 1),
    ]
}
