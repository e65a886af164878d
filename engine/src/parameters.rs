//! The secret half of a compiled network: integer weights and biases.

use std::collections::BTreeMap;
use std::fmt;

use tacit_protocol::plan::{NodeId, Shape};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Weights and bias of one linear node on the ring. Wiped on drop, redacted in `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct LinearParameters {
    /// Weights, ordered `[output channel][input channel of the group][row][column]`.
    pub weights: Vec<i16>,
    /// Bias modulo `2^32`, at the scale of the accumulators.
    pub bias: RingBias,
}

/// Bias of a linear node on the ring. Wiped on drop, redacted in `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub enum RingBias {
    /// One value per output channel.
    PerChannel(Vec<u32>),
    /// One value per output element.
    PerElement(Vec<u32>),
}

impl RingBias {
    /// Writes the bias of each element of an output of `shape`.
    pub fn fill(&self, shape: Shape, accumulators: &mut [u32]) {
        match self {
            Self::PerChannel(values) => {
                let planes = accumulators.chunks_exact_mut(shape.height * shape.width);
                planes.zip(values).for_each(|(plane, value)| plane.fill(*value));
            }
            Self::PerElement(values) => accumulators.copy_from_slice(values),
        }
    }

    /// Adds the value of each element to `elements` of `shape`, modulo `2^32`.
    pub fn add_to(&self, shape: Shape, elements: &mut [u32]) {
        match self {
            Self::PerChannel(values) => {
                let planes = elements.chunks_exact_mut(shape.height * shape.width);
                let add = |(plane, value): (&mut [u32], &u32)| {
                    plane.iter_mut().for_each(|element| *element = element.wrapping_add(*value));
                };
                planes.zip(values).for_each(add);
            }
            Self::PerElement(values) => {
                elements.iter_mut().zip(values).for_each(|(element, value)| *element = element.wrapping_add(*value));
            }
        }
    }

    /// Whether there is a value for each channel or element of `shape`.
    pub fn fits(&self, shape: Shape) -> bool {
        match self {
            Self::PerChannel(values) => values.len() == shape.channels,
            Self::PerElement(values) => values.len() == shape.elements(),
        }
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

/// Secret parameters of all linear and offset nodes of a plan.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    layers: BTreeMap<NodeId, LinearParameters>,
    offsets: BTreeMap<NodeId, RingBias>,
}

impl Parameters {
    /// Sets the parameters of a linear node.
    pub fn insert(&mut self, node: NodeId, parameters: LinearParameters) {
        self.layers.insert(node, parameters);
    }

    /// The parameters of a linear node.
    pub fn get(&self, node: NodeId) -> Option<&LinearParameters> {
        self.layers.get(&node)
    }

    /// Sets the constants of an offset node.
    pub fn insert_offset(&mut self, node: NodeId, offset: RingBias) {
        self.offsets.insert(node, offset);
    }

    /// The constants of an offset node.
    pub fn offset(&self, node: NodeId) -> Option<&RingBias> {
        self.offsets.get(&node)
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let offsets: usize = self.offsets.values().map(|offset| 4 * offset.len()).sum();
        offsets + self.layers.values().map(|layer| 2 * layer.weights.len() + 4 * layer.bias.len()).sum::<usize>()
    }
}

impl fmt::Debug for LinearParameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LinearParameters({} weights, redacted)", self.weights.len())
    }
}

impl fmt::Debug for RingBias {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RingBias({} values, redacted)", self.len())
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Parameters({} layers, redacted)", self.layers.len())
    }
}
