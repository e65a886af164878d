//! Bound on the noise of a linear step, from its real weights (`docs/protocol.md`, section 4.5).
//!
//! The phase of an output coefficient is off by a sum of independent terms, each sub-Gaussian with the variance given:
//!
//! - `sum k e`: `|k|^2 sigma^2`, `k` all kernel polynomials of the output ciphertext;
//! - the cut of the uploads, uniform in an interval of `2^c`: `|k|^2 2^(2c) / 12`;
//! - the rerandomisation, `e_pk u + e_1 - e_2 s`: `sigma^2 (N + 1 + h)`, `h` a bound on the key's weight;
//! - the mean of a cut, half a unit of the last place: `(sum |k| + h + 1) / 2` at most, added to the bound;
//! - the cuts of the response's mask and body: `h 2^(2c) / 12` and `2^(2c) / 12`.
//!
//! A sub-Gaussian sum of variance `V` exceeds `t` with probability at most `2 exp(-t^2 / 2V)`. The bound is the `t` at which
//! this is `2^-64`, so that even the `2^23` elements that a plan may have together fail with a probability below `2^-40`.

use super::error::{Log2, RlweError};
use super::residues::MAX_ABSOLUTE_SUM;
use crate::plan::ParameterSet;
use crate::plan::{LinearStep, Packing, check_packing};

/// What can be decrypted: half of `Delta`.
pub(super) const LIMIT: f64 = (1u64 << 31) as f64;

/// `sqrt(2 ln(2^65))`: the bound in standard deviations.
pub(super) const TAIL: f64 = 9.492_7;

/// Noise of one linear step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseReport {
    /// Standard deviation that the bound assumes, in units of the last place.
    pub deviation: f64,
    /// Bound that holds but for a probability of `2^-64`, in units of the last place.
    pub bound: f64,
}

impl NoiseReport {
    /// Bits between the bound and what can be decrypted; negative if the bound is too large.
    pub fn margin_bits(&self) -> f64 {
        (LIMIT / self.bound).log2()
    }
}

/// Square of the largest Euclidean norm, and the largest sum of absolute values, of the kernels of an output ciphertext.
#[derive(Clone, Copy, Debug)]
pub(super) struct KernelSize {
    pub(super) square_norm: f64,
    pub(super) absolute_sum: u64,
}

/// Sizes of each output channel's weights.
pub(super) fn channel_sizes(weights: &[i16], outputs: usize) -> Vec<KernelSize> {
    let channels = weights.chunks_exact((weights.len() / outputs).max(1));
    channels
        .map(|weights| KernelSize {
            square_norm: weights.iter().map(|weight| f64::from(*weight).powi(2)).sum(),
            absolute_sum: weights.iter().map(|weight| u64::from(weight.unsigned_abs())).sum(),
        })
        .collect()
}

/// The largest sizes over tiles of `output_tile` channels, within (joined) groups of `group_outputs`.
pub(super) fn tile_size(channels: &[KernelSize], group_outputs: usize, output_tile: usize) -> KernelSize {
    let tiles = channels.chunks(group_outputs).flat_map(|group| group.chunks(output_tile));
    tiles.fold(KernelSize { square_norm: 0.0, absolute_sum: 0 }, |largest, tile| KernelSize {
        square_norm: largest.square_norm.max(tile.iter().map(|size| size.square_norm).sum()),
        absolute_sum: largest.absolute_sum.max(tile.iter().map(|size| size.absolute_sum).sum()),
    })
}

/// Bound on the number of ones in a binary key, exceeded with a probability below `2^-48` (Hoeffding).
pub(super) fn key_weight(parameters: ParameterSet) -> f64 {
    let dimension = parameters.dimension() as f64;
    dimension / 2.0 + (dimension * 48.0 * std::f64::consts::LN_2 / 2.0).sqrt()
}

/// Variance of rounding to multiples of `2^cut`.
pub(super) fn rounding_variance(bits: u32) -> f64 {
    if bits == 64 { 0.0 } else { 4f64.powi(64 - bits as i32) / 12.0 }
}

/// Variance of the noise of a packing for kernels of the given size.
pub(super) fn variance(packing: &Packing, square_norm: f64) -> f64 {
    let Packing { parameters, upload_bits, response_mask_bits, response_body_bits, .. } = *packing;
    let noise = parameters.deviation().powi(2) + 1.0 / 12.0;
    square_norm * (noise + rounding_variance(upload_bits))
        + noise * (parameters.dimension() as f64 + 1.0 + key_weight(parameters))
        + rounding_variance(response_mask_bits) * key_weight(parameters)
        + rounding_variance(response_body_bits)
}

/// Bound on the mean error of the cuts: rounding is half a unit of the last place off centre where bits are dropped.
pub(super) fn cut_bias(packing: &Packing, absolute_sum: u64) -> f64 {
    (absolute_sum as f64 + key_weight(packing.parameters) + 1.0) / 2.0
}

/// The noise of a linear step with these weights.
///
/// # Errors
/// [`RlweError::Noise`] if it could not be decrypted, [`RlweError::ProductRange`] if the products would not be exact,
/// [`RlweError::Elements`] for a wrong number of weights.
pub fn noise_report(linear: &LinearStep, weights: &[i16]) -> Result<NoiseReport, RlweError> {
    let expected = linear.shape.weight_count();
    if weights.len() != expected {
        return Err(RlweError::Elements { what: "the layer's weights", expected, got: weights.len() });
    }
    check_packing(&linear.shape, &linear.packing).map_err(RlweError::Packing)?;
    let outputs = linear.shape.output.channels;
    let sizes = channel_sizes(weights, outputs);
    let joined_outputs = outputs / linear.shape.groups * linear.packing.group_tile;
    let size = tile_size(&sizes, joined_outputs, linear.packing.output_tile);
    check_range(&linear.packing, size)?;
    let deviation = variance(&linear.packing, size.square_norm).sqrt();
    let report = NoiseReport { deviation, bound: TAIL * deviation + cut_bias(&linear.packing, size.absolute_sum) };
    if report.bound > LIMIT {
        return Err(RlweError::Noise { bound_log2: Log2::of(report.bound) });
    }
    Ok(report)
}

/// Products, with the rerandomisation's, must be exact.
pub(super) fn check_range(packing: &Packing, size: KernelSize) -> Result<(), RlweError> {
    let sum = size.absolute_sum + packing.parameters.dimension() as u64;
    if sum > MAX_ABSOLUTE_SUM { Err(RlweError::ProductRange(sum)) } else { Ok(()) }
}
