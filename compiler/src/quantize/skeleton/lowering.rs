//! From layers to steps: what must have one scale, and what has to be inserted where scales differ.

use tacit_protocol::plan::{Axis, NodeId, Padding, Shape};

use super::{Kind, Skeleton, SkeletonNode};
use crate::graph::{FloatLinear, Graph, Layer, Operator};
use crate::quantize::QuantizeError;
use tacit_engine::runs::pool_as_linear;

/// Nodes under construction. Nodes whose values must have the same scale form a set; a set's scale is given by at most
/// one of its nodes (the input, a step that drops bits, a shift), otherwise it is free.
#[derive(Default)]
pub(super) struct Lowering {
    nodes: Vec<SkeletonNode>,
    set: Vec<usize>,
    /// Per set: the node that gives its scale.
    source: Vec<Option<NodeId>>,
}

/// Window, stride, dilation and padding of a maximum pool.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

impl Lowering {
    pub(super) fn layer(&mut self, graph: &Graph, layer: &Layer, inputs: Vec<NodeId>) -> Result<NodeId, QuantizeError> {
        let shape = layer.shape;
        let from = layer.inputs.first().map_or(shape, |input| graph.layers[*input].shape);
        let name = layer.name.as_str();
        let node = |kind| SkeletonNode { name: layer.name.clone(), kind, inputs: inputs.clone(), shape };
        let like = inputs.first().copied();
        Ok(match &layer.operator {
            Operator::Input => self.push(node(Kind::Input), None, true),
            Operator::Linear(linear) => self.push(node(Kind::Linear(linear.clone())), None, false),
            Operator::Quadratic { .. } => self.push(node(Kind::Square), None, true),
            Operator::Relu => self.push(node(Kind::Relu), None, true),
            Operator::MaxPool { kernel, stride, dilation, padding } => {
                let window = Window { kernel: *kernel, stride: *stride, dilation: *dilation, padding: *padding };
                self.max_pool(name, inputs[0], shape, &window)
            }
            Operator::SumPool { kernel, stride, padding } => {
                let pool = pool_as_linear(from, shape, *kernel, *stride, *padding);
                self.push(node(Kind::SumPool(pool)), like, false)
            }
            Operator::Pad(padding) => {
                let pool = pool_as_linear(from, shape, [1, 1], [1, 1], *padding);
                self.push(node(Kind::SumPool(pool)), like, false)
            }
            Operator::Multiply { rows, columns } => {
                self.push(node(Kind::Multiply { rows: rows.clone(), columns: columns.clone() }), like, false)
            }
            Operator::Reshape => self.push(node(Kind::Reshape), like, false),
            Operator::Slice { start } => {
                let kind = Kind::Slice { axis: Axis::Channels, start: *start as i32, step: 1, spacing: 1 };
                self.push(node(kind), like, false)
            }
            Operator::AddMap(constants) => self.push(node(Kind::Offset(constants.clone())), like, false),
            Operator::Add | Operator::Subtract => {
                let inputs = self.bring_together(inputs[0], inputs[1], name).to_vec();
                let kind = if layer.operator == Operator::Add { Kind::Add } else { Kind::Subtract };
                let first = inputs[0];
                self.push(SkeletonNode { inputs, ..node(kind) }, Some(first), false)
            }
            Operator::Concat => self.concat(name, inputs, shape),
            Operator::Affine { .. } | Operator::AveragePool { .. } => {
                return Err(QuantizeError::layer(name, "is not a step of a plan; merge the network first"));
            }
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

    /// Adds a node of one input and its shape.
    fn push_behind(&mut self, input: NodeId, kind: Kind, name: String, like: Option<NodeId>) -> NodeId {
        let shape = self.nodes[input].shape;
        let gives_scale = kind.changes_scale();
        self.push(SkeletonNode { name, kind, inputs: vec![input], shape }, like, gives_scale)
    }

    /// Brings two values to the same scale: the free one takes that of the other, whose integers are shifted up to the
    /// bits of an accumulator; where both are given, a layer that multiplies by one changes that of the second.
    fn bring_together(&mut self, first: NodeId, second: NodeId, name: &str) -> [NodeId; 2] {
        let mut pair = [first, second];
        let sources = pair.map(|node| self.source[self.set[node]]);
        let given = match sources {
            [Some(_), None] => Some(0),
            [None, Some(_)] => Some(1),
            _ => None,
        };
        if let Some(given) = given
            && self.can_unite(first, second)
            && !self.is_accumulator(pair[given])
        {
            pair[given] = self.push_behind(pair[given], Kind::Shift, format!("{name} (aligned)"), None);
        }
        if !self.can_unite(pair[0], pair[1]) {
            let identity = Kind::Linear(FloatLinear::identity(self.nodes[second].shape));
            pair[1] = self.push_behind(second, identity, format!("{name} (rescaling)"), None);
            if !self.can_unite(pair[0], pair[1]) {
                let identity = Kind::Linear(FloatLinear::identity(self.nodes[first].shape));
                pair[0] = self.push_behind(first, identity, format!("{name} (rescaling)"), None);
            } else if !self.is_accumulator(pair[0]) {
                pair[0] = self.push_behind(first, Kind::Shift, format!("{name} (aligned)"), None);
            }
        }
        self.unite(pair[0], pair[1]);
        pair
    }

    /// Joins channels. Accumulators get one scale; otherwise they are truncated and every part keeps its own.
    fn concat(&mut self, name: &str, mut inputs: Vec<NodeId>, shape: Shape) -> NodeId {
        let sources: Vec<Option<NodeId>> = inputs.iter().map(|input| self.source[self.set[*input]]).collect();
        if sources.iter().all(Option::is_none) {
            inputs.windows(2).for_each(|pair| self.unite(pair[0], pair[1]));
        }
        let same = inputs.iter().all(|input| self.set[*input] == self.set[inputs[0]]);
        if !same {
            for input in &mut inputs {
                if self.is_accumulator(*input) {
                    *input = self.push_behind(*input, Kind::Truncate, format!("{name} (truncated)"), None);
                }
            }
        }
        let like = same.then_some(inputs[0]);
        self.push(SkeletonNode { name: name.to_string(), kind: Kind::Concat, inputs, shape }, like, !same)
    }

    /// The largest element of each window as tournaments, along the columns and then along the rows.
    fn max_pool(&mut self, name: &str, input: NodeId, shape: Shape, window: &Window) -> NodeId {
        let mut current = input;
        for (dimension, axis) in [(0, Axis::Rows), (1, Axis::Columns)] {
            let before = if dimension == 0 { window.padding.top } else { window.padding.left };
            let after = if dimension == 0 { window.padding.bottom } else { window.padding.right };
            let (kernel, stride) = (window.kernel[dimension], window.stride[dimension]);
            if kernel == 1 && stride == 1 && before == 0 && after == 0 {
                continue;
            }
            let mut image = self.nodes[current].shape;
            match axis {
                Axis::Rows => image.height = shape.height,
                _ => image.width = shape.width,
            }
            let slices = (0..kernel).map(|tap| {
                let start = (tap * window.dilation[dimension]) as i32 - before as i32;
                // A place in the padding is taken by another one of the same window, which changes no maximum.
                let kind = Kind::Slice { axis, start, step: stride as u32, spacing: window.dilation[dimension] as u32 };
                SkeletonNode { name: name.to_string(), kind, inputs: vec![current], shape: image }
            });
            let slices: Vec<SkeletonNode> = slices.collect();
            let mut players: Vec<NodeId> =
                slices.into_iter().map(|slice| self.push(slice, Some(current), false)).collect();
            while players.len() > 1 {
                players = self.round(name, &players);
            }
            current = players[0];
        }
        current
    }

    /// One round of a tournament: all pairs in one comparison, an odd one goes on unplayed.
    fn round(&mut self, name: &str, players: &[NodeId]) -> Vec<NodeId> {
        let shape = self.nodes[players[0]].shape;
        let pairs = players.as_chunks::<2>().0;
        let like = Some(players[0]);
        let mut join = |side: usize| match pairs {
            [pair] => pair[side],
            _ => {
                let inputs: Vec<NodeId> = pairs.iter().map(|pair| pair[side]).collect();
                let shape = Shape { channels: shape.channels * inputs.len(), ..shape };
                self.push(SkeletonNode { name: name.to_string(), kind: Kind::Concat, inputs, shape }, like, false)
            }
        };
        let inputs = vec![join(0), join(1)];
        let joined = self.nodes[inputs[0]].shape;
        let node = SkeletonNode { name: name.to_string(), kind: Kind::Maximum, inputs, shape: joined };
        let winners = self.push(node, like, false);
        let mut next = match pairs {
            [_] => vec![winners],
            _ => (0..pairs.len())
                .map(|pair| {
                    let kind = Kind::Slice {
                        axis: Axis::Channels,
                        start: (pair * shape.channels) as i32,
                        step: 1,
                        spacing: 1,
                    };
                    let node = SkeletonNode { name: name.to_string(), kind, inputs: vec![winners], shape };
                    self.push(node, like, false)
                })
                .collect(),
        };
        next.extend(players.as_chunks::<2>().1);
        next
    }

    /// Whether a value has the bits of an accumulator, and none to spare for a linear layer.
    fn is_accumulator(&self, node: NodeId) -> bool {
        match self.source[self.set[node]] {
            Some(source) => matches!(self.nodes[source].kind, Kind::Shift),
            None => true,
        }
    }

    /// Whether two nodes can have the same scale: not if two different nodes give it, nor if it would depend on itself, nor
    /// if it differs between joined channels.
    fn can_unite(&self, left: NodeId, right: NodeId) -> bool {
        let (left, right) = (self.set[left], self.set[right]);
        if left != right && (self.is_mixed(left) || self.is_mixed(right)) {
            return false;
        }
        match (self.source[left], self.source[right]) {
            (Some(a), Some(b)) => a == b,
            (Some(source), None) => !self.depends_on(source, right),
            (None, Some(source)) => !self.depends_on(source, left),
            (None, None) => true,
        }
    }

    /// Whether channels of a set were joined with different scales.
    fn is_mixed(&self, set: usize) -> bool {
        let Some(source) = self.source[set] else { return false };
        match self.nodes[source].kind {
            Kind::Concat => true,
            // These keep the proportions of their input's scales.
            Kind::Relu | Kind::Square | Kind::Truncate | Kind::Shift => {
                self.nodes[source].inputs.first().is_some_and(|input| self.is_mixed(self.set[*input]))
            }
            _ => false,
        }
    }

    fn depends_on(&self, mut source: NodeId, set: usize) -> bool {
        while let Some(input) = self.nodes[source].inputs.first() {
            if self.set[*input] == set {
                return true;
            }
            match self.source[self.set[*input]] {
                Some(above) if above < source => source = above,
                _ => return false,
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
    pub(super) fn finish(mut self, mut output: NodeId, output_name: &str) -> Skeleton {
        if self.source[self.set[output]].is_some() {
            let identity = Kind::Linear(FloatLinear::identity(self.nodes[output].shape));
            output = self.push_behind(output, identity, format!("{output_name} (rescaling)"), None);
        }
        let shape = self.nodes[output].shape;
        let node = SkeletonNode { name: output_name.to_string(), kind: Kind::Output, inputs: vec![output], shape };
        self.push(node, Some(output), false);
        let is_wide: Vec<bool> = (0..self.nodes.len()).map(|node| self.is_accumulator(node)).collect();
        let mut nodes: Vec<SkeletonNode> = Vec::with_capacity(self.nodes.len());
        let mut places: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        let mut truncated: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        for mut node in self.nodes {
            let is_linear = matches!(node.kind, Kind::Linear(_));
            for input in &mut node.inputs {
                let original = *input;
                *input = places[original];
                if is_linear && is_wide[original] {
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
