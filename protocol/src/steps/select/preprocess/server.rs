//! The server: rows for its random bits, then the client's corrections.

use crate::bits::packed_len;
use crate::ot::{OtError, ReceiverKeys};
use crate::plan::SelectLayout;
use crate::random::Seed;
use crate::steps::interactive::{ServerHalf, ServerNext, ServerView, StepTransfers};
use crate::steps::online_bit::ServerBitProduct;
use crate::steps::ring::random_bits;
use crate::steps::select::evaluation::Evaluation;
use crate::steps::select::online::server::SelectServer;
use crate::steps::select::planes::{self, BLOCK};
use crate::steps::select::product::Selector;
use crate::steps::select::tables::{self, CHUNK};
use crate::steps::select::tree::Triples;
use crate::wiped::Wiped;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// The server before its extension rows.
pub(in crate::steps::select) struct SelectServerStart(pub(in crate::steps::select) SelectLayout);

impl ServerHalf for SelectServerStart {
    fn advance(self: Box<Self>, _: &[u8], view: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        let (pending, rows) = SelectServerPending::start(self.0, &view.transfers, view.seed);
        Ok((rows, ServerNext::Preprocessing(Box::new(pending))))
    }
}

impl ServerHalf for SelectServerPending {
    fn advance(self: Box<Self>, received: &[u8], view: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        Ok((Vec::new(), ServerNext::Ready(Box::new(self.finish(&view.transfers, received)?))))
    }
}

/// The server between its extension rows and the client's corrections.
pub struct SelectServerPending {
    layout: SelectLayout,
    /// Random masks of the windows, packed.
    masks: Wiped<u8>,
    /// As much of the leaves' keys as there will be corrections.
    leaf_keys: Wiped<u8>,
    triples: Triples,
    selector: Selector,
    /// Choices and keys of the wrap-around product.
    wrap: Option<(Zeroizing<Vec<u64>>, ReceiverKeys)>,
}

impl SelectServerPending {
    /// Draws the random bits of the random OTs in which the server chooses, and gives their extension rows. The seed must not be used again.
    pub fn start(layout: SelectLayout, transfers: &StepTransfers, seed: &Seed) -> (Self, Vec<u8>) {
        debug_assert_eq!(layout.check(), Ok(()));
        let elements = layout.elements;
        let choices = random_bits(seed, layout.server_transfers());
        let mut rows = vec![0; layout.server_correlations_len()];
        let mut leaf_keys = Wiped::from(vec![0; layout.leaf_corrections_len()]);
        let (keys, rest) = choose_masks(&layout, (transfers, &choices), &mut rows, &mut leaf_keys);

        let bits = |first: usize, count: usize| {
            (0..count.div_ceil(BLOCK)).map(move |block| (first + block * BLOCK, planes::count(block, count)))
        };
        let leaves = bits(0, layout.leaf_transfers());
        let masks = leaves.flat_map(|(first, count)| {
            planes::read(&choices, first, count).to_le_bytes().into_iter().take(count.div_ceil(8))
        });
        // With its room from the start: a vector that grows leaves copies behind.
        let mut room = Vec::with_capacity(layout.leaf_opening_len());
        room.extend(masks);
        let masks = Wiped::from(room);
        let joined = layout.leaf_transfers() + elements * layout.joins();
        let (join_keys, rest) = keys.chosen[rest..].split_at(elements * layout.joins());
        let (selector_keys, wrap_keys) = rest.split_at(elements);
        let triples = Triples::from_chosen(&layout, &choices, layout.leaf_transfers(), join_keys);
        let selector = Selector::from_chosen(&choices, joined, selector_keys);
        let wrap = layout.has_wrap().then(|| {
            let choices =
                bits(joined + elements, elements).map(|(first, count)| planes::read(&choices, first, count)).collect();
            (Zeroizing::new(choices), ReceiverKeys { chosen: wrap_keys.to_vec() })
        });
        (Self { layout, masks, leaf_keys, triples, selector, wrap }, rows)
    }

    /// Takes the client's extension rows and corrections.
    ///
    /// # Errors
    /// [`OtError`] if the message has not the length of [`SelectLayout::client_corrections_len`].
    pub fn finish(self, transfers: &StepTransfers, corrections: &[u8]) -> Result<SelectServer, OtError> {
        let Self { layout, masks, leaf_keys, triples, selector, wrap } = self;
        OtError::check_length("message of corrections", layout.client_corrections_len(), corrections)?;
        let (rows, corrections) = corrections.split_at(layout.kind.extension_len(layout.client_transfers()));
        let (leaf_corrections, wrap_corrections) = corrections.split_at(layout.leaf_corrections_len());
        let keys = transfers.offer(0, layout.client_transfers(), rows)?;
        let triples = triples.complete(&keys, 0);
        let selector = selector.complete(&keys, layout.elements * layout.joins());

        let mut tables = Wiped::from(vec![0; layout.tables_len()]);
        let correction_chunk = CHUNK / 8 * layout.correction_bits();
        tables
            .par_chunks_mut(CHUNK / 8 * layout.table_bits())
            .zip(leaf_keys.par_chunks(correction_chunk))
            .zip(leaf_corrections.par_chunks(correction_chunk))
            .zip(masks.par_chunks(packed_len(CHUNK, layout.window())))
            .enumerate()
            .for_each(|(chunk, (((tables, keys), corrections), masks))| {
                let elements = CHUNK.min(layout.elements - chunk * CHUNK);
                tables::receive_tables(&layout, keys, masks, corrections, elements, tables);
            });
        let wrap =
            wrap.map(|(choices, keys)| ServerBitProduct::prepare(&choices, &keys, layout.ignored, wrap_corrections));
        let evaluation = Evaluation::new(layout, false, triples, selector);
        Ok(SelectServer { evaluation, tables, masks, wrap, addend: None })
    }
}

/// Extends by the server's choices: writes the rows, and the trimmed keys of the leaves. Gives the keys of the
/// transfers that follow the leaves', from the returned position on.
fn choose_masks(
    layout: &SelectLayout,
    (transfers, choices): (&StepTransfers, &[u64]),
    rows: &mut [u8],
    leaf_keys: &mut [u8],
) -> (ReceiverKeys, usize) {
    let ots = CHUNK * layout.window() as usize;
    let whole = layout.elements / CHUNK;
    let done = whole * ots;
    let (chunk_rows, rest_rows) = rows.split_at_mut(layout.kind.extension_len(done));
    let (chunk_keys, rest_keys) = leaf_keys.split_at_mut(whole * CHUNK / 8 * layout.correction_bits());
    chunk_rows
        .par_chunks_mut(layout.kind.extension_len(ots))
        .zip(choices.par_chunks(ots / 64))
        .zip(chunk_keys.par_chunks_mut(CHUNK / 8 * layout.correction_bits()))
        .enumerate()
        .for_each(|(chunk, ((rows, choices), trimmed))| {
            let (message, keys) = transfers.choose((chunk * ots) as u64, ots, choices);
            rows.copy_from_slice(&message);
            tables::trim_keys(layout, &keys.chosen, trimmed);
        });
    let (message, keys) = transfers.choose(done as u64, layout.server_transfers() - done, &choices[done / 64..]);
    rest_rows.copy_from_slice(&message);
    let rest = layout.leaf_transfers() - done;
    tables::trim_keys(layout, &keys.chosen[..rest], rest_keys);
    (keys, rest)
}
