//! Choice of a packing: the cheapest by bytes and products whose noise bound holds.

use super::error::{HeError, Log2};
use super::noise::{self, KernelSize, LIMIT, TAIL, key_weight};
use super::packing::{Geometry, phases};
use super::params::ParameterSet;
use crate::plan::{LinearPlan, LinearShape, Packing};

/// What one ciphertext-plaintext product costs, in bytes of traffic: about 2 microseconds against 1 Gbit/s.
const PRODUCT_COST: usize = 256;
/// What the transforms of one ciphertext cost, in bytes of traffic.
const CIPHERTEXT_COST: usize = 2048;

/// The cheapest packing of a layer with these weights.
///
/// Both parameter sets, all tile sizes, and windows of the whole image or cut into bands and squares are weighed by the
/// bytes of both directions and the work on both sides. The kept bits are the fewest that the noise bound allows.
///
/// # Errors
/// [`HeError::Noise`] or [`HeError::ProductRange`] if the weights fit no packing, [`HeError::Elements`] for a wrong
/// number of weights, [`HeError::Packing`] if the kernel is larger than a polynomial.
pub fn choose_packing(shape: &LinearShape, weights: &[i16]) -> Result<Packing, HeError> {
    let expected = shape.weight_count();
    if weights.len() != expected {
        return Err(HeError::Elements { what: "the layer's weights", expected, got: weights.len() });
    }
    let outputs = shape.output.channels / shape.groups;
    let sizes = noise::channel_sizes(weights, shape.output.channels);
    let tile_sizes: Vec<KernelSize> =
        tile_counts(outputs).iter().map(|tile| noise::tile_size(&sizes, outputs, *tile)).collect();
    let mut best: Option<(usize, Packing)> = None;
    let mut failure = HeError::Packing("the kernel is larger than a polynomial");
    for parameters in ParameterSet::ALL {
        for (output_tile, size) in tile_counts(outputs).into_iter().zip(&tile_sizes) {
            let cuts = match choose_cuts(parameters, *size) {
                Ok(cuts) => cuts,
                Err(error) => {
                    failure = error;
                    continue;
                }
            };
            for window in windows(shape, parameters.dimension()) {
                let room = parameters.dimension() / (output_tile * window[0] * window[1]);
                let Some(channel_tile) = largest_useful_tile(shape, room) else { continue };
                let [upload_bits, response_mask_bits, response_body_bits] = cuts;
                let packing = Packing {
                    parameters,
                    channel_tile,
                    output_tile,
                    window,
                    upload_bits,
                    response_mask_bits,
                    response_body_bits,
                };
                let cost = cost(&LinearPlan { shape: *shape, packing });
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, packing));
                }
            }
        }
    }
    best.map(|(_, packing)| packing).ok_or(failure)
}

/// Tile sizes that cut `channels` into 1, 2, 3, ... tiles: the smallest size for each number of tiles.
fn tile_counts(channels: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = (1..=channels.min(4096)).map(|tiles| channels.div_ceil(tiles)).collect();
    sizes.dedup();
    sizes
}

/// The smallest tile with as few tiles as `room` channels allow; none if there is no room.
fn largest_useful_tile(shape: &LinearShape, room: usize) -> Option<usize> {
    let channels = shape.channels_per_group() * phases(shape).1.len();
    let tiles = channels.div_ceil(room.min(channels).max(1));
    (room > 0).then(|| channels.div_ceil(tiles))
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
fn choose_cuts(parameters: ParameterSet, size: KernelSize) -> Result<[u32; 3], HeError> {
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
        return Err(HeError::Noise { bound_log2: Log2::of(TAIL * uncut.sqrt()) });
    }
    Ok([bits(size.square_norm, spare * 0.45), bits(key_weight(parameters), spare * 0.45), bits(1.0, spare * 0.1)])
}

/// A packing that keeps all bits, for the noise that cuts do not add.
const fn uncut_packing(parameters: ParameterSet) -> Packing {
    Packing {
        parameters,
        channel_tile: 1,
        output_tile: 1,
        window: [1, 1],
        upload_bits: 64,
        response_mask_bits: 64,
        response_body_bits: 64,
    }
}

/// Bytes of both directions, and work expressed in bytes.
fn cost(linear: &LinearPlan) -> usize {
    let geometry = Geometry::new(linear);
    let (inputs, outputs) = (geometry.input_ciphertexts(), geometry.output_ciphertexts());
    let Packing { parameters, upload_bits, response_mask_bits, response_body_bits, .. } = linear.packing;
    let coefficients = parameters.dimension() / 8;
    let bytes = inputs * coefficients * upload_bits as usize
        + outputs * coefficients * response_mask_bits as usize
        + linear.shape.output.elements() * response_body_bits as usize / 8;
    let size = parameters.dimension() / 2048;
    bytes + (CIPHERTEXT_COST * (inputs + outputs) + PRODUCT_COST * outputs * geometry.channel_tiles()) * size
}
