//! The client: its extension rows, and the corrections of the leaves and of the wrap-around.

use crate::ot::{OtError, SenderKeys};
use crate::plan::SelectLayout;
use crate::random::Seed;
use crate::share::Share;
use crate::steps::interactive::{ClientHalf, ClientNext, ClientView, StepTransfers};
use crate::steps::online_bit::ClientBitProduct;
use crate::steps::ring::random_bits;
use crate::steps::select::evaluation::Evaluation;
use crate::steps::select::online::client::SelectClient;
use crate::steps::select::operand::operand;
use crate::steps::select::planes::{self, BLOCK};
use crate::steps::select::product::Selector;
use crate::steps::select::tables::{self, CHUNK};
use crate::steps::select::tree::Triples;
use crate::wiped::Wiped;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// The client before the server's extension rows.
pub(in crate::steps::select) struct SelectStart(pub(in crate::steps::select) SelectLayout);

impl ClientHalf for SelectStart {
    fn advance(self: Box<Self>, received: &[u8], view: &ClientView) -> Result<(Vec<u8>, ClientNext), OtError> {
        let (share, addend) = operand(view.inputs);
        let ClientView { next_mask, transfers, seed, .. } = view;
        let (ready, message) = prepare(self.0, &share, addend, next_mask, transfers, received, seed)?;
        Ok((message, ClientNext::Ready(Box::new(ready))))
    }
}

/// Takes the server's extension rows and gives the extension rows and corrections for the server.
///
/// `share` is `u`, `addend` the client's share of what is added to the result, `next_mask` is `r'`. The client chooses by
/// random bits from `seed`, which must not be used again.
///
/// # Errors
/// [`OtError`] if the rows have a wrong length.
pub fn prepare(
    layout: SelectLayout,
    share: &Share,
    addend: Option<&Share>,
    next_mask: &Share,
    transfers: &StepTransfers,
    rows: &[u8],
    seed: &Seed,
) -> Result<(SelectClient, Vec<u8>), OtError> {
    debug_assert_eq!(layout.check(), Ok(()));
    OtError::check_length("extension message", layout.server_correlations_len(), rows)?;
    let (elements, joined) = (layout.elements, layout.elements * layout.joins());
    let choices = random_bits(seed, layout.client_transfers());
    let (mut message, chosen) = transfers.choose(0, layout.client_transfers(), &choices);
    let triples = Triples::from_chosen(&layout, &choices, 0, &chosen.chosen[..joined]);
    let selector = Selector::from_chosen(&choices, joined, &chosen.chosen[joined..]);

    let own_rows = message.len();
    message.resize(own_rows + layout.leaf_corrections_len(), 0);
    let mut tables = Wiped::from(vec![0; layout.tables_len()]);
    let (keys, first) = share_tables(&layout, share, (transfers, rows), &mut message[own_rows..], &mut tables)?;

    let selector = selector.complete(&keys, first + joined);
    let wrap = layout.has_wrap().then(|| {
        let wrapped = first + joined + elements;
        let keys = SenderKeys { zero: keys.zero[wrapped..].to_vec(), one: keys.one[wrapped..].to_vec() };
        let positive = Share(share.iter().map(|own| 1 - (own >> 31)).collect());
        ClientBitProduct::prepare(positive, &keys, layout.ignored, &mut message)
    });
    let triples = triples.complete(&keys, first);
    let tops = (0..elements.div_ceil(BLOCK))
        .map(|block| planes::gather(&share[planes::range(0, block, elements)], layout.bits - 1));
    let addend = next_mask.iter().enumerate().map(|(index, mask)| {
        let addend = addend.and_then(|addend| addend.get(index)).copied().unwrap_or_default();
        addend.wrapping_sub(*mask)
    });
    let client = SelectClient {
        tables,
        tops: Zeroizing::new(tops.collect()),
        values: Share(share.iter().map(|own| own >> layout.dropped()).collect()),
        wrap,
        addend: Share(addend.collect()),
        evaluation: Evaluation::new(layout, true, triples, selector),
    };
    Ok((client, message))
}

/// The leaves' half of [`prepare`]: writes corrections and shares of the tables. Gives the keys of the
/// transfers that follow the leaves', from the returned position on.
fn share_tables(
    layout: &SelectLayout,
    share: &[u32],
    (transfers, rows): (&StepTransfers, &[u8]),
    corrections: &mut [u8],
    tables: &mut [u8],
) -> Result<(SenderKeys, usize), OtError> {
    let ots = CHUNK * layout.window() as usize;
    let whole = layout.elements / CHUNK;
    let (chunk_rows, rest_rows) = rows.split_at(layout.kind.extension_len(whole * ots));
    let (chunk_corrections, rest_corrections) = corrections.split_at_mut(whole * CHUNK / 8 * layout.correction_bits());
    let (chunk_tables, rest_tables) = tables.split_at_mut(whole * CHUNK / 8 * layout.table_bits());
    chunk_rows
        .par_chunks(layout.kind.extension_len(ots))
        .zip(share.par_chunks(CHUNK))
        .zip(chunk_corrections.par_chunks_mut(CHUNK / 8 * layout.correction_bits()))
        .zip(chunk_tables.par_chunks_mut(CHUNK / 8 * layout.table_bits()))
        .enumerate()
        .try_for_each(|(chunk, (((rows, share), corrections), tables))| {
            let keys = transfers.offer((chunk * ots) as u64, ots, rows)?;
            tables::send_tables(layout, share, (&keys.zero, &keys.one), corrections, tables);
            Ok::<(), OtError>(())
        })?;
    let done = whole * ots;
    let keys = transfers.offer(done as u64, layout.server_transfers() - done, rest_rows)?;
    let rest = layout.leaf_transfers() - done;
    let leaf_keys = (&keys.zero[..rest], &keys.one[..rest]);
    tables::send_tables(layout, &share[whole * CHUNK..], leaf_keys, rest_corrections, rest_tables);
    Ok((keys, rest))
}
