//! The client: adds its own share.

use crate::bits::unpack;
use crate::share::Share;
use crate::steps::ring::low_bits;

/// Client: the logits on the ring. `message` has 32 - `drop` bits per element.
pub(super) fn client_reconstruct(share: &Share, drop: u32, message: &[u8]) -> Vec<u32> {
    let middle = if drop == 0 { 0 } else { 1 << (drop - 1) };
    let server = unpack(message, share.len(), 32 - drop);
    share.iter().zip(server).map(|(own, top)| own.wrapping_add((top as u32) << drop).wrapping_add(middle)).collect()
}

/// Client: the low `bits` bits of the value. `message` has `bits` bits.
pub(super) fn client_reconstruct_class(share: &Share, bits: u32, message: &[u8]) -> Vec<u32> {
    let server = unpack(message, share.len(), bits);
    share.iter().zip(server).map(|(own, low)| own.wrapping_add(low as u32) & low_bits(bits)).collect()
}
