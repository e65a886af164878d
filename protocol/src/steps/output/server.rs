//! The server: packs what it reveals.

use crate::bits::{pack, packed_len};
use crate::share::Share;

/// Server: the top `32 - drop` bits of each element of its share.
pub(super) fn server_reveal(share: &Share, drop: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(packed_len(share.len(), 32 - drop));
    pack(share.iter().map(|element| u64::from(element >> drop)), 32 - drop, &mut message);
    message
}

/// Server: the low `bits` bits of its share of the value that holds the class there.
pub(super) fn server_reveal_class(share: &Share, bits: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(packed_len(1, bits));
    pack(share.iter().map(|element| u64::from(*element)), bits, &mut message);
    message
}
