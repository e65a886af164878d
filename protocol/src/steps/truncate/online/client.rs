//! The client: one answer.

use crate::share::Share;
use crate::steps::interactive::ClientOnline;
use crate::steps::online_bit::ClientBitProduct;
use crate::steps::ring::{append, shift_left};
use crate::steps::truncate::layout::TruncateLayout;

/// The client after preprocessing.
pub struct TruncateClient {
    pub(in crate::steps::truncate) layout: TruncateLayout,
    /// Its share of the result but for the wrap-around term, less the next mask.
    pub(in crate::steps::truncate) constant: Share,
    pub(in crate::steps::truncate) wrap: ClientBitProduct,
}

impl TruncateClient {
    /// Answers the server's online message, which has the length of [`TruncateLayout::opening_len`].
    pub fn answer(&self, opening: &[u8]) -> Vec<u8> {
        let mut result = Vec::with_capacity(self.layout.result_len());
        let elements = self.constant.iter().enumerate().map(|(index, constant)| {
            let flip = u32::from(opening[index / 8] >> (index % 8)) & 1;
            let wrapped = shift_left(self.wrap.share(index, flip), 32 - self.layout.drop);
            constant.wrapping_add(wrapped)
        });
        append(elements, &mut result);
        result
    }
}

impl ClientOnline for TruncateClient {
    fn answer(&mut self, _: u32, opening: &[u8]) -> Vec<u8> {
        Self::answer(self, opening)
    }
}
