//! What compiling decided, for people and for machines.

use std::fmt;

use serde::Serialize;
use tacit_protocol::plan::Packing;

use crate::merge::MergeReport;

/// One linear layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Index of its node in the plan.
    pub node: usize,
    /// Name of the layer.
    pub name: String,
    /// Shapes of input and output.
    pub shape: String,
    /// Bits of the accumulators, sign and headroom included.
    pub bits: u32,
    /// Declared fractional bits of the accumulators.
    pub fraction_bits: i32,
    /// Bits between the largest accumulator of the calibration samples and the largest allowed one.
    pub headroom_bits: f64,
    /// Bits of the largest weight, sign included.
    pub weight_bits: u32,
    /// Bits, sign included, that the square or truncation behind it keeps of the largest accumulator of the samples.
    pub kept_bits: Option<u32>,
    /// How masks and weights are laid out in ciphertexts.
    pub packing: String,
    /// Bits between the bound on the noise and what can be decrypted.
    pub noise_margin_bits: f64,
}

/// Fixed-point against float logits, on calibration samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Samples compared.
    pub samples: usize,
    /// Mean absolute difference of a logit.
    pub mean_difference: f64,
    /// Largest absolute difference of a logit.
    pub largest_difference: f64,
    /// Samples with the same class.
    pub same_class: usize,
}

/// What compiling decided. For the model's owner: scales and margins depend on the weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompileReport {
    /// What was merged and what that saved.
    pub merges: MergeReport,
    /// The linear layers in order.
    pub layers: Vec<LayerReport>,
    /// Root mean square error of a logit that the scales were chosen for.
    pub expected_error: f64,
    /// Error of the plain fixed-point evaluation on calibration samples, if there are any.
    pub accuracy: Option<Accuracy>,
    /// Bits of headroom asked for.
    pub headroom_bits: u32,
    /// What the owner should know.
    pub warnings: Vec<String>,
}

/// A packing in a few words.
pub(super) fn describe(packing: &Packing) -> String {
    let [height, width] = packing.window;
    let joined = if packing.group_tile > 1 { format!("{} groups joined, ", packing.group_tile) } else { String::new() };
    format!(
        "{:?}, {joined}tiles of {} in and {} out channels, window {height}x{width}, {}/{}/{} bits",
        packing.parameters,
        packing.channel_tile,
        packing.output_tile,
        packing.upload_bits,
        packing.response_mask_bits,
        packing.response_body_bits
    )
}

impl fmt::Display for CompileReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<38} {:>8} {:>7} {:>12} {:>12} {:>12}",
            "merging", "rewrites", "levels", "products", "additions", "round trips"
        )?;
        write!(formatter, "{}", self.merges)?;
        writeln!(formatter, "\nlinear layers")?;
        for layer in &self.layers {
            let kept = layer.kept_bits.map_or(String::new(), |bits| format!(", {bits} kept"));
            writeln!(
                formatter,
                "  {:>3} {:<32} {}: {} bits{kept}, headroom {:.1}, weights {} bits, noise margin {:.1} bits\n      {}",
                layer.node,
                layer.name,
                layer.shape,
                layer.bits,
                layer.headroom_bits,
                layer.weight_bits,
                layer.noise_margin_bits,
                layer.packing
            )?;
        }
        writeln!(formatter, "\nexpected error of a logit (root mean square): {:.2e}", self.expected_error)?;
        if let Some(accuracy) = &self.accuracy {
            writeln!(
                formatter,
                "on {} calibration samples: same class {}, logits off by {:.2e} on average, {:.2e} at most",
                accuracy.samples, accuracy.same_class, accuracy.mean_difference, accuracy.largest_difference
            )?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(formatter, "warning: {warning}"))
    }
}
