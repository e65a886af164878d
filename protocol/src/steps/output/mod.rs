//! Output: the server reveals its share of the logits without the low bits, the client adds its own.
//!
//! The dropped bits of the server's share are uniform, so the last places of the accumulator, where traces of the
//! encryption noise live, stay hidden. The client takes the middle of what the dropped bits could have been, so the
//! result is within `2^(drop-1)` of the shared value.
//!
//! Where only the class is to be known, the low bits of one value hold it: the server reveals just those of its share,
//! which say nothing of the bits above.

mod client;
mod server;

use crate::bits::packed_len;
use crate::share::Share;

use client::{client_reconstruct, client_reconstruct_class};
use server::{server_reveal, server_reveal_class};

/// What the server reveals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// Its share of the logits without the low bits.
    Logits {
        /// Number of elements.
        elements: usize,
        /// Low bits that are never revealed, 0 to 30.
        drop: u32,
    },
    /// The low bits of its share of one value, which hold the class.
    Class {
        /// Bits revealed.
        bits: u32,
    },
}

impl Reveal {
    /// Bytes of the server's message.
    pub const fn message_len(self) -> usize {
        match self {
            Self::Logits { elements, drop } => message_len(elements, drop),
            Self::Class { bits } => class_message_len(bits),
        }
    }

    /// Server: the message, from its share.
    pub fn server(self, share: &Share) -> Vec<u8> {
        match self {
            Self::Logits { drop, .. } => server_reveal(share, drop),
            Self::Class { bits } => server_reveal_class(share, bits),
        }
    }

    /// Client: the logits on the ring or the code of the class, from its share and the message, which has the length of
    /// [`Self::message_len`].
    pub fn client(self, share: &Share, message: &[u8]) -> Vec<u32> {
        match self {
            Self::Logits { drop, .. } => client_reconstruct(share, drop, message),
            Self::Class { bits } => client_reconstruct_class(share, bits, message),
        }
    }
}

/// Bytes of the server's message: `32 - drop` bits per element.
const fn message_len(elements: usize, drop: u32) -> usize {
    packed_len(elements, 32 - drop)
}

/// Bytes of the server's message that reveals a class: `bits` bits.
const fn class_message_len(bits: u32) -> usize {
    packed_len(1, bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::ring::low_bits;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_class_is_the_low_bits_of_the_value(client in any::<u32>(), value in any::<u32>(), bits in 1u32..=22) {
            let server = Share(vec![value.wrapping_sub(client)]);
            let message = server_reveal_class(&server, bits);
            prop_assert_eq!(message.len(), class_message_len(bits));
            prop_assert_eq!(client_reconstruct_class(&Share(vec![client]), bits, &message), vec![value & low_bits(bits)]);
        }

        #[test]
        fn reconstruction_is_within_half_of_the_dropped_unit(values in prop::collection::vec((any::<u32>(), any::<u32>()), 1..40), drop in 0u32..=30) {
            let client = Share(values.iter().map(|pair| pair.0).collect());
            let server = Share(values.iter().map(|(own, value)| value.wrapping_sub(*own)).collect());
            let message = server_reveal(&server, drop);
            prop_assert_eq!(message.len(), message_len(values.len(), drop));
            for (logit, (_, value)) in client_reconstruct(&client, drop, &message).iter().zip(&values) {
                let difference = i64::from(logit.wrapping_sub(*value) as i32).abs();
                prop_assert!(2 * difference <= 1 << drop, "{difference} with {drop} bits dropped");
                prop_assert!(drop > 0 || difference == 0);
            }
        }
    }
}
