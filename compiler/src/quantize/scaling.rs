//! Which scales are free.
//!
//! Each channel of each node has a scale: the integer is `round(real * scale)`. Channels that local steps tie together
//! form a *group* with one scale. Behind a square that drops `d` bits the scale is `(scale / 2^d)^2`, behind a truncation or
//! ReLU `scale / 2^d`, behind a shift by `d` bits `scale 2^d`; all other groups are *roots* and free: a positive real factor per channel can be moved from the weights
//! in front of a square into the weights behind it. Where values are compared all channels of a linear layer have one
//! scale: their comparison then has as many bits as each of them needs. The input has one scale in all channels and so has the output, both
//! powers of two.

use tacit_protocol::plan::{Axis, NodeId};

use super::QuantizeError;
use super::skeleton::{Kind, Skeleton, SkeletonNode};

/// The groups of a skeleton.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// Per node and channel: the group.
    pub of_channel: Vec<Vec<usize>>,
    /// Per group: how its scale comes about. A group comes after the one that it is derived from.
    pub origins: Vec<Origin>,
    /// Group of the input.
    pub input: usize,
    /// Group of the output.
    pub output: usize,
}

/// How a group's scale comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Free.
    Root,
    /// From another group by the bits that `node` drops, and the square if it is one.
    Derived {
        /// The step that changes the scale.
        node: NodeId,
        /// The group of its input.
        from: usize,
        /// 2 for a square, 1 for other steps: what the logarithm of the scale is multiplied with.
        power: i32,
    },
}

impl Groups {
    /// Finds the groups.
    pub fn of_skeleton(skeleton: &Skeleton) -> Result<Self, QuantizeError> {
        let mut ties = Ties::new(skeleton);
        let compares = skeleton.compares();
        for (id, node) in skeleton.nodes.iter().enumerate() {
            match node.kind {
                Kind::Input | Kind::Output => ties.tie_channels(id, node),
                Kind::Linear(_) if compares => ties.tie_channels(id, node),
                _ => {}
            }
            match node.kind {
                Kind::SumPool(_)
                | Kind::Add
                | Kind::Subtract
                | Kind::Maximum
                | Kind::Offset(_)
                | Kind::Multiply { .. }
                | Kind::Output => {
                    for input in &node.inputs {
                        (0..node.shape.channels).for_each(|channel| ties.tie((id, channel), (*input, channel)));
                    }
                }
                Kind::Reshape => {
                    let input = node.inputs[0];
                    let from = skeleton.nodes[input].shape;
                    for element in 0..node.shape.elements() {
                        let channel = element / (node.shape.height * node.shape.width);
                        ties.tie((id, channel), (input, element / (from.height * from.width)));
                    }
                }
                Kind::Concat => {
                    let mut channel = 0;
                    for input in &node.inputs {
                        for source in 0..skeleton.nodes[*input].shape.channels {
                            ties.tie((id, channel), (*input, source));
                            channel += 1;
                        }
                    }
                }
                Kind::Slice { axis, start, .. } => {
                    let first = if axis == Axis::Channels { start as usize } else { 0 };
                    (0..node.shape.channels)
                        .for_each(|channel| ties.tie((id, channel), (node.inputs[0], first + channel)));
                }
                Kind::Input | Kind::Linear(_) | Kind::Square | Kind::Truncate | Kind::Relu | Kind::Shift => {}
            }
        }
        ties.tie_across_changes(skeleton);
        ties.into_groups(skeleton)
    }

    /// Binary logarithms of all groups' scales from those of the roots and the dropped bits of the nodes.
    /// Entries of `roots` for derived groups are ignored.
    pub fn resolve(&self, roots: &[f64], drops: &[i32]) -> Vec<f64> {
        let mut scales: Vec<f64> = Vec::with_capacity(roots.len());
        for (group, origin) in self.origins.iter().enumerate() {
            scales.push(match origin {
                Origin::Root => roots[group],
                Origin::Derived { node, from, power } => f64::from(*power) * (scales[*from] - f64::from(drops[*node])),
            });
        }
        scales
    }

    /// The root of a group, and by how much the logarithm of the group's scale moves with that of the root.
    pub fn root(&self, mut group: usize) -> (usize, i32) {
        let mut total = 1;
        while let Origin::Derived { from, power, .. } = self.origins[group] {
            group = from;
            total *= power;
        }
        (group, total)
    }
}

/// Union-find over channels of nodes.
struct Ties {
    /// Index of each node's first channel.
    first: Vec<usize>,
    parent: Vec<usize>,
}

impl Ties {
    fn new(skeleton: &Skeleton) -> Self {
        let mut first = Vec::with_capacity(skeleton.nodes.len());
        let mut total = 0;
        for node in &skeleton.nodes {
            first.push(total);
            total += node.shape.channels;
        }
        Self { first, parent: (0..total).collect() }
    }

    fn find(&mut self, mut channel: usize) -> usize {
        while self.parent[channel] != channel {
            self.parent[channel] = self.parent[self.parent[channel]];
            channel = self.parent[channel];
        }
        channel
    }

    fn tie(&mut self, left: (NodeId, usize), right: (NodeId, usize)) {
        let left = self.find(self.first[left.0] + left.1);
        let right = self.find(self.first[right.0] + right.1);
        self.parent[left.max(right)] = left.min(right);
    }

    fn tie_channels(&mut self, id: NodeId, node: &SkeletonNode) {
        (1..node.shape.channels).for_each(|channel| self.tie((id, 0), (id, channel)));
    }

    /// Channels tied in front of a step that changes the scale are tied behind it, and the other way round.
    fn tie_across_changes(&mut self, skeleton: &Skeleton) {
        loop {
            let mut changed = false;
            for (id, node) in skeleton.nodes.iter().enumerate().filter(|(_, node)| node.kind.changes_scale()) {
                let pair = [id, node.inputs[0]];
                for (source, target) in [(0, 1), (1, 0)] {
                    let mut first_seen = std::collections::HashMap::new();
                    for channel in 0..node.shape.channels {
                        let tied = self.find(self.first[pair[source]] + channel);
                        let other = *first_seen.entry(tied).or_insert(channel);
                        let (a, b) = (self.first[pair[target]] + channel, self.first[pair[target]] + other);
                        if self.find(a) != self.find(b) {
                            self.tie((pair[target], channel), (pair[target], other));
                            changed = true;
                        }
                    }
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Numbers the groups so that each comes after the one that it is derived from.
    fn into_groups(mut self, skeleton: &Skeleton) -> Result<Groups, QuantizeError> {
        let mut derived = std::collections::HashMap::new();
        for (id, node) in skeleton.nodes.iter().enumerate().filter(|(_, node)| node.kind.changes_scale()) {
            let power = if matches!(node.kind, Kind::Square) { 2 } else { 1 };
            for channel in 0..node.shape.channels {
                let (own, from) =
                    (self.find(self.first[id] + channel), self.find(self.first[node.inputs[0]] + channel));
                let previous = derived.insert(own, (id, from, power));
                if own == from || previous.is_some_and(|previous| previous != (id, from, power)) {
                    return Err(QuantizeError::layer(
                        &node.name,
                        "its scale would have to fit two layers at once; separate the branches that join here by a layer",
                    ));
                }
            }
        }
        let mut numbers = std::collections::HashMap::new();
        let mut origins = Vec::new();
        let mut of_channel: Vec<Vec<usize>> = Vec::with_capacity(skeleton.nodes.len());
        for (id, node) in skeleton.nodes.iter().enumerate() {
            let tied: Vec<usize> =
                (0..node.shape.channels).map(|channel| self.find(self.first[id] + channel)).collect();
            for representative in &tied {
                number(*representative, &derived, &mut numbers, &mut origins);
            }
            of_channel.push(tied.iter().map(|representative| numbers[representative]).collect());
        }
        let ends = (of_channel.first().map(|channels| channels[0]), of_channel.last().map(|channels| channels[0]));
        let (Some(input), Some(output)) = ends else {
            return Err(QuantizeError::layer("input", "the network has no layers"));
        };
        Ok(Groups { of_channel, origins, input, output })
    }
}

/// Numbers a representative after what it is derived from.
fn number(
    representative: usize,
    derived: &std::collections::HashMap<usize, (NodeId, usize, i32)>,
    numbers: &mut std::collections::HashMap<usize, usize>,
    origins: &mut Vec<Origin>,
) {
    let mut chain = vec![representative];
    while let Some((_, from, _)) = chain.last().and_then(|last| derived.get(last)) {
        if numbers.contains_key(from) || chain.contains(from) {
            break;
        }
        chain.push(*from);
    }
    for representative in chain.into_iter().rev() {
        if numbers.contains_key(&representative) {
            continue;
        }
        let origin = match derived.get(&representative) {
            Some((node, from, power)) => match numbers.get(from) {
                Some(from) => Origin::Derived { node: *node, from: *from, power: *power },
                None => Origin::Root,
            },
            None => Origin::Root,
        };
        numbers.insert(representative, origins.len());
        origins.push(origin);
    }
}
