//! Where the inner loops find the elements that meet the terms of a sum.
#![allow(unsafe_code, reason = "slices whose bounds are checked once for all terms")]

/// The elements that meet the terms of a sum: for each term an equally long piece of the low and of the high halves.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    low: &'a [u32],
    high: &'a [u32],
    /// Where each piece begins; none is followed by less than `length` elements.
    offsets: &'a [usize],
    length: usize,
}

impl<'a> Pieces<'a> {
    /// Panics if the pieces are not inside of the halves.
    pub(super) fn new(low: &'a [u32], high: &'a [u32], offsets: &'a [usize], length: usize) -> Self {
        let available = low.len().min(high.len());
        assert!(offsets.iter().all(|offset| offset.checked_add(length).is_some_and(|end| end <= available)), "pieces");
        Self { low, high, offsets, length }
    }

    /// `length` elements of each piece, those from `position` on. Panics if the pieces are shorter.
    #[inline(always)]
    pub(super) fn at(self, position: usize, length: usize) -> impl Iterator<Item = [&'a [u32]; 2]> {
        assert!(position.checked_add(length).is_some_and(|end| end <= self.length), "elements of a piece");
        self.offsets.iter().map(move |offset| {
            // SAFETY: `offset + self.length` is at most the length of both, and `position + length` at most `self.length`.
            unsafe {
                let range = offset.unchecked_add(position)..offset.unchecked_add(position).unchecked_add(length);
                [self.low.get_unchecked(range.clone()), self.high.get_unchecked(range)]
            }
        })
    }
}
