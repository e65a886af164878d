//! Pixels to numbers.

use ndarray::{ArrayD, Axis};

use super::DataError;
use crate::args::PixelArguments;

/// What pixels are divided by unless `--scale` says otherwise.
const SCALE: f32 = 255.0;

/// `(pixel / scale - mean) / std` for each channel.
pub(super) struct Normalisation {
    scale: f32,
    /// Mean and standard deviation of each channel.
    channels: Vec<(f32, f32)>,
}

impl PixelArguments {
    /// Whether any option was given.
    pub(super) fn is_given(&self) -> bool {
        self.scale.is_some() || !self.mean.is_empty() || !self.std.is_empty()
    }
}

impl Normalisation {
    /// One mean and standard deviation for each channel of an input of `dimensions`, or the same for all.
    pub(super) fn new(arguments: &PixelArguments, dimensions: &[usize]) -> Result<Self, DataError> {
        let channels = if dimensions.len() == 3 { dimensions[0] } else { 1 };
        let each = |option, numbers: &[f32], default| match *numbers {
            [] => Ok(vec![default; channels]),
            [number] => Ok(vec![number; channels]),
            _ if numbers.len() == channels => Ok(numbers.to_vec()),
            _ => Err(DataError::Channels { option, given: numbers.len(), channels }),
        };
        let mean = each("--mean", &arguments.mean, 0.0)?;
        let std = each("--std", &arguments.std, 1.0)?;
        Ok(Self { scale: arguments.scale.unwrap_or(SCALE), channels: mean.into_iter().zip(std).collect() })
    }

    /// Converts a batch `[n, dimensions...]`.
    pub(super) fn apply(&self, pixels: &ArrayD<u8>, dimensions: &[usize]) -> ArrayD<f32> {
        let mut numbers = pixels.mapv(|pixel| f32::from(pixel) / self.scale);
        if dimensions.len() == 3 {
            for (mut plane, (mean, std)) in numbers.axis_iter_mut(Axis(1)).zip(&self.channels) {
                plane.mapv_inplace(|value| (value - mean) / std);
            }
        } else if let [(mean, std)] = *self.channels {
            numbers.mapv_inplace(|value| (value - mean) / std);
        }
        numbers
    }
}
