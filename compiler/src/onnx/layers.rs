//! The layers while they are built, and the values that they hold.

use std::collections::HashMap;
use std::sync::Arc;

use tacit_protocol::plan::Shape;

use super::node::Node;
use super::order::Order;
use super::polynomial::{Activation, Polynomial};
use super::shape;
use crate::graph::{Layer, LayerId, MAX_LAYERS, Operator};

/// Most layers that are built, those included that turn out to be unused.
const MAX_LAYERS_BEFORE_MERGING: usize = 4 * MAX_LAYERS;

/// The layers so far, in topological order.
pub(super) struct Layers {
    batch: usize,
    budget: usize,
    layers: Vec<Layer>,
    /// Polynomials that have become layers, by base.
    materialised: HashMap<LayerId, Vec<(Arc<Polynomial>, LayerId)>>,
    /// Values with their channels first, by the layer that holds them last.
    channels_first: HashMap<LayerId, ChannelsFirst>,
    /// Values between two bounds, by the layer that holds them.
    clipped: HashMap<LayerId, Clipped>,
}

/// A value that a linear layer has brought from channels last to channels first.
#[derive(Clone, Copy)]
pub(super) struct ChannelsFirst {
    /// The value with its channels last, as an image of one channel.
    pub last: LayerId,
    /// The value with its channels first.
    pub first: LayerId,
}

/// How a layer `min(max(u, 0), h)` was computed: what the product of `u` and the layer is made of.
#[derive(Clone)]
pub(super) struct Clipped {
    /// `u`.
    pub value: Arc<Polynomial>,
    /// `h`.
    pub high: Vec<f64>,
    /// The layer `max(u - h, 0)`.
    pub above: LayerId,
}

impl Layers {
    /// The input, whose dimensions have the batch first, with a budget of constant elements.
    pub fn new(input_name: &str, input_dims: &[usize], budget: usize) -> (Self, Activation) {
        let mut layers = Self {
            batch: input_dims[0],
            budget,
            layers: Vec::new(),
            materialised: HashMap::new(),
            channels_first: HashMap::new(),
            clipped: HashMap::new(),
        };
        let shape = shape::layer_shape(input_dims);
        layers.layers.push(Layer { name: input_name.to_owned(), operator: Operator::Input, inputs: vec![], shape });
        let input = layers.identity(0, input_dims.to_vec(), Order::default());
        (layers, input)
    }

    /// The layers, in topological order.
    pub fn into_layers(self) -> Vec<Layer> {
        self.layers
    }

    /// Counts elements about to be allocated.
    pub fn charge(&mut self, elements: usize) -> Result<(), String> {
        let rest = self.budget.checked_sub(elements);
        self.budget = rest.ok_or("makes too many elements of constants for the size of the file")?;
        Ok(())
    }

    /// Size of the first dimension of every activation.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Shape of the value of a layer.
    pub fn shape(&self, layer: LayerId) -> Shape {
        self.layers[layer].shape
    }

    /// Checks dimensions that a node gives to an activation.
    pub fn check_dims(&self, dims: &[usize]) -> Result<(), String> {
        if dims.first() != Some(&self.batch) {
            return Err(format!(
                "gives dimensions {dims:?}; the batch of {} must stay the first dimension",
                self.batch
            ));
        }
        shape::element_count(dims).map(|_| ()).ok_or_else(|| format!("dimensions {dims:?} are too large"))
    }

    /// Adds a layer whose elements are in the order of the file.
    pub fn push(
        &mut self,
        node: &Node<'_>,
        operator: Operator,
        inputs: Vec<LayerId>,
        dims: Vec<usize>,
    ) -> Result<Activation, String> {
        self.check_dims(&dims)?;
        let shape = shape::layer_shape(&dims);
        let layer = self.push_layer(node, operator, inputs, shape)?;
        Ok(self.identity(layer, dims, Order::default()))
    }

    /// Adds a layer of the given shape.
    pub fn push_layer(
        &mut self,
        node: &Node<'_>,
        operator: Operator,
        inputs: Vec<LayerId>,
        shape: Shape,
    ) -> Result<LayerId, String> {
        self.push_named(node.name.clone(), operator, inputs, shape)
    }

    fn push_named(
        &mut self,
        name: String,
        operator: Operator,
        inputs: Vec<LayerId>,
        shape: Shape,
    ) -> Result<LayerId, String> {
        if self.layers.len() == MAX_LAYERS_BEFORE_MERGING {
            return Err(format!(
                "makes more than {MAX_LAYERS_BEFORE_MERGING} layers together with the nodes before it"
            ));
        }
        self.layers.push(Layer { name, operator, inputs, shape });
        Ok(self.layers.len() - 1)
    }

    /// Adds a layer whose elements are those of `like`, one by one.
    pub fn push_like(
        &mut self,
        node: &Node<'_>,
        operator: Operator,
        inputs: Vec<LayerId>,
        like: &Activation,
    ) -> Result<Activation, String> {
        let layer = self.push_layer(node, operator, inputs, self.shape(like.polynomial.base))?;
        Ok(self.identity(layer, like.dims.clone(), like.order.clone()))
    }

    /// The value of a layer under the given dimensions.
    pub fn identity(&self, layer: LayerId, dims: Vec<usize>, order: Order) -> Activation {
        let name = self.layers[layer].name.clone();
        Activation { polynomial: Arc::new(Polynomial::identity(layer)), dims, order, name }
    }

    /// The layer that holds a value: an elementwise polynomial becomes a layer the first time.
    pub fn materialise(&mut self, activation: &Activation) -> Result<LayerId, String> {
        if let Some(layer) = self.find_layer(&activation.polynomial) {
            return Ok(layer);
        }
        let base = activation.polynomial.base;
        let channels = self.layers[base].shape.channels;
        self.charge(3 * channels)?;
        let operator = activation.polynomial.to_operator(channels);
        let layer = self.push_named(activation.name.clone(), operator, vec![base], self.shape(base))?;
        self.materialised.entry(base).or_default().push((activation.polynomial.clone(), layer));
        Ok(layer)
    }

    /// The same value in terms of the layer that already holds it, if there is one.
    pub fn rebased(&self, activation: &Activation) -> Activation {
        match self.find_layer(&activation.polynomial) {
            Some(layer) => Activation { polynomial: Arc::new(Polynomial::identity(layer)), ..activation.clone() },
            None => activation.clone(),
        }
    }

    fn find_layer(&self, polynomial: &Polynomial) -> Option<LayerId> {
        if polynomial.is_identity() {
            return Some(polynomial.base);
        }
        let known = self.materialised.get(&polynomial.base)?;
        known.iter().find(|(known, _)| **known == *polynomial).map(|(_, layer)| *layer)
    }

    /// The same elements in the same order under other dimensions, with a layer only if the shape changes.
    pub fn reshaped(&mut self, node: &Node<'_>, value: &Activation, dims: Vec<usize>) -> Result<Activation, String> {
        self.check_dims(&dims)?;
        let elements = |dims: &[usize]| shape::element_count(dims);
        if elements(&dims) != elements(&value.dims) {
            return Err(format!("dimensions {:?} cannot become {dims:?}", value.dims));
        }
        let shape = self.shape(value.polynomial.base);
        // A vector stays one whichever of its dimensions is the large one, until an image is needed.
        let vector = shape.height * shape.width == 1 && dims[1..].iter().filter(|&&dim| dim > 1).count() <= 1;
        if !value.order.is_straight() || vector || shape == shape::layer_shape(&dims) {
            return Ok(Activation { dims, ..value.clone() });
        }
        self.in_shape(node, &Activation { dims, ..value.clone() })
    }

    /// The value, whose elements are in the order of the file, on a layer of the shape that its dimensions mean.
    pub fn in_shape(&mut self, node: &Node<'_>, value: &Activation) -> Result<Activation, String> {
        let shape = shape::layer_shape(&value.dims);
        if shape == self.shape(value.polynomial.base) {
            return Ok(value.clone());
        }
        // The scale of the network's input stays with the layer that takes it.
        if value.polynomial.base == 0 && value.polynomial.is_uniform() {
            let base = self.push_layer(node, Operator::Reshape, vec![0], shape)?;
            let polynomial = Polynomial { base, ..Polynomial::clone(&value.polynomial) };
            return Ok(Activation { polynomial: polynomial.into(), ..value.clone() });
        }
        let layer = self.materialise(value)?;
        self.push(node, Operator::Reshape, vec![layer], value.dims.clone())
    }

    /// Whether a dimension of a value runs over the channels of its layer.
    pub fn is_channel_axis(&self, value: &Activation, axis: usize) -> bool {
        let shape = self.shape(value.polynomial.base);
        let stride = |axis: usize| value.order.strides(&value.dims[1..])[axis];
        let single = shape.channels == 1;
        axis > 0
            && value.dims[axis] == shape.channels
            && (single || stride(axis - 1) == Some(shape.height * shape.width))
    }

    /// Remembers how a layer between two bounds was computed.
    pub fn remember_clipped(&mut self, layer: LayerId, clipped: Clipped) {
        self.clipped.insert(layer, clipped);
    }

    /// How a layer between 0 and another bound was computed.
    pub fn clipped(&self, layer: LayerId) -> Option<&Clipped> {
        self.clipped.get(&layer)
    }

    /// Remembers that a layer has been brought to channels first.
    pub fn remember_channels_first(&mut self, base: LayerId, layers: ChannelsFirst) {
        self.channels_first.insert(base, layers);
    }

    /// The layer as an image of one channel with the channels last, and its copy with the channels first, if it has
    /// been brought to that.
    pub fn find_channels_first(&self, base: LayerId) -> Option<ChannelsFirst> {
        self.channels_first.get(&base).copied()
    }

    /// Where the channels of a layer were last before a linear layer brought them first.
    pub fn channels_last_of(&self, first: LayerId) -> Option<LayerId> {
        self.channels_first.values().find(|layers| layers.first == first).map(|layers| layers.last)
    }
}
