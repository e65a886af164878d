//! Output: the server reveals its share of the logits without the low bits, the client adds its own.
//!
//! The dropped bits of the server's share are uniform, so the last places of the accumulator, where traces of the
//! encryption noise live, stay hidden. The client takes the middle of what the dropped bits could have been, so the
//! result is within `2^(drop-1)` of the shared value.
//!
//! Where only the class is to be known, the low bits of one value hold it: the server reveals just those of its share,
//! which say nothing of the bits above.

use super::ring::low_bits;
use crate::bits::{pack, packed_len, unpack};
use crate::share::Share;

/// Bytes of the server's message: `32 - drop` bits per element.
pub const fn message_len(elements: usize, drop: u32) -> usize {
    packed_len(elements, 32 - drop)
}

/// Server: the top `32 - drop` bits of each element of its share.
pub fn server_reveal(share: &Share, drop: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(message_len(share.len(), drop));
    pack(share.iter().map(|element| u64::from(element >> drop)), 32 - drop, &mut message);
    message
}

/// Client: the logits on the ring. `message` has the length of [`message_len`].
pub fn client_reconstruct(share: &Share, drop: u32, message: &[u8]) -> Vec<u32> {
    let middle = if drop == 0 { 0 } else { 1 << (drop - 1) };
    let server = unpack(message, share.len(), 32 - drop);
    share.iter().zip(server).map(|(own, top)| own.wrapping_add((top as u32) << drop).wrapping_add(middle)).collect()
}

/// Bytes of the server's message that reveals a class: `bits` bits.
pub const fn class_message_len(bits: u32) -> usize {
    packed_len(1, bits)
}

/// Server: the low `bits` bits of its share of the value that holds the class there.
pub fn server_reveal_class(share: &Share, bits: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(class_message_len(bits));
    pack(share.iter().map(|element| u64::from(*element)), bits, &mut message);
    message
}

/// Client: the low `bits` bits of the value. `message` has the length of [`class_message_len`].
pub fn client_reconstruct_class(share: &Share, bits: u32, message: &[u8]) -> Vec<u32> {
    let server = unpack(message, share.len(), bits);
    share.iter().zip(server).map(|(own, low)| own.wrapping_add(low as u32) & low_bits(bits)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
