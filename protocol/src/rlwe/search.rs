//! Choice of a packing: the cheapest by bytes and products whose noise bound holds.

use super::error::{Log2, RlweError};
use super::noise::{self, KernelSize, LIMIT, TAIL, key_weight};
use crate::plan::ParameterSet;
use crate::plan::packing::{Geometry, phases};
use crate::plan::{LinearShape, LinearStep, Packing};

/// What one ciphertext-plaintext product costs, for each 2048 coefficients, in bytes of traffic: 2 microseconds of a core, at
/// 1 Gbit/s. Measured, as the next one, by `cargo bench -p tacit-protocol --bench sampling`, which says how.
const PRODUCT_COST: usize = 256;
/// What one ciphertext costs to encrypt and transform, or to make fresh and decrypt, likewise: 45 microseconds.
const CIPHERTEXT_COST: usize = 5632;
/// What one transformed kernel polynomial costs, likewise: its 32,768 bytes of the server's memory, weighed at a 128th of
/// traffic. A model has its kernels once, and sends its ciphertexts for every inference.
const KERNEL_COST: usize = 256;

/// The cheapest packing of a layer with these weights.
///
/// Both parameter sets, groups alone and joined, all tile sizes, and windows of the whole image or cut into bands and squares
/// are weighed by the bytes of both directions, the work on both sides and the server's memory. The kept bits are the fewest
/// that the noise bound allows.
///
/// # Errors
/// [`RlweError::Noise`] or [`RlweError::ProductRange`] if the weights fit no packing, [`RlweError::Elements`] for a wrong
/// number of weights, [`RlweError::Packing`] if the kernel is larger than a polynomial.
pub fn choose_packing(shape: &LinearShape, weights: &[i16]) -> Result<Packing, RlweError> {
    cheapest(shape, weights, &joinable(shape))
}

/// The cheapest packing with one of the given numbers of joined groups.
pub(super) fn cheapest(shape: &LinearShape, weights: &[i16], group_tiles: &[usize]) -> Result<Packing, RlweError> {
    let expected = shape.weight_count();
    if weights.len() != expected {
        return Err(RlweError::Elements { what: "the layer's weights", expected, got: weights.len() });
    }
    let sizes = noise::channel_sizes(weights, shape.output.channels);
    let phases = phases(shape).1.len();
    let mut best: Option<(usize, Packing)> = None;
    let mut failure = RlweError::Packing("the kernel is larger than a polynomial");
    for parameters in ParameterSet::ALL {
        let windows = windows(shape, parameters.dimension());
        for group_tile in group_tiles.iter().copied() {
            let outputs = shape.output.channels / shape.groups * group_tile;
            let channels = shape.channels_per_group() * group_tile * phases;
            for output_tile in tile_counts(outputs) {
                let candidates = windows.iter().filter_map(|window| {
                    let room = parameters.dimension() / (output_tile * window[0] * window[1]);
                    // Joined groups that fill several ciphertexts in both directions are mostly zeros: fewer of them serve better.
                    let dense = group_tile == 1 || output_tile == outputs || room >= channels;
                    (room > 0 && dense).then(|| (*window, smallest_tile(channels, room)))
                });
                let mut candidates = candidates.peekable();
                if candidates.peek().is_none() {
                    continue;
                }
                let [upload_bits, response_mask_bits, response_body_bits] =
                    match choose_cuts(parameters, noise::tile_size(&sizes, outputs, output_tile)) {
                        Ok(cuts) => cuts,
                        Err(error) => {
                            failure = error;
                            continue;
                        }
                    };
                for (window, channel_tile) in candidates {
                    let packing = Packing {
                        parameters,
                        group_tile,
                        channel_tile,
                        output_tile,
                        window,
                        upload_bits,
                        response_mask_bits,
                        response_body_bits,
                    };
                    let cost = cost(&LinearStep { shape: *shape, packing });
                    if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                        best = Some((cost, packing));
                    }
                }
            }
        }
    }
    best.map(|(_, packing)| packing).ok_or(failure)
}

/// Numbers of groups that may be worth joining: the divisors whose channels, or outputs, fit in one ciphertext.
fn joinable(shape: &LinearShape) -> Vec<usize> {
    let ([height, width], phases) = phases(shape);
    let channels = (shape.channels_per_group() * phases.len()).min(shape.output.channels / shape.groups);
    let most = ParameterSet::N4096.dimension() / height.saturating_mul(width).saturating_mul(channels).max(1);
    (1..=shape.groups.min(most.max(1))).filter(|tile| shape.groups.is_multiple_of(*tile)).collect()
}

/// Tile sizes that cut `channels` into 1, 2, 3, ... tiles: the smallest size for each number of tiles.
fn tile_counts(channels: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = (1..=channels.min(4096)).map(|tiles| channels.div_ceil(tiles)).collect();
    sizes.dedup();
    sizes
}

/// The smallest tile with as few tiles as `room` channels allow.
fn smallest_tile(channels: usize, room: usize) -> usize {
    channels.div_ceil(channels.div_ceil(room.min(channels)))
}

/// Windows to consider: the outputs cut evenly into a few rows and columns.
fn windows(shape: &LinearShape, dimension: usize) -> Vec<[usize; 2]> {
    let (kernel, _) = phases(shape);
    let cuts = |size: usize| {
        let mut outputs: Vec<usize> = (1..=size.min(64)).map(|parts| size.div_ceil(parts)).collect();
        outputs.extend([32, 16, 8, 4, 2, 1].into_iter().filter(|part| *part < size));
        outputs.sort_unstable();
        outputs.dedup();
        outputs
    };
    let columns = cuts(shape.output.width);
    cuts(shape.output.height)
        .into_iter()
        .flat_map(|rows| columns.iter().map(move |columns| [rows + kernel[0] - 1, columns + kernel[1] - 1]))
        .filter(|window| window[0].checked_mul(window[1]).is_some_and(|area| area <= dimension))
        .collect()
}

/// Bits kept of uploads, returned masks and returned bodies: the fewest bytes for which the noise bound holds.
///
/// Masks are the bulk of the traffic, and weigh most; each part of the noise gets a share of what is allowed.
fn choose_cuts(parameters: ParameterSet, size: KernelSize) -> Result<[u32; 3], RlweError> {
    let allowed = ((LIMIT - noise::cut_bias(&uncut_packing(parameters), size.absolute_sum)).max(0.0) / TAIL).powi(2);
    let bits = |variance_for_one: f64, share: f64| {
        // The largest c with variance_for_one * 4^c / 12 <= share.
        let cut = (12.0 * share / variance_for_one.max(1e-9)).log2() / 2.0;
        64 - cut.floor().clamp(0.0, 60.0) as u32
    };
    noise::check_range(&uncut_packing(parameters), size)?;
    let uncut = noise::variance(&uncut_packing(parameters), size.square_norm);
    let spare = allowed - uncut;
    if spare <= 0.0 {
        return Err(RlweError::Noise { bound_log2: Log2::of(TAIL * uncut.sqrt()) });
    }
    Ok([bits(size.square_norm, spare * 0.45), bits(key_weight(parameters), spare * 0.45), bits(1.0, spare * 0.1)])
}

/// A packing that keeps all bits, for the noise that cuts do not add.
const fn uncut_packing(parameters: ParameterSet) -> Packing {
    Packing {
        parameters,
        group_tile: 1,
        channel_tile: 1,
        output_tile: 1,
        window: [1, 1],
        upload_bits: 64,
        response_mask_bits: 64,
        response_body_bits: 64,
    }
}

/// Bytes of both directions, and work and memory expressed in bytes.
fn cost(linear: &LinearStep) -> usize {
    let geometry = Geometry::new(linear);
    let (inputs, outputs) = (geometry.input_ciphertexts(), geometry.output_ciphertexts());
    let Packing { parameters, upload_bits, response_mask_bits, response_body_bits, .. } = linear.packing;
    let coefficients = parameters.dimension() / 8;
    let bytes = inputs * coefficients * upload_bits as usize
        + outputs * coefficients * response_mask_bits as usize
        + linear.shape.output.elements() * response_body_bits as usize / 8;
    let kernels = geometry.groups() * geometry.output_tiles() * geometry.channel_tiles();
    let products = kernels * geometry.windows();
    let size = parameters.dimension() / 2048;
    bytes + (CIPHERTEXT_COST * (inputs + outputs) + PRODUCT_COST * products + KERNEL_COST * kernels) * size
}
