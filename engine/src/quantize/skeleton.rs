//! The steps of the plan, with float weights and without scales.

use tacit_protocol::plan::{LinearShape, NodeId, Shape};

use crate::graph::{Bias, FloatLinear, Graph, Layer, Operator};
use crate::merge::identity_linear;
use crate::runs::{for_each_run, pool_as_linear};

use super::QuantizeError;

/// What a node computes.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Input,
    Linear(FloatLinear),
    Square,
    Truncate,
    /// Sum pool, or zero padding as a pool of one element, as the depthwise convolution that it is.
    SumPool(LinearShape),
    Add,
    Reshape,
    Output,
}

impl Kind {
    /// Whether the scale of the value follows from that of the input and the number of dropped bits.
    pub fn drops_bits(&self) -> bool {
        matches!(self, Self::Square | Self::Truncate)
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
    /// Brings a merged graph to steps. Truncations and layers that change a scale are inserted where values of
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

    /// The float values of all nodes.
    pub fn evaluate(&self, input: &[f64]) -> Vec<Vec<f64>> {
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let source = |slot: usize| &values[node.inputs[slot]];
            let value = match &node.kind {
                Kind::Input => input.to_vec(),
                Kind::Linear(linear) => linear_values(linear, source(0)),
                Kind::Square => source(0).iter().map(|x| x * x).collect(),
                Kind::SumPool(shape) => crate::runs::apply_sum_pool(shape, source(0)),
                Kind::Add => source(0).iter().zip(source(1)).map(|(x, y)| x + y).collect(),
                Kind::Truncate | Kind::Reshape | Kind::Output => source(0).clone(),
            };
            values.push(value);
        }
        values
    }

    /// The gradients of a weighted sum of the outputs with respect to every node's value.
    pub fn gradients(&self, values: &[Vec<f64>], output: Vec<f64>) -> Vec<Vec<f64>> {
        let mut gradients: Vec<Vec<f64>> = self.nodes.iter().map(|node| vec![0.0; node.shape.elements()]).collect();
        if let Some(last) = gradients.last_mut() {
            *last = output;
        }
        for index in (1..self.nodes.len()).rev() {
            let node = &self.nodes[index];
            let own = std::mem::take(&mut gradients[index]);
            let first = node.inputs[0];
            let into = &mut gradients[first];
            match &node.kind {
                Kind::Input => {}
                Kind::Linear(linear) => for_each_run(&linear.shape, |run| {
                    let weight = linear.weights[run.weight];
                    run.pairs().for_each(|(to, from)| into[from] += weight * own[to]);
                }),
                Kind::Square => {
                    let terms = into.iter_mut().zip(&own).zip(&values[first]);
                    terms.for_each(|((into, own), x)| *into += 2.0 * x * own);
                }
                Kind::SumPool(shape) => {
                    for_each_run(shape, |run| run.pairs().for_each(|(to, from)| into[from] += own[to]));
                }
                Kind::Add => {
                    for input in &node.inputs {
                        gradients[*input].iter_mut().zip(&own).for_each(|(into, own)| *into += own);
                    }
                }
                Kind::Truncate | Kind::Reshape | Kind::Output => {
                    into.iter_mut().zip(&own).for_each(|(into, own)| *into += own);
                }
            }
            gradients[index] = own;
        }
        gradients
    }
}

fn linear_values(linear: &FloatLinear, input: &[f64]) -> Vec<f64> {
    let shape = &linear.shape;
    let mut output = crate::runs::apply_linear(shape, &linear.weights, input);
    let area = shape.output.height * shape.output.width;
    match &linear.bias {
        Bias::PerChannel(bias) => output.iter_mut().enumerate().for_each(|(index, value)| *value += bias[index / area]),
        Bias::PerElement(bias) => output.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias),
    }
    output
}

/// Nodes under construction. Nodes whose values must have the same scale form a set; a set's scale is given by at most
/// one of its nodes (the input, a square, a truncation), otherwise it is free.
#[derive(Default)]
struct Lowering {
    nodes: Vec<SkeletonNode>,
    set: Vec<usize>,
    /// Per set: the node that gives its scale.
    source: Vec<Option<NodeId>>,
}

impl Lowering {
    fn layer(&mut self, graph: &Graph, layer: &Layer, inputs: Vec<NodeId>) -> Result<NodeId, QuantizeError> {
        let shape = layer.shape;
        let node = |kind| SkeletonNode { name: layer.name.clone(), kind, inputs: inputs.clone(), shape };
        let unexpected = || QuantizeError::layer(&layer.name, "is not a step of a plan; merge the network first");
        Ok(match &layer.operator {
            Operator::Input => self.push(node(Kind::Input), None, true),
            Operator::Linear(linear) => self.push(node(Kind::Linear(linear.clone())), None, false),
            Operator::Quadratic { .. } => self.push(node(Kind::Square), None, true),
            Operator::SumPool { kernel, stride, padding } => {
                let from = graph.layers[layer.inputs[0]].shape;
                let pool = pool_as_linear(from, shape, *kernel, *stride, *padding);
                self.push(node(Kind::SumPool(pool)), Some(inputs[0]), false)
            }
            Operator::Pad(padding) => {
                let from = graph.layers[layer.inputs[0]].shape;
                let pool = pool_as_linear(from, shape, [1, 1], [1, 1], *padding);
                self.push(node(Kind::SumPool(pool)), Some(inputs[0]), false)
            }
            Operator::Reshape => self.push(node(Kind::Reshape), Some(inputs[0]), false),
            Operator::Add => {
                let (first, mut second) = (inputs[0], inputs[1]);
                if !self.can_unite(first, second) {
                    second = self.identity(second, &layer.name);
                }
                self.unite(first, second);
                let node = SkeletonNode { inputs: vec![first, second], ..node(Kind::Add) };
                self.push(node, Some(first), false)
            }
            _ => return Err(unexpected()),
        })
    }

    /// Adds a node, in the set of `like` or in one of its own.
    fn push(&mut self, node: SkeletonNode, like: Option<NodeId>, gives_scale: bool) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(node);
        let set = like.map_or(self.source.len(), |like| self.set[like]);
        if like.is_none() {
            self.source.push(gives_scale.then_some(id));
        }
        self.set.push(set);
        id
    }

    /// A layer that multiplies by one and may change the scale.
    fn identity(&mut self, input: NodeId, name: &str) -> NodeId {
        let shape = self.nodes[input].shape;
        let kind = Kind::Linear(identity_linear(shape));
        self.push(SkeletonNode { name: format!("{name} (rescaling)"), kind, inputs: vec![input], shape }, None, false)
    }

    /// Whether two nodes can have the same scale: not if two different nodes give it, nor if it would depend on itself.
    fn can_unite(&self, left: NodeId, right: NodeId) -> bool {
        let (left, right) = (self.set[left], self.set[right]);
        match (self.source[left], self.source[right]) {
            (Some(a), Some(b)) => a == b,
            (Some(source), None) => !self.depends_on(source, right),
            (None, Some(source)) => !self.depends_on(source, left),
            (None, None) => true,
        }
    }

    fn depends_on(&self, mut source: NodeId, set: usize) -> bool {
        while let Some(input) = self.nodes[source].inputs.first() {
            if self.set[*input] == set {
                return true;
            }
            match self.source[self.set[*input]] {
                Some(above) => source = above,
                None => return false,
            }
        }
        false
    }

    fn unite(&mut self, left: NodeId, right: NodeId) {
        let (keep, drop) = (self.set[left], self.set[right]);
        self.source[keep] = self.source[keep].or(self.source[drop]);
        self.set.iter_mut().filter(|set| **set == drop).for_each(|set| *set = keep);
    }

    /// Adds the output node, and truncations before linear layers whose input has accumulators' bits.
    fn finish(mut self, mut output: NodeId, output_name: &str) -> Skeleton {
        if self.source[self.set[output]].is_some() {
            output = self.identity(output, output_name);
        }
        let shape = self.nodes[output].shape;
        let node = SkeletonNode { name: output_name.to_string(), kind: Kind::Output, inputs: vec![output], shape };
        self.push(node, Some(output), false);
        let mut nodes: Vec<SkeletonNode> = Vec::with_capacity(self.nodes.len());
        let mut places: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        let mut truncated: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        for mut node in self.nodes {
            let is_linear = matches!(node.kind, Kind::Linear(_));
            for input in &mut node.inputs {
                let original = *input;
                *input = places[original];
                if is_linear && self.source[self.set[original]].is_none() {
                    *input = *truncated[original].get_or_insert_with(|| {
                        let name = format!("{} (truncated)", nodes[places[original]].name);
                        let shape = nodes[places[original]].shape;
                        nodes.push(SkeletonNode { name, kind: Kind::Truncate, inputs: vec![places[original]], shape });
                        nodes.len() - 1
                    });
                }
            }
            places.push(nodes.len());
            nodes.push(node);
        }
        Skeleton { nodes }
    }
}
