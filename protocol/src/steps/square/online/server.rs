//! The server: one opening.

use crate::bits::pack;
use crate::share::Share;
use crate::steps::one_round::OpenOnce;
use crate::steps::online_bit::ServerBitProduct;
use crate::steps::ring::{OFFSET, dropping_offset, low_bits, shift_left};
use crate::steps::square::layout::SquareLayout;

/// The server after preprocessing.
pub struct SquareServer {
    pub(in crate::steps::square) layout: SquareLayout,
    pub(in crate::steps::square) blinds: Share,
    pub(in crate::steps::square) products: Share,
    pub(in crate::steps::square) wrap: ServerBitProduct,
    pub(in crate::steps::square) wrap_keys: [Share; 2],
}

impl SquareServer {
    /// Opens the blinded values for `share` (`v`, without the offset). Gives the message and `z_s`.
    pub fn open(self, share: &Share) -> (Vec<u8>, Share) {
        let SquareLayout { elements, drop, .. } = self.layout;
        let constant = shift_left(1, 32 - drop).wrapping_add(OFFSET >> drop);
        let mut opening = Vec::with_capacity(self.layout.opening_len());
        let mut corrections = Vec::with_capacity(elements);
        let mut results = Share::zeros(elements);
        for (index, element) in share.iter().enumerate() {
            let shifted = element.wrapping_add(dropping_offset(drop));
            let q = (shifted >> drop).wrapping_sub(constant);
            let positive = 1 - (shifted >> 31);
            let (flip, wrapped) = self.wrap.open(index, positive);
            let difference = q.wrapping_sub(self.blinds[index]) & low_bits(31);
            opening.extend_from_slice(&(difference | flip << 31).to_le_bytes());
            let (zero, one) = (self.wrap_keys[0][index], self.wrap_keys[1][index]);
            let value = q & positive.wrapping_neg();
            corrections.push(u64::from(value.wrapping_sub(zero.wrapping_sub(one))));
            let wrapped = shift_left(wrapped.wrapping_sub(one), 33 - drop);
            results[index] = q.wrapping_mul(q).wrapping_add(self.products[index]).wrapping_add(wrapped);
        }
        pack(corrections, self.layout.wrap_width(), &mut opening);
        (opening, results)
    }
}

impl OpenOnce for SquareServer {
    fn open(self, inputs: &[&Share]) -> (Vec<u8>, Share) {
        Self::open(self, inputs[0])
    }

    fn memory_bytes(&self) -> usize {
        16 * self.layout.elements + self.wrap.memory_bytes()
    }
}
