//! Between real numbers and the ring, at the two ends of a plan.

use super::graph::{Plan, Step};
use crate::share::Share;

/// Why an input tensor is refused before anything is sent.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    /// The tensor has another number of elements than the plan's input.
    #[error("the input has {got} elements, the network takes {expected}")]
    Length {
        /// Elements of the plan's input.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// A value is NaN, infinite, or outside the plan's range. The value itself is private and not named.
    #[error("input element {index} is not a number from {low} to {high}")]
    OutOfRange {
        /// Position of the first such element.
        index: usize,
        /// Smallest accepted value.
        low: f32,
        /// Largest accepted value.
        high: f32,
    },
}

impl Plan {
    /// The input as ring elements `round(x * 2^fraction_bits)`, in row-major order.
    ///
    /// # Errors
    /// A wrong length; a value that is NaN or outside the declared range.
    pub fn encode_input(&self, input: &[f32]) -> Result<Share, InputError> {
        let expected = self.input_shape().elements();
        if input.len() != expected {
            return Err(InputError::Length { expected, got: input.len() });
        }
        let (low, high) = (self.input.low, self.input.high);
        if let Some(index) = input.iter().position(|value| !(low..=high).contains(value)) {
            return Err(InputError::OutOfRange { index, low, high });
        }
        let scale = 2f64.powi(self.nodes[0].fraction_bits);
        Ok(Share(input.iter().map(|value| (f64::from(*value) * scale).round() as i32 as u32).collect()))
    }

    /// The class that a plan of [`Step::Class`] reveals, from its code on the ring; `None` for other plans, and for a code
    /// that no class has.
    pub fn decode_class(&self, code: &[u32]) -> Option<usize> {
        let (Some(Step::Class { .. }), [code]) = (self.nodes.last().map(|node| &node.step), code) else { return None };
        // Codes count down from the last class, so that of several largest logits the first one wins.
        let classes: usize = self.output.dimensions.iter().product();
        (classes.checked_sub(1)?).checked_sub(*code as usize)
    }

    /// The logits as real numbers, from ring elements in two's complement.
    pub fn decode_output(&self, logits: &[u32]) -> Vec<f32> {
        let scale = 2f64.powi(-self.nodes[self.nodes.len() - 1].fraction_bits);
        logits.iter().map(|value| (f64::from(*value as i32) * scale) as f32).collect()
    }
}
