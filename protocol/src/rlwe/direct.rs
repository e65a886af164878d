//! Products without the NTT, for kernels of few taps: each tap adds the input, turned by its place, times its weight.
//!
//! Exact modulo `2^64` by itself. Costs grow with the taps, those of transforms do not: which is cheaper is decided by the
//! sizes of a layer, with measured costs.

use super::inputs::Polynomials;
use crate::plan::LinearStep;
use crate::plan::packing::{Geometry, Tap};

/// Coefficients that are summed at a time: the sums of eight ciphertexts and a piece of an input stay in the first cache.
const BLOCK: usize = 256;

/// Costs for each coefficient of a polynomial, in hundredths of a nanosecond, as measured with AVX-512: the transform of an
/// input, a product of transforms whose kernel comes from memory, and a tap. Only their ratios matter. What they decide shows in
/// the responses of `cargo bench -p tacit-protocol --bench rlwe`: by the NTT a product of 4096 coefficients takes about 5
/// microseconds, and each tap 0.6 to 1.2.
const TRANSFORM_COST: usize = 360;
const PRODUCT_COST: usize = 120;
const TAP_COST: usize = 20;

/// Whether products of a step whose packing fits are cheaper without the NTT.
pub(super) fn is_cheaper(plan: &LinearStep, geometry: &Geometry) -> bool {
    let products = geometry.output_ciphertexts() * geometry.channel_tiles();
    let taps = plan.shape.weight_count().div_ceil(geometry.kernel_count());
    let transformed = 2 * TRANSFORM_COST * geometry.input_ciphertexts() + PRODUCT_COST * products;
    TAP_COST.saturating_mul(taps).saturating_mul(products) < transformed
}

/// Adds to each sum, one for each row of taps, the product of its kernel and of the input, mask and body each.
pub(super) fn add_products<'a>(
    sums: impl Iterator<Item = (&'a [Tap], &'a mut Polynomials)>,
    input: &Polynomials,
    block: usize,
) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (taps, sum) in sums {
                for (sum, input) in sum.iter_mut().zip(input) {
                    let start = block * BLOCK;
                    add_taps(&mut sum[start..][..BLOCK], start, taps, input);
                }
            }
        },
    );
}

/// Blocks of a polynomial, for [`add_products`].
pub(super) const fn blocks(dimension: usize) -> usize {
    dimension / BLOCK
}

/// Coefficients from `start` on.
#[inline(always)]
fn add_taps(sum: &mut [u64], start: usize, taps: &[Tap], input: &[u64]) {
    for tap in taps {
        let (position, weight) = (usize::from(tap.position), i64::from(tap.weight) as u64);
        // What is turned past the highest coefficient comes back negated.
        let (wrapped, rest) = sum.split_at_mut(position.saturating_sub(start).min(sum.len()));
        add_multiple(rest, (start + wrapped.len()).wrapping_sub(position), weight, input);
        add_multiple(wrapped, start + input.len() - position, weight.wrapping_neg(), input);
    }
}

#[inline(always)]
fn add_multiple(sum: &mut [u64], first: usize, factor: u64, input: &[u64]) {
    if sum.is_empty() {
        return;
    }
    for (sum, input) in sum.iter_mut().zip(&input[first..]) {
        *sum = sum.wrapping_add(input.wrapping_mul(factor));
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::plan::ParameterSet;
    use crate::random::Seed;
    use crate::rlwe::ntt::Ntt;

    #[test]
    fn products_are_those_of_transforms() {
        let mut stream = Seed::for_test(3).stream();
        for parameters in ParameterSet::ALL {
            let dimension = parameters.dimension();
            let last = dimension as u16 - 1;
            let places = [0, 1, 255, 256, 257, last - 256, last - 1, last];
            let weights = [1, -1, 0, i16::MAX, i16::MIN, 37, -1000, 5];
            let taps: Vec<Tap> =
                places.iter().zip(weights).map(|(position, weight)| Tap { position: *position, weight }).collect();
            let mut polynomial = vec![0; dimension];
            taps.iter().for_each(|tap| polynomial[usize::from(tap.position)] = i32::from(tap.weight));
            let input: [Vec<u64>; 2] = [(); 2].map(|()| (0..dimension).map(|_| stream.next_u64()).collect());
            let mut sum = [vec![7; dimension], vec![u64::MAX; dimension]];
            for block in 0..blocks(dimension) {
                add_products([(&taps[..], &mut sum)].into_iter(), &input, block);
            }
            let ntt = Ntt::of(parameters);
            for ((sum, input), start) in sum.iter().zip(&input).zip([7, u64::MAX]) {
                let product = ntt.product(input, &ntt.forward_small(&polynomial));
                assert!(sum.iter().zip(product).all(|(sum, product)| *sum == product.wrapping_add(start)));
            }
        }
    }
}
