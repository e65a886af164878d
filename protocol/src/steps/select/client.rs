//! The client's half.

use super::evaluation::Evaluation;
use super::planes::{self, BLOCK};
use super::product::Selector;
use super::tables::{self, CHUNK, SERIAL};
use super::tree::{Node, Triples};
use crate::bits::{packed_len, unpack};
use crate::ot::{ExtensionReceiver, ExtensionSender, OtError, SenderKeys};
use crate::plan::SelectLayout;
use crate::random::Seed;
use crate::share::Share;
use crate::steps::online_bit::ClientBitProduct;
use crate::steps::ring::{append, random_bits, shift_left};
use crate::wiped::Wiped;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// The client after preprocessing.
pub struct SelectClient {
    evaluation: Evaluation,
    tables: Wiped<u8>,
    /// The top compared bits of its share, in blocks.
    tops: Zeroizing<Vec<u64>>,
    /// Its share of the value but for the wrap-around term.
    values: Share,
    wrap: Option<ClientBitProduct>,
    /// What it adds to its share of the result: the addend less the next mask.
    addend: Share,
}

impl SelectClient {
    /// Takes the server's extension rows and gives the extension rows and corrections for the server.
    ///
    /// `share` is `u`, `addend` the client's share of what is added to the result, `next_mask` is `r'`. The server
    /// chooses in the transfers from `first_server_transfer` on, of which the client has the `sender`; it chooses
    /// itself, by random bits from `seed`, in those from `first_client_transfer` on. The seed must not be used again.
    ///
    /// # Errors
    /// [`OtError`] if the rows have a wrong length.
    #[expect(clippy::too_many_arguments, reason = "two directions of transfers, and the shares of the step's ends")]
    pub fn prepare(
        layout: SelectLayout,
        share: &Share,
        addend: Option<&Share>,
        next_mask: &Share,
        receiver: &ExtensionReceiver,
        first_client_transfer: u64,
        sender: &ExtensionSender,
        first_server_transfer: u64,
        rows: &[u8],
        seed: &Seed,
    ) -> Result<(Self, Vec<u8>), OtError> {
        debug_assert_eq!(layout.check(), Ok(()));
        OtError::check_length("extension message", layout.server_correlations_len(), rows)?;
        let (elements, joined) = (layout.elements, layout.elements * layout.joins());
        let choices = random_bits(seed, layout.client_transfers());
        let (mut message, chosen) = receiver.extend(first_client_transfer, layout.client_transfers(), &choices);
        let triples = Triples::from_chosen(&layout, &choices, 0, &chosen.chosen[..joined]);
        let selector = Selector::from_chosen(&choices, joined, &chosen.chosen[joined..]);

        let own_rows = message.len();
        message.resize(own_rows + layout.leaf_corrections_len(), 0);
        let mut tables = Wiped::from(vec![0; layout.tables_len()]);
        let transfers = (sender, first_server_transfer, rows);
        let (keys, first) = share_tables(&layout, share, transfers, &mut message[own_rows..], &mut tables)?;

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
        let client = Self {
            tables,
            tops: Zeroizing::new(tops.collect()),
            values: Share(share.iter().map(|own| own >> layout.dropped()).collect()),
            wrap,
            addend: Share(addend.collect()),
            evaluation: Evaluation::new(layout, true, triples, selector),
        };
        Ok((client, message))
    }

    /// Answers the server's online message of `round`, which has the length of [`SelectLayout::server_opening_len`].
    /// The last answer holds the client's share of the result less the next mask.
    pub fn answer(&mut self, round: u32, opening: &[u8]) -> Vec<u8> {
        let mut theirs = opening;
        let mut out = Vec::with_capacity(self.evaluation.layout.client_opening_len(round));
        if round == 0 {
            self.begin(&mut theirs);
        }
        self.evaluation.answer(round.saturating_mul(2), &mut theirs, &mut out);
        if round == self.evaluation.layout.rounds() - 1 {
            let selected = self.evaluation.selected.iter().zip(self.addend.iter());
            append(selected.map(|(selected, addend)| selected.wrapping_add(*addend)), &mut out);
        }
        out
    }

    /// Looks the server's masked windows up, and adds the wrap-around term to the values.
    fn begin(&mut self, theirs: &mut &[u8]) {
        let layout = &self.evaluation.layout;
        let (elements, digits, window) = (layout.elements, layout.digits.len(), layout.window());
        let masked = planes::take_bytes(theirs, layout.leaf_opening_len());
        let mut nodes = Zeroizing::new(vec![Node::default(); digits * elements.div_ceil(BLOCK)]);
        if elements <= SERIAL {
            tables::look_up(layout, &self.tables, unpack(masked, elements, window), &mut nodes);
        } else {
            nodes
                .par_chunks_mut(digits * CHUNK / BLOCK)
                .zip(self.tables.par_chunks(CHUNK / 8 * layout.table_bits()))
                .zip(masked.par_chunks(packed_len(CHUNK, window)))
                .enumerate()
                .for_each(|(chunk, ((nodes, tables), masked))| {
                    let count = CHUNK.min(elements - chunk * CHUNK);
                    tables::look_up(layout, tables, unpack(masked, count, window), nodes);
                });
        }
        let mut values = std::mem::take(&mut self.values);
        if let Some(wrap) = &self.wrap {
            let mut flips = planes::take_bytes(theirs, packed_len(elements, 1));
            for (block, values) in values.chunks_mut(BLOCK).enumerate() {
                let flips = planes::take(&mut flips, values.len());
                for (index, value) in values.iter_mut().enumerate() {
                    let wrapped = wrap.share(block * BLOCK + index, (flips >> index) as u32 & 1);
                    *value = value.wrapping_add(shift_left(wrapped, 32 - layout.ignored));
                }
            }
        }
        self.evaluation.begin(nodes, std::mem::take(&mut self.tops), values);
    }
}

/// The leaves' half of [`SelectClient::prepare`]: writes corrections and shares of the tables. Gives the keys of the
/// transfers that follow the leaves', from the returned position on.
fn share_tables(
    layout: &SelectLayout,
    share: &[u32],
    (sender, first_transfer, rows): (&ExtensionSender, u64, &[u8]),
    corrections: &mut [u8],
    tables: &mut [u8],
) -> Result<(SenderKeys, usize), OtError> {
    let transfers = CHUNK * layout.window() as usize;
    let whole = layout.elements / CHUNK;
    let (chunk_rows, rest_rows) = rows.split_at(layout.kind.extension_len(whole * transfers));
    let (chunk_corrections, rest_corrections) = corrections.split_at_mut(whole * CHUNK / 8 * layout.correction_bits());
    let (chunk_tables, rest_tables) = tables.split_at_mut(whole * CHUNK / 8 * layout.table_bits());
    chunk_rows
        .par_chunks(layout.kind.extension_len(transfers))
        .zip(share.par_chunks(CHUNK))
        .zip(chunk_corrections.par_chunks_mut(CHUNK / 8 * layout.correction_bits()))
        .zip(chunk_tables.par_chunks_mut(CHUNK / 8 * layout.table_bits()))
        .enumerate()
        .try_for_each(|(chunk, (((rows, share), corrections), tables))| {
            let keys = sender.extend(first_transfer + (chunk * transfers) as u64, transfers, rows)?;
            tables::send_tables(layout, share, (&keys.zero, &keys.one), corrections, tables);
            Ok::<(), OtError>(())
        })?;
    let done = whole * transfers;
    let keys = sender.extend(first_transfer + done as u64, layout.server_transfers() - done, rest_rows)?;
    let rest = layout.leaf_transfers() - done;
    let leaf_keys = (&keys.zero[..rest], &keys.one[..rest]);
    tables::send_tables(layout, &share[whole * CHUNK..], leaf_keys, rest_corrections, rest_tables);
    Ok((keys, rest))
}
