//! The product of a bit that the server learns online and a value that the client knows beforehand.
//!
//! One random OT per element, the server choosing a random bit `beta` (section 5 of the specification):
//!
//! ```text
//! preprocessing  client -> server   kappa = d - (x_1 - x_0)             shares of beta d: -x_0 | x_beta + beta kappa
//! online         server -> client   e = b xor beta                      b d = e d + (1 - 2e) beta d
//! ```
//!
//! All values are modulo `2^width`.

use super::ring::{bit, low_bits};
use crate::bits::{pack, unpack};
use crate::ot::{ReceiverKeys, SenderKeys};
use crate::share::Share;

/// The client's half: the sender of the transfers.
pub(super) struct ClientBitProduct {
    values: Share,
    keys: Share,
}

impl ClientBitProduct {
    /// Appends the corrections, `width` bits per element, to `message`.
    pub(super) fn prepare(values: Share, keys: &SenderKeys, width: u32, message: &mut Vec<u8>) -> Self {
        let corrections = values
            .iter()
            .zip(keys.zero.iter().zip(&keys.one))
            .map(|(value, (zero, one))| u64::from(*value).wrapping_sub(one.wrapping_sub(*zero)));
        pack(corrections, width, message);
        let keys = Share(keys.zero.iter().map(|key| *key as u32).collect());
        Self { values, keys }
    }

    /// The client's share of element `index`'s product, given the server's `e`. Only the low `width` bits count.
    #[inline(always)]
    pub(super) fn share(&self, index: usize, flip: u32) -> u32 {
        // With e = 0 the share is -x_0, with e = 1 it is d + x_0.
        let negate = flip.wrapping_sub(1);
        (self.values[index] & flip.wrapping_neg()).wrapping_add((self.keys[index] ^ negate).wrapping_sub(negate))
    }
}

/// The server's half: the receiver of the transfers.
pub(super) struct ServerBitProduct {
    choices: Share,
    shares: Share,
}

impl ServerBitProduct {
    /// `message` holds the client's corrections, `choices` the random bits `beta`, packed.
    pub(super) fn prepare(choices: &[u64], keys: &ReceiverKeys, width: u32, message: &[u8]) -> Self {
        let count = keys.chosen.len();
        let corrections = unpack(message, count, width);
        let shares = keys.chosen.iter().zip(corrections).enumerate().map(|(index, (key, correction))| {
            (*key as u32).wrapping_add(correction as u32 & bit(choices, index).wrapping_neg()) & low_bits(width)
        });
        Self { shares: Share(shares.collect()), choices: Share((0..count).map(|index| bit(choices, index)).collect()) }
    }

    /// For the online bit `value`: the bit `e` to send, and the server's share of the product.
    #[inline(always)]
    pub(super) fn open(&self, index: usize, value: u32) -> (u32, u32) {
        let flip = value ^ self.choices[index];
        let negate = flip.wrapping_neg();
        (flip, (self.shares[index] ^ negate).wrapping_sub(negate))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        4 * (self.choices.len() + self.shares.len())
    }
}
