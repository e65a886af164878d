//! The client: corrections for the server's random bits.

use crate::ot::OtError;
use crate::share::Share;
use crate::steps::interactive::{ClientHalf, ClientNext, ClientView, StepTransfers};
use crate::steps::online_bit::ClientBitProduct;
use crate::steps::truncate::layout::TruncateLayout;
use crate::steps::truncate::online::client::TruncateClient;

/// The client before the server's extension rows.
pub(in crate::steps::truncate) struct TruncateStart(pub(in crate::steps::truncate) TruncateLayout);

impl ClientHalf for TruncateStart {
    fn advance(self: Box<Self>, received: &[u8], view: &ClientView) -> Result<(Vec<u8>, ClientNext), OtError> {
        let (ready, corrections) = prepare(self.0, view.inputs[0], view.next_mask, &view.transfers, received)?;
        Ok((corrections, ClientNext::Ready(Box::new(ready))))
    }
}

/// Takes the server's extension rows and gives the corrections. `share` is `u`, `next_mask` is `r'`.
///
/// # Errors
/// [`OtError`] if the rows have a wrong length.
pub fn prepare(
    layout: TruncateLayout,
    share: &Share,
    next_mask: &Share,
    transfers: &StepTransfers,
    rows: &[u8],
) -> Result<(TruncateClient, Vec<u8>), OtError> {
    let keys = transfers.offer(0, layout.elements, rows)?;
    let mut corrections = Vec::with_capacity(layout.client_corrections_len());
    let positive = Share(share.iter().map(|own| 1 - (own >> 31)).collect());
    let wrap = ClientBitProduct::prepare(positive, &keys, layout.drop, &mut corrections);
    let constant = share.iter().zip(next_mask.iter()).map(|(own, mask)| (own >> layout.drop).wrapping_sub(*mask));
    Ok((TruncateClient { layout, constant: Share(constant.collect()), wrap }, corrections))
}
