//! A factor and an addend per element, and how they pass through local layers.

use super::bias::{per_element, through_local, uniform_channels};
use crate::graph::{Layer, Operator};
use tacit_protocol::plan::{Padding, Shape};

/// `scale[c] * x + shift`, the shift per element.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub shape: Shape,
    /// One factor per channel.
    pub scale: Vec<f64>,
    /// One addend per element.
    pub shift: Vec<f64>,
}

impl Affine {
    /// The content of an [`Operator::Affine`] or [`Operator::AddMap`] layer.
    pub fn of_layer(layer: &Layer) -> Option<Self> {
        let shape = layer.shape;
        match &layer.operator {
            Operator::Affine { scale, shift } => {
                Some(Self { shape, scale: scale.clone(), shift: per_element(shift, shape) })
            }
            Operator::AddMap(map) => Some(Self { shape, scale: vec![1.0; shape.channels], shift: map.clone() }),
            _ => None,
        }
    }

    /// As operators to be applied one after the other: at most a channelwise one and then a map.
    pub fn into_operators(self) -> Vec<Operator> {
        let channels = self.shape.channels;
        if let Some(shift) = uniform_channels(&self.shift, self.shape) {
            let is_identity = self.scale.iter().all(|scale| *scale == 1.0) && shift.iter().all(|shift| *shift == 0.0);
            return if is_identity { vec![] } else { vec![Operator::Affine { scale: self.scale, shift }] };
        }
        let map = Operator::AddMap(self.shift);
        if self.scale.iter().all(|scale| *scale == 1.0) {
            return vec![map];
        }
        vec![Operator::Affine { scale: self.scale, shift: vec![0.0; channels] }, map]
    }

    pub fn has_shift(&self) -> bool {
        self.shift.iter().any(|value| *value != 0.0)
    }

    /// The affine map that does behind a local layer what this one does before it. `None` if there is none.
    pub fn pushed_through(&self, layer: &Layer) -> Option<Self> {
        let scale = match layer.operator {
            Operator::SumPool { .. } | Operator::Pad(_) => self.scale.clone(),
            Operator::Reshape => uniform_channels(&per_element(&self.scale, self.shape), layer.shape)?,
            _ => return None,
        };
        let shift = through_local(layer, self.shape, &self.shift)?;
        Some(Self { shape: layer.shape, scale, shift })
    }

    /// The affine map that does before a local layer what this one does behind it. `None` if there is none.
    pub fn pulled_through(&self, layer: &Layer, input: Shape) -> Option<Self> {
        match layer.operator {
            Operator::SumPool { kernel, padding, .. } => {
                let window = (kernel[0] * kernel[1]) as f64;
                let shift = uniform_channels(&self.shift, self.shape)?;
                if self.has_shift() && padding != Padding::default() {
                    return None;
                }
                let shift: Vec<f64> = shift.iter().map(|value| value / window).collect();
                Some(Self { shape: input, scale: self.scale.clone(), shift: per_element(&shift, input) })
            }
            Operator::Reshape => {
                let scale = uniform_channels(&per_element(&self.scale, self.shape), input)?;
                Some(Self { shape: input, scale, shift: self.shift.clone() })
            }
            _ => None,
        }
    }
}
