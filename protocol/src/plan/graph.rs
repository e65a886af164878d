//! The graph of steps.

use super::extension::ExtensionKind;
use super::linear::LinearStep;
use super::shape::{Axis, Padding, Shape};

/// Index of a node in [`Plan::nodes`].
pub type NodeId = usize;

/// The public description of a compiled network.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the client feeds in.
    pub input: InputSpec,
    /// Steps in topological order: the first is [`Step::Input`], the last [`Step::Output`] or [`Step::Class`].
    pub nodes: Vec<Node>,
    /// What the client gets out.
    pub output: OutputSpec,
    /// How random OTs are made.
    pub transfers: ExtensionKind,
}

/// Name, shape and value range of the input tensor, without the batch dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Name of the graph input in the ONNX file.
    pub name: String,
    /// Dimensions as in the ONNX file, without the batch dimension, for example `[1, 28, 28]`.
    pub dimensions: Vec<usize>,
    /// Smallest accepted value.
    pub low: f32,
    /// Largest accepted value.
    pub high: f32,
}

/// What the output tensor means.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpec {
    /// Name of the graph output in the ONNX file.
    pub name: String,
    /// Dimensions without the batch dimension, for example `[10]`.
    pub dimensions: Vec<usize>,
    /// One label for each output, or empty if they are not known.
    pub labels: Vec<String>,
    /// What the network does last to the logits; left to the client.
    pub function: OutputFunction,
}

/// A function at the very end of a network. It is not computed privately: it reveals no more than the logits do, and the
/// client can apply it to them itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutputFunction {
    /// Nothing: the outputs are the logits.
    #[default]
    Identity,
    /// `exp(x_i) / sum exp(x_j)` over all outputs.
    Softmax,
    /// The logarithm of [`OutputFunction::Softmax`].
    LogSoftmax,
    /// `1 / (1 + exp(-x))` of each output.
    Sigmoid,
    /// The index of the largest output, the first of several.
    ArgMax,
}

/// One step of the plan and the value that it produces.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is computed.
    pub step: Step,
    /// The nodes whose values it takes; each index is smaller than this node's own.
    pub inputs: Vec<NodeId>,
    /// Shape of the value.
    pub shape: Shape,
    /// The value is `round(real * 2^fraction_bits)`.
    pub fraction_bits: i32,
    /// The value is guaranteed to lie in `(-2^(bits-1), 2^(bits-1))`, `bits <= 31`.
    pub bits: u32,
}

/// The operations on shared values. See `docs/protocol.md`.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The client's input `x`: the server gets `x - r`.
    Input,
    /// Convolution or fully connected layer plus bias.
    Linear(LinearStep),
    /// Drop `drop` low bits, then square. One round trip.
    Square {
        /// Low bits dropped before squaring, 0 to 30.
        drop: u32,
    },
    /// Drop `drop` low bits. One round trip.
    Truncate {
        /// Low bits dropped, 1 to 30.
        drop: u32,
    },
    /// `max(x, 0)` with `drop` low bits dropped, to within one unit. One to three round trips, by the number of digits.
    Relu {
        /// Low bits dropped, 0 to 29. They are not compared either.
        drop: u32,
        /// Widths in bits of the digits that the compared bits are cut into, lowest first; `docs/protocol.md`, section 8.
        digits: Vec<u32>,
    },
    /// The larger of two values of the same scale. One of both exactly; where they differ by less than `2^ignored` it may
    /// be the smaller. Round trips as for [`Step::Relu`].
    Maximum {
        /// Low bits of the difference that are not compared, 0 to 29.
        ignored: u32,
        /// Widths of digits, as for [`Step::Relu`].
        digits: Vec<u32>,
    },
    /// Sums over windows, local on both shares.
    SumPool {
        /// Window height and width.
        kernel: [usize; 2],
        /// Step between windows, vertically and horizontally.
        stride: [usize; 2],
        /// Zeros around the input.
        padding: Padding,
    },
    /// Sum of two values of the same scale, local.
    Add,
    /// The first value less the second, of the same scale, local.
    Subtract,
    /// The server adds a constant that only it knows to each element, local.
    Offset,
    /// Every element times `rows[row] * columns[column]`, local.
    Multiply {
        /// One factor per row, 1 to 2^12.
        rows: Vec<u32>,
        /// One factor per column, 1 to 2^12.
        columns: Vec<u32>,
    },
    /// The channels of all inputs, one after the other, local.
    Concat,
    /// Every `step`-th channel, row or column from `start` on; positions outside are brought inside by as few steps of
    /// `spacing` as possible. Local.
    Slice {
        /// What is counted.
        axis: Axis,
        /// Position of the first one taken; may lie outside.
        start: i32,
        /// Distance between those taken, 1 to 2^12.
        step: u32,
        /// Distance between a position outside and those that it may be brought to, 1 to 2^12.
        spacing: u32,
    },
    /// Multiplication by `2^amount`, local: aligns scales before [`Step::Add`].
    ShiftLeft {
        /// Number of bits, 1 to 30.
        amount: u32,
    },
    /// The same elements in the same order under another shape.
    Reshape,
    /// The server reveals its share of the logits without its low `drop` bits.
    Output {
        /// Low bits that are never revealed, 0 to 30.
        drop: u32,
    },
    /// The server reveals the low `bits` bits of its share of one value, which hold the number of classes after the
    /// largest one, and nothing of the logits.
    Class {
        /// Bits revealed, 1 to 22: `2^bits` is at least the number of classes.
        bits: u32,
    },
}

impl Plan {
    /// Shape of the input value on the ring.
    pub fn input_shape(&self) -> Shape {
        self.nodes[0].shape
    }

    /// Shape of the logits.
    pub fn output_shape(&self) -> Shape {
        self.nodes[self.nodes.len() - 1].shape
    }
}
