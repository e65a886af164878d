//! Shape and packing of a linear step.

use super::parameters::ParameterSet;
use super::shape::{Padding, Shape};

/// Geometry of a convolution. A fully connected layer is a 1x1 convolution of an `n x 1 x 1` input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinearShape {
    /// Input, before padding.
    pub input: Shape,
    /// Output.
    pub output: Shape,
    /// Number of groups; divides the channels of input and output.
    pub groups: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Vertical and horizontal distance between kernel taps.
    pub dilation: [usize; 2],
}

impl LinearShape {
    /// A fully connected layer from `inputs` to `outputs` elements.
    pub const fn fully_connected(inputs: usize, outputs: usize) -> Self {
        Self {
            input: Shape::vector(inputs),
            output: Shape::vector(outputs),
            groups: 1,
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding { top: 0, left: 0, bottom: 0, right: 0 },
            dilation: [1, 1],
        }
    }

    /// Input channels that one output channel sees.
    pub const fn channels_per_group(&self) -> usize {
        self.input.channels / self.groups
    }

    /// Number of weights, ordered `[output channel][input channel of the group][row][column]`.
    pub const fn weight_count(&self) -> usize {
        self.output.channels * self.channels_per_group() * self.kernel[0] * self.kernel[1]
    }
}

/// How a linear step is laid out in ciphertexts (`docs/protocol.md`, packing), and how many bits
/// of each coefficient travel. Chosen by the compiler so that the noise bound of the real weights holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packing {
    /// Ring dimension and noise.
    pub parameters: ParameterSet,
    /// Groups of the convolution that are laid out as one, with zeros for the weights between them; divides their number.
    pub group_tile: usize,
    /// Input channels (after space-to-depth, within such a joined group) in one input ciphertext.
    pub channel_tile: usize,
    /// Output channels (within a joined group) in one output ciphertext.
    pub output_tile: usize,
    /// Height and width of an input window (after padding and space-to-depth), overlap included.
    pub window: [usize; 2],
    /// Top bits kept of each uploaded body coefficient.
    pub upload_bits: u32,
    /// Top bits kept of each returned mask coefficient.
    pub response_mask_bits: u32,
    /// Top bits kept of each returned body coefficient.
    pub response_body_bits: u32,
}

/// A linear step of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinearStep {
    /// What is computed.
    pub shape: LinearShape,
    /// How it is preprocessed.
    pub packing: Packing,
}
