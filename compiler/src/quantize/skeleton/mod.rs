//! The steps of the plan, with float weights and without scales.

mod gradient;
mod lowering;

use tacit_protocol::plan::{Axis, LinearShape, NodeId, Shape};
use tacit_protocol::steps::local;

use crate::floats::{apply_linear, apply_sum_pool};
use crate::graph::{Bias, FloatLinear, Graph};

use super::QuantizeError;
use lowering::Lowering;

/// What a node computes.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Input,
    Linear(FloatLinear),
    Square,
    Truncate,
    Relu,
    /// The larger of two values.
    Maximum,
    /// Multiplication of the integers by a power of two, which changes their scale and not the values.
    Shift,
    /// Sum pool, or zero padding as a pool of one element, as the depthwise convolution that it is.
    SumPool(LinearShape),
    Add,
    Subtract,
    /// A constant for each element.
    Offset(Vec<f64>),
    /// Small integers for each row and column.
    Multiply {
        rows: Vec<u32>,
        columns: Vec<u32>,
    },
    Concat,
    Slice {
        axis: Axis,
        start: i32,
        step: u32,
        spacing: u32,
    },
    Reshape,
    Output,
}

impl Kind {
    /// Whether the scale of the value follows from that of the input and the number of dropped bits, which is negative for
    /// a shift to the left.
    pub fn changes_scale(&self) -> bool {
        matches!(self, Self::Square | Self::Truncate | Self::Relu | Self::Shift)
    }

    /// Whether low bits are dropped, so that values may have the bits of accumulators before it.
    pub fn drops_bits(&self) -> bool {
        matches!(self, Self::Square | Self::Truncate | Self::Relu)
    }
}

/// A step to be.
#[derive(Clone, Debug)]
pub(crate) struct SkeletonNode {
    pub name: String,
    pub kind: Kind,
    pub inputs: Vec<NodeId>,
    pub shape: Shape,
}

/// All steps in topological order, the input first and the output last.
#[derive(Clone, Debug)]
pub(crate) struct Skeleton {
    pub nodes: Vec<SkeletonNode>,
}

impl Skeleton {
    /// Brings a merged graph to steps. Truncations, shifts and layers that change a scale are inserted where values of
    /// different scales meet.
    pub fn of_graph(graph: &Graph) -> Result<Self, QuantizeError> {
        let mut lowering = Lowering::default();
        let mut places = Vec::with_capacity(graph.layers.len());
        for layer in &graph.layers {
            let inputs: Vec<NodeId> = layer.inputs.iter().map(|input| places[*input]).collect();
            places.push(lowering.layer(graph, layer, inputs)?);
        }
        Ok(lowering.finish(places[graph.output], &graph.output_name))
    }

    /// Whether values are compared, so that one scale for all channels of a layer serves best.
    pub fn compares(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.kind, Kind::Relu | Kind::Maximum))
    }

    /// The float values of all nodes.
    pub fn evaluate(&self, input: &[f64]) -> Vec<Vec<f64>> {
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let source = |slot: usize| &values[node.inputs[slot]];
            let pairs = |value: fn(f64, f64) -> f64| -> Vec<f64> {
                source(0).iter().zip(source(1)).map(|(x, y)| value(*x, *y)).collect()
            };
            let value = match &node.kind {
                Kind::Input => input.to_vec(),
                Kind::Linear(linear) => linear_values(linear, source(0)),
                Kind::Square => source(0).iter().map(|x| x * x).collect(),
                Kind::Relu => source(0).iter().map(|x| x.max(0.0)).collect(),
                Kind::Maximum => pairs(f64::max),
                Kind::SumPool(shape) => apply_sum_pool(shape, source(0)),
                Kind::Add => pairs(|x, y| x + y),
                Kind::Subtract => pairs(|x, y| x - y),
                Kind::Offset(constants) => source(0).iter().zip(constants).map(|(x, constant)| x + constant).collect(),
                Kind::Multiply { rows, columns } => {
                    let factors = factors(rows, columns).cycle();
                    source(0).iter().zip(factors).map(|(x, factor)| x * factor).collect()
                }
                Kind::Concat => node.inputs.iter().flat_map(|input| values[*input].iter().copied()).collect(),
                Kind::Slice { .. } => self.places(node).iter().map(|place| source(0)[*place]).collect(),
                Kind::Truncate | Kind::Shift | Kind::Reshape | Kind::Output => source(0).clone(),
            };
            values.push(value);
        }
        values
    }

    /// For each element of a slice, the element of its input that it takes.
    pub fn places(&self, node: &SkeletonNode) -> Vec<usize> {
        let Kind::Slice { axis, start, step, spacing } = node.kind else { return vec![] };
        local::slice_places(self.nodes[node.inputs[0]].shape, node.shape, axis, start, [step, spacing]).collect()
    }
}

/// Factor of each element of a plane.
pub(crate) fn factors<'a>(rows: &'a [u32], columns: &'a [u32]) -> impl Iterator<Item = f64> + Clone + 'a {
    rows.iter().flat_map(|row| columns.iter().map(move |column| f64::from(*row) * f64::from(*column)))
}

fn linear_values(linear: &FloatLinear, input: &[f64]) -> Vec<f64> {
    let shape = &linear.shape;
    let mut output = apply_linear(shape, &linear.weights, input);
    let area = shape.output.height * shape.output.width;
    match &linear.bias {
        Bias::PerChannel(bias) => output.iter_mut().enumerate().for_each(|(index, value)| *value += bias[index / area]),
        Bias::PerElement(bias) => output.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias),
    }
    output
}
