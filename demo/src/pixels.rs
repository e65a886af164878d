//! How programs take 8-bit images: by mean and standard deviation of each channel.

use anyhow::ensure;
use clap::Args;

use crate::images::Channel;

/// How 8-bit pixels become numbers: `(pixel / 255 - mean) / std`.
#[derive(Clone, Debug, Default, Args)]
pub struct PixelArguments {
    /// Means of the channels of 8-bit images, separated by commas, for example 0.4914,0.4822,0.4465.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_negative_numbers = true)]
    pub mean: Vec<f32>,
    /// Standard deviations of the channels of 8-bit images, separated by commas.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub std: Vec<f32>,
}

impl PixelArguments {
    /// Mean and standard deviation of each channel.
    ///
    /// # Errors
    /// If there are not as many of one as of the other, or a deviation is not positive.
    pub fn channels(&self) -> anyhow::Result<Vec<Channel>> {
        ensure!(self.mean.len() == self.std.len(), "--mean and --std need one number for each channel");
        ensure!(self.std.iter().all(|std| *std > 0.0), "--std: standard deviations are positive");
        Ok(self.mean.iter().copied().zip(self.std.iter().copied()).collect())
    }
}
