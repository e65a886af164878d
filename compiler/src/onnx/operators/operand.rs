//! Constants that meet a layer's value.

use crate::graph::MAX_LAYER_ELEMENTS;
use crate::onnx::layers::Layers;
use crate::onnx::polynomial::Activation;
use crate::onnx::tensor::Constant;

/// A constant operand, laid out as the layer of the activation needs it.
pub(super) enum Operand {
    /// One value per channel, or a single one for all.
    PerChannel(Vec<f64>),
    /// One value per element, not the same within some channel.
    PerElement(Vec<f64>),
}

impl Operand {
    /// The operand with its sign changed.
    pub fn negated(self) -> Self {
        let negated = |values: Vec<f64>| values.iter().map(|value| -value).collect();
        match self {
            Self::PerChannel(values) => Self::PerChannel(negated(values)),
            Self::PerElement(values) => Self::PerElement(negated(values)),
        }
    }
}

/// Brings a constant to the shape of an activation.
pub(super) fn operand(layers: &mut Layers, constant: &Constant, activation: &Activation) -> Result<Operand, String> {
    let shape = layers.shape(activation.polynomial.base);
    let extra = activation.dims.len().checked_sub(constant.dims.len());
    if let (Some(value), Some(_)) = (constant.scalar(), extra) {
        return Ok(Operand::PerChannel(vec![value]));
    }
    let mut large = constant.dims.iter().enumerate().filter(|(_, dim)| **dim > 1);
    if let (Some(extra), Some((axis, _)), None) = (extra, large.next(), large.next())
        && constant.len() == shape.channels
        && layers.is_channel_axis(activation, axis + extra)
    {
        layers.charge(shape.channels)?;
        return Ok(Operand::PerChannel(constant.to_floats()));
    }
    if shape.elements() > MAX_LAYER_ELEMENTS {
        return Err(format!("takes a value of more than {MAX_LAYER_ELEMENTS} elements"));
    }
    let mut sample = activation.dims.clone();
    sample[0] = 1;
    let mut values = constant.broadcast_floats(&sample).map_err(|_| {
        format!(
            "a constant of dimensions {:?} meets a value of dimensions {:?}; supported are constants that are \
             scalars, per channel or per element, and do not change the value's dimensions",
            constant.dims, activation.dims
        )
    })?;
    if !activation.order.is_straight() {
        let mut moved = vec![0.0; values.len()];
        for (value, index) in values.iter().zip(activation.order.indices(values.len())) {
            moved[index] = *value;
        }
        values = moved;
    }
    let channels = values.chunks_exact(shape.height * shape.width);
    if channels.clone().all(|channel| channel.iter().all(|value| *value == channel[0])) {
        layers.charge(shape.channels)?;
        return Ok(Operand::PerChannel(channels.map(|channel| channel[0]).collect()));
    }
    layers.charge(shape.elements())?;
    Ok(Operand::PerElement(values))
}

/// A constant that must be a scalar or have one value per channel; `what` names it in messages.
pub(super) fn per_channel(
    layers: &mut Layers,
    constant: &Constant,
    activation: &Activation,
    what: &str,
) -> Result<Vec<f64>, String> {
    match operand(layers, constant, activation)? {
        Operand::PerChannel(values) => Ok(values),
        Operand::PerElement(_) => Err(format!(
            "{what} differs between the elements of a channel; supported are scalars and one value per channel"
        )),
    }
}
