//! Products from random transfers: a bit of the receiver times a value of the sender, as additive
//! shares mod `2^w` (`docs/protocol.md`, section 5).
//!
//! For the receiver's bit `c` and the sender's value `d`: the sender sends `kappa = d - (x_1 -
//! x_0)` and keeps `-x_0`, the receiver keeps `x_c + c kappa`; the shares sum to `c d`. `kappa` is
//! `w` bits wide and uniform to the receiver, whatever `d` is. Only the low `w` bits of a pad are
//! used. A pad serves one product only: two corrections under the same pads would give the
//! difference of their values away.
//!
//! All are branch-free, without allocation, and panic if the slices' lengths differ or `width` is
//! not in `1..=32`.

/// The sender's corrections and shares, both below `2^width`, of the products with `values`.
///
/// `zero` and `one` are its pads.
pub fn sender_corrections(
    zero: &[u64],
    one: &[u64],
    values: &[u32],
    width: u32,
    corrections: &mut [u32],
    shares: &mut [u32],
) {
    let mask = mask(width);
    let count = values.len();
    assert_eq!([zero.len(), one.len(), corrections.len(), shares.len()], [count; 4]);
    let pads = zero.iter().zip(one);
    let outputs = corrections.iter_mut().zip(shares);
    for (((zero, one), value), (correction, share)) in pads.zip(values).zip(outputs) {
        let [zero, one] = [*zero as u32, *one as u32];
        *correction = value.wrapping_sub(one).wrapping_add(zero) & mask;
        *share = zero.wrapping_neg() & mask;
    }
}

/// The receiver's shares, below `2^width`, of the products.
///
/// `chosen` are its pads. `choices` are packed, lowest bit first, at least as many as there are
/// pads; `corrections` may have any bits above `width`.
pub fn receiver_shares(chosen: &[u64], choices: &[u64], corrections: &[u32], width: u32, shares: &mut [u32]) {
    let mask = mask(width);
    let count = chosen.len();
    assert_eq!([corrections.len(), shares.len()], [count; 2]);
    assert!(choices.len() >= count.div_ceil(64));
    let groups = chosen.chunks(64).zip(corrections.chunks(64)).zip(shares.chunks_mut(64));
    for (((chosen, corrections), shares), word) in groups.zip(choices) {
        let pads = chosen.iter().zip(corrections);
        for (bit, ((pad, correction), share)) in pads.zip(shares).enumerate() {
            let choice = ((word >> bit & 1) as u32).wrapping_neg();
            *share = (*pad as u32).wrapping_add(correction & choice) & mask;
        }
    }
}

fn mask(width: u32) -> u32 {
    assert!((1..=32).contains(&width), "a product of {width} bits");
    u32::MAX >> (32 - width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shares of the products, from pads drawn by the test.
    fn products(pairs: &[(u64, u64, bool, u32)], width: u32) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let count = pairs.len();
        let zero: Vec<u64> = pairs.iter().map(|pair| pair.0).collect();
        let one: Vec<u64> = pairs.iter().map(|pair| pair.1).collect();
        let values: Vec<u32> = pairs.iter().map(|pair| pair.3).collect();
        let chosen: Vec<u64> = pairs.iter().map(|pair| if pair.2 { pair.1 } else { pair.0 }).collect();
        let mut choices = vec![0u64; count.div_ceil(64)];
        for (index, pair) in pairs.iter().enumerate() {
            choices[index / 64] |= u64::from(pair.2) << (index % 64);
        }
        let [mut corrections, mut sender, mut receiver] = [0; 3].map(|_| vec![0; count]);
        sender_corrections(&zero, &one, &values, width, &mut corrections, &mut sender);
        receiver_shares(&chosen, &choices, &corrections, width, &mut receiver);
        (corrections, sender, receiver)
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_product(
            pairs in prop::collection::vec(any::<(u64, u64, bool, u32)>(), 0..200),
            width in 1u32..=32,
        ) {
            let (corrections, sender, receiver) = products(&pairs, width);
            for (index, (_, _, choice, value)) in pairs.iter().enumerate() {
                let product = if *choice { *value } else { 0 } & mask(width);
                prop_assert_eq!(sender[index].wrapping_add(receiver[index]) & mask(width), product);
                prop_assert!(corrections[index].max(sender[index]).max(receiver[index]) <= mask(width));
            }
        }
    }

    #[test]
    fn extremes() {
        for width in [1, 31, 32] {
            for value in [0, 1, u32::MAX, 1 << 31] {
                for pad in [0, u64::MAX] {
                    let (_, sender, receiver) = products(&[(pad, !pad, true, value); 3], width);
                    assert_eq!(sender[2].wrapping_add(receiver[2]) & mask(width), value & mask(width));
                }
            }
        }
    }
}
