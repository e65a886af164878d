//! The client: one answer.

use crate::bits::unpack;
use crate::share::Share;
use crate::steps::interactive::ClientOnline;
use crate::steps::online_bit::ClientBitProduct;
use crate::steps::ring::shift_left;
use crate::steps::square::layout::SquareLayout;

/// The client after preprocessing.
pub struct SquareClient {
    pub(in crate::steps::square) layout: SquareLayout,
    /// `p`.
    pub(in crate::steps::square) quotients: Share,
    /// `p^2`, plus its share of `2 p alpha`, less the next mask.
    pub(in crate::steps::square) constant: Share,
    /// `(p + T/2) bc` times the server's bit.
    pub(in crate::steps::square) wrap: ClientBitProduct,
    /// Keys of the random OT whose choice is `1 - bc`, for `bc` times the server's `q bs`.
    pub(in crate::steps::square) wrap_keys: Share,
}

impl SquareClient {
    /// Answers the server's online message, which has the length of [`SquareLayout::opening_len`].
    pub fn answer(&self, opening: &[u8]) -> Vec<u8> {
        let SquareLayout { elements, drop, .. } = self.layout;
        let (words, corrections) = opening.split_at(4 * elements);
        let corrections = unpack(corrections, elements, self.layout.wrap_width());
        let mut result = Vec::with_capacity(self.layout.result_len());
        for (index, (word, correction)) in words.as_chunks::<4>().0.iter().zip(corrections).enumerate() {
            let word = u32::from_le_bytes(*word);
            let p = self.quotients[index];
            let positive = (p >> (31 - drop) & 1).wrapping_sub(1);
            // Bit 31 of the word is the flip; doubling shifts it out of the difference below it.
            let cross = p.wrapping_mul(word << 1);
            let wrapped = self
                .wrap
                .share(index, word >> 31)
                .wrapping_add(self.wrap_keys[index])
                .wrapping_add(correction as u32 & positive);
            let sum = self.constant[index].wrapping_add(cross).wrapping_add(shift_left(wrapped, 33 - drop));
            result.extend_from_slice(&sum.to_le_bytes());
        }
        result
    }
}

impl ClientOnline for SquareClient {
    fn answer(&mut self, _: u32, opening: &[u8]) -> Vec<u8> {
        Self::answer(self, opening)
    }
}
