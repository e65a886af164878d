//! The client: rows for the bits of its share, then corrections.

use crate::bits::{packed_len, unpack};
use crate::ot::{OtError, ReceiverKeys};
use crate::plan::padded;
use crate::share::Share;
use crate::steps::interactive::{ClientHalf, ClientNext, ClientView, StepTransfers};
use crate::steps::online_bit::ClientBitProduct;
use crate::steps::ring::{low_bits, shift_left};
use crate::steps::square::layout::SquareLayout;
use crate::steps::square::online::client::SquareClient;
use zeroize::Zeroizing;

/// The client before its extension rows.
pub(in crate::steps::square) struct SquareStart(pub(in crate::steps::square) SquareLayout);

impl ClientHalf for SquareStart {
    fn advance(self: Box<Self>, _: &[u8], view: &ClientView) -> Result<(Vec<u8>, ClientNext), OtError> {
        let (pending, rows) = SquareClientPending::start(self.0, view.inputs[0], &view.transfers);
        Ok((rows, ClientNext::Preprocessing(Box::new(pending))))
    }
}

impl ClientHalf for SquareClientPending {
    fn advance(self: Box<Self>, received: &[u8], view: &ClientView) -> Result<(Vec<u8>, ClientNext), OtError> {
        let (ready, corrections) = self.finish(view.next_mask, &view.transfers, received)?;
        Ok((corrections, ClientNext::Ready(Box::new(ready))))
    }
}

/// The client between its extension rows and the server's corrections.
pub struct SquareClientPending {
    layout: SquareLayout,
    /// `p`.
    quotients: Share,
    keys: ReceiverKeys,
}

impl SquareClientPending {
    /// Gives the extension rows for the bits of `p`. `share` is `u`.
    pub fn start(layout: SquareLayout, share: &Share, transfers: &StepTransfers) -> (Self, Vec<u8>) {
        let quotients = Share(share.iter().map(|own| own >> layout.drop).collect());
        let count = layout.client_transfers();
        let mut choices = Zeroizing::new(vec![0u64; padded(count) / 64]);
        for plane in 0..layout.planes() {
            let start = plane as usize * layout.elements;
            for (index, quotient) in quotients.iter().enumerate() {
                let position = start + index;
                choices[position / 64] |= u64::from(quotient >> plane & 1) << (position % 64);
            }
        }
        let (rows, keys) = transfers.choose(0, count, &choices);
        (Self { layout, quotients, keys }, rows)
    }

    /// Takes the server's message, which has the length of [`SquareLayout::server_correlations_len`], and gives the
    /// corrections. `next_mask` is `r'`.
    ///
    /// # Errors
    /// [`OtError`] if the extension rows are refused.
    pub fn finish(
        self,
        next_mask: &Share,
        transfers: &StepTransfers,
        message: &[u8],
    ) -> Result<(SquareClient, Vec<u8>), OtError> {
        let Self { layout, quotients, keys } = self;
        let SquareLayout { elements, drop, .. } = layout;
        let (rows, mut corrections) = message.split_at(layout.kind.extension_len(elements));
        let server_keys = transfers.offer(0, elements, rows)?;

        let mut constant: Vec<u32> =
            quotients.iter().zip(next_mask.iter()).map(|(p, mask)| p.wrapping_mul(*p).wrapping_sub(*mask)).collect();
        for (plane, keys) in (0..).zip(keys.chosen.chunks_exact(elements)) {
            let width = SquareLayout::plane_width(plane);
            let (own, rest) = corrections.split_at(packed_len(elements, width));
            corrections = rest;
            let terms = quotients.iter().zip(keys).zip(unpack(own, elements, width));
            for (sum, ((p, key), correction)) in constant.iter_mut().zip(terms) {
                let chosen = (p >> plane & 1).wrapping_neg();
                let share = (*key as u32).wrapping_add(correction as u32 & chosen);
                *sum = sum.wrapping_add(shift_left(share, plane + 1));
            }
        }

        let half = shift_left(1, 31 - drop);
        let positive = |p: &u32| (p >> (31 - drop) & 1).wrapping_sub(1);
        let values = quotients.iter().map(|p| p.wrapping_add(half) & positive(p) & low_bits(layout.wrap_width()));
        let mut own_corrections = Vec::with_capacity(layout.client_corrections_len());
        let wrap =
            ClientBitProduct::prepare(Share(values.collect()), &server_keys, layout.wrap_width(), &mut own_corrections);
        let top_plane = (layout.planes() as usize - 1) * elements;
        let wrap_keys = keys.chosen[top_plane..].iter().map(|key| (key >> layout.wrap_key_shift()) as u32).collect();
        let client = SquareClient { layout, quotients, constant: Share(constant), wrap, wrap_keys: Share(wrap_keys) };
        Ok((client, own_corrections))
    }
}
