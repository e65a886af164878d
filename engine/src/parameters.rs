//! The secret half of a compiled network: integer weights and biases of each linear step.

use std::collections::BTreeMap;

use tacit_protocol::plan::NodeId;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Weights and biases of all linear steps of a plan. Wiped on drop, redacted in `Debug`.
#[derive(Clone, Default)]
pub struct Parameters {
    layers: BTreeMap<NodeId, LinearParameters>,
}

impl Parameters {
    /// No layers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the layer of a linear node.
    pub fn insert(&mut self, node: NodeId, layer: LinearParameters) {
        self.layers.insert(node, layer);
    }

    /// The layer of a linear node.
    pub fn layer(&self, node: NodeId) -> Option<&LinearParameters> {
        self.layers.get(&node)
    }
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Parameters({} layers, redacted)", self.layers.len())
    }
}

/// Weights and bias of one linear step.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LinearParameters {
    /// Integer weights, ordered `[output channel][input channel of the group][row][column]`.
    pub weights: Vec<i16>,
    /// Integer bias, at the scale of the accumulator.
    pub bias: RingBias,
}

impl std::fmt::Debug for LinearParameters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LinearParameters({} weights, redacted)", self.weights.len())
    }
}

/// Integer bias of a linear step.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub enum RingBias {
    /// One value per output channel.
    PerChannel(Vec<i32>),
    /// One value per output element.
    PerElement(Vec<i32>),
}

impl RingBias {
    /// The bias of each output element of `channels` channels with `area` elements each.
    pub fn elements(&self, area: usize) -> impl Iterator<Item = i32> + '_ {
        let (values, repeat) = match self {
            Self::PerChannel(values) => (values, area),
            Self::PerElement(values) => (values, 1),
        };
        values.iter().flat_map(move |value| std::iter::repeat_n(*value, repeat))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::PerChannel(values) | Self::PerElement(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
