//! The server: one opening.

use crate::share::Share;
use crate::steps::one_round::OpenOnce;
use crate::steps::online_bit::ServerBitProduct;
use crate::steps::ring::{OFFSET, dropping_offset, shift_left};
use crate::steps::truncate::layout::TruncateLayout;

/// The server after preprocessing.
pub struct TruncateServer {
    pub(in crate::steps::truncate) layout: TruncateLayout,
    pub(in crate::steps::truncate) wrap: ServerBitProduct,
}

impl TruncateServer {
    /// Opens the wrap-around bits of `share` (`v`, without the offset). Gives the message and `z_s`.
    pub fn open(self, share: &Share) -> (Vec<u8>, Share) {
        let drop = self.layout.drop;
        let constant = shift_left(1, 32 - drop).wrapping_add(OFFSET >> drop);
        let mut flips = vec![0u64; self.layout.elements.div_ceil(64)];
        let results = share.iter().enumerate().map(|(index, element)| {
            let shifted = element.wrapping_add(dropping_offset(drop));
            let (flip, wrapped) = self.wrap.open(index, 1 - (shifted >> 31));
            flips[index / 64] |= u64::from(flip) << (index % 64);
            (shifted >> drop).wrapping_sub(constant).wrapping_add(shift_left(wrapped, 32 - drop))
        });
        let results = Share(results.collect());
        let mut opening = Vec::with_capacity(self.layout.opening_len());
        opening.extend(flips.iter().flat_map(|word| word.to_le_bytes()).take(self.layout.opening_len()));
        (opening, results)
    }
}

impl OpenOnce for TruncateServer {
    fn open(self, inputs: &[&Share]) -> (Vec<u8>, Share) {
        Self::open(self, inputs[0])
    }

    fn memory_bytes(&self) -> usize {
        self.wrap.memory_bytes()
    }
}
