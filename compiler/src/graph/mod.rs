//! The layer graph in floats: what an ONNX file means, before merging and quantisation.

mod evaluate;
#[cfg(test)]
mod tests;
mod validate;

use tacit_protocol::plan::{LinearShape, OutputFunction, Padding, Shape};

pub use validate::{GraphError, MAX_LAYER_ELEMENTS, MAX_LAYERS};

/// Index of a layer in [`Graph::layers`].
pub type LayerId = usize;

/// A network as layers in topological order.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Name of the graph input.
    pub input_name: String,
    /// Dimensions of the graph input without the batch dimension.
    pub input_dimensions: Vec<usize>,
    /// Name of the graph output.
    pub output_name: String,
    /// Dimensions of the graph output without the batch dimension.
    pub output_dimensions: Vec<usize>,
    /// Class labels, from the file's metadata, or empty.
    pub labels: Vec<String>,
    /// The first is [`Operator::Input`]; each layer's inputs come before it.
    pub layers: Vec<Layer>,
    /// The layer whose value is the graph's output.
    pub output: LayerId,
    /// What follows the output in the file and is left to the client.
    pub output_function: OutputFunction,
}

/// One layer and the shape of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the ONNX node it came from, for messages.
    pub name: String,
    /// What it computes.
    pub operator: Operator,
    /// Layers whose values it takes.
    pub inputs: Vec<LayerId>,
    /// Shape of its value.
    pub shape: Shape,
}

/// The operations that every supported ONNX operator is brought to.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// The network's input.
    Input,
    /// Convolution or fully connected layer.
    Linear(FloatLinear),
    /// `scale[c] * x + shift[c]`: batch normalisation and arithmetic with constants.
    Affine {
        /// One factor per channel.
        scale: Vec<f64>,
        /// One addend per channel.
        shift: Vec<f64>,
    },
    /// `x + map`, the map with one value per element.
    AddMap(Vec<f64>),
    /// `a[c] x^2 + b[c] x + c[c]`, one coefficient triple per channel.
    Quadratic {
        /// Coefficients of `x^2`.
        square: Vec<f64>,
        /// Coefficients of `x`.
        linear: Vec<f64>,
        /// Constants.
        constant: Vec<f64>,
    },
    /// Average over windows. A global average pool has the image as its window.
    AveragePool {
        /// Window height and width.
        kernel: [usize; 2],
        /// Step between windows.
        stride: [usize; 2],
        /// Zeros around the input.
        padding: Padding,
        /// Whether padded zeros count in the divisor.
        count_include_pad: bool,
    },
    /// Sum over windows (what merging makes of [`Operator::AveragePool`]).
    SumPool {
        /// Window height and width.
        kernel: [usize; 2],
        /// Step between windows.
        stride: [usize; 2],
        /// Zeros around the input.
        padding: Padding,
    },
    /// Every element times `rows[row] * columns[column]`, small integers that only depend on the geometry (what merging
    /// makes of the divisors of an [`Operator::AveragePool`] that does not count its padding).
    Multiply {
        /// One factor per row.
        rows: Vec<u32>,
        /// One factor per column.
        columns: Vec<u32>,
    },
    /// `max(x, 0)`.
    Relu,
    /// Largest element of each window; padding never wins.
    MaxPool {
        /// Window height and width.
        kernel: [usize; 2],
        /// Step between windows.
        stride: [usize; 2],
        /// Distance between the elements of a window.
        dilation: [usize; 2],
        /// Rows and columns around the input that windows may reach into.
        padding: Padding,
    },
    /// Zeros around an image.
    Pad(Padding),
    /// Sum of two layers.
    Add,
    /// The first layer less the second.
    Subtract,
    /// The channels of all inputs, one after the other.
    Concat,
    /// As many channels as the layer has, from channel `start` of the input on.
    Slice {
        /// First channel.
        start: usize,
    },
    /// The same elements in the same order under another shape.
    Reshape,
}

/// Weights and bias of a linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatLinear {
    /// Geometry.
    pub shape: LinearShape,
    /// `shape.weight_count()` weights, ordered `[output channel][input channel of the group][row][column]`.
    pub weights: Vec<f64>,
    /// Bias.
    pub bias: Bias,
}

impl FloatLinear {
    /// A linear layer that multiplies each channel by one.
    pub fn identity(shape: Shape) -> Self {
        Self {
            shape: LinearShape {
                input: shape,
                output: shape,
                groups: shape.channels,
                kernel: [1, 1],
                stride: [1, 1],
                padding: Padding::default(),
                dilation: [1, 1],
            },
            weights: vec![1.0; shape.channels],
            bias: Bias::PerChannel(vec![0.0; shape.channels]),
        }
    }
}

/// Bias of a linear layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Bias {
    /// One value per output channel.
    PerChannel(Vec<f64>),
    /// One value per output element: an exact bias map (`docs/protocol.md`, merging).
    PerElement(Vec<f64>),
}
