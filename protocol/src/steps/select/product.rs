//! The selection: the product of a shared bit `d` and a shared value `Y`, both known only online.
//!
//! With each party's shares, `d Y = (d_c + d_s - 2 d_c d_s) (Y_c + Y_s)` is the sum of `d Y` of the own shares and of
//! the other's bit times `D = (1 - 2 d) Y`, for both parties. Each party owns the bit of one transfer and the value of
//! the other (section 5 of the specification).

use super::planes::{self, BLOCK};
use crate::ot::SenderKeys;
use crate::share::Share;
use zeroize::Zeroizing;

/// One party's half of both transfers of each element.
pub(super) struct Selector {
    /// Its random choice bits, in blocks.
    choices: Zeroizing<Vec<u64>>,
    /// Its key where it chose.
    chosen: Share,
    /// The other transfer's `x_0`, and `x_1 - x_0`.
    zero: Share,
    difference: Share,
}

impl Selector {
    /// Begins with the transfers in which this party chose. `choices` start at `first`.
    pub(super) fn from_chosen(choices: &[u64], first: usize, keys: &[u64]) -> Self {
        let choices = (0..keys.len().div_ceil(BLOCK)).map(|block| {
            let range = planes::range(first, block, keys.len());
            planes::read(choices, range.start, range.len())
        });
        Self {
            choices: Zeroizing::new(choices.collect()),
            chosen: Share(keys.iter().map(|key| *key as u32).collect()),
            zero: Share::default(),
            difference: Share::default(),
        }
    }

    /// Completes it with the transfers in which the other party chose.
    pub(super) fn complete(mut self, keys: &SenderKeys, first: usize) -> Self {
        let range = first..first + self.chosen.len();
        let (zero, one) = (&keys.zero[range.clone()], &keys.one[range]);
        self.zero = Share(zero.iter().map(|key| *key as u32).collect());
        self.difference = Share(zero.iter().zip(one).map(|(zero, one)| one.wrapping_sub(*zero) as u32).collect());
        self
    }

    /// Appends what this party opens: `d` masked by its choices, then `D` masked by the difference of the keys. `bits`
    /// are its shares of `d`, in blocks.
    pub(super) fn open(&self, bits: &[u64], values: &[u32], out: &mut Vec<u8>) {
        for (block, (bits, choices)) in bits.iter().zip(self.choices.iter()).enumerate() {
            planes::write(bits ^ choices, planes::count(block, values.len()), out);
        }
        let start = out.len();
        out.resize(start + 4 * values.len(), 0);
        let opened = out[start..].as_chunks_mut::<4>().0.chunks_mut(BLOCK);
        for (((opened, values), differences), bits) in
            opened.zip(values.chunks(BLOCK)).zip(self.difference.chunks(BLOCK)).zip(bits)
        {
            for (((opened, value), difference), negate) in
                opened.iter_mut().zip(values).zip(differences).zip(masks(*bits))
            {
                *opened = negated(*value, negate).wrapping_sub(*difference).to_le_bytes();
            }
        }
    }

    /// This party's share of the product, from what the other opened.
    pub(super) fn close(&self, bits: &[u64], values: &[u32], theirs: &mut &[u8]) -> Share {
        let mut flips = planes::take_bytes(theirs, values.len().div_ceil(8));
        let corrections = planes::take_bytes(theirs, 4 * values.len()).as_chunks::<4>().0;
        let mut products = Share::zeros(values.len());
        let blocks =
            products.chunks_mut(BLOCK).zip(corrections.chunks(BLOCK)).zip(bits.iter().zip(self.choices.iter()));
        for (block, ((products, corrections), (bits, choices))) in blocks.enumerate() {
            let range = planes::range(0, block, values.len());
            let (zero, chosen) = (&self.zero[range.clone()], &self.chosen[range.clone()]);
            let own = products.iter_mut().zip(&values[range.clone()]).zip(zero.iter().zip(chosen)).zip(corrections);
            let flips = masks(planes::take(&mut flips, range.len()));
            let (bits, choices) = (masks(*bits), masks(*choices));
            let bits = bits.iter().zip(&choices).zip(&flips);
            for ((((product, value), (zero, chosen)), correction), ((&bit, &choice), &flip)) in own.zip(bits) {
                // Both alone, the other's bit e = 0 times D, and e = 1.
                let local = value & bit;
                let offered = (negated(*value, bit) & flip).wrapping_add(negated(*zero, !flip));
                let received = chosen.wrapping_add(u32::from_le_bytes(*correction) & choice);
                *product = local.wrapping_add(offered).wrapping_add(negated(received, bit ^ choice));
            }
        }
        products
    }

    pub(super) fn memory_bytes(&self) -> usize {
        8 * self.choices.len() + 4 * (self.chosen.len() + self.zero.len() + self.difference.len())
    }
}

/// All ones for each one among the bits, from the lowest. The comparison with constants becomes vector instructions.
fn masks(bits: u64) -> [u32; BLOCK] {
    const BITS: [u32; BLOCK] = {
        let mut bits = [0; BLOCK];
        let mut index = 0;
        while index < BLOCK {
            bits[index] = 1 << (index % 32);
            index += 1;
        }
        bits
    };
    let halves = [bits as u32, (bits >> 32) as u32];
    let mut masks = BITS;
    for (masks, half) in masks.chunks_exact_mut(BLOCK / 2).zip(halves) {
        masks.iter_mut().for_each(|mask| *mask = u32::from(*mask & half == 0).wrapping_sub(1));
    }
    masks
}

/// `-value` where `mask` is all ones, `value` where it is zero.
fn negated(value: u32, mask: u32) -> u32 {
    (value ^ mask).wrapping_sub(mask)
}
