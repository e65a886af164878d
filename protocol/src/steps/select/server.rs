//! The server's half.

use super::evaluation::Evaluation;
use super::planes::{self, BLOCK};
use super::product::Selector;
use super::tables::{self, CHUNK, SERIAL};
use super::tree::{Node, Triples};
use crate::bits::{BitReader, BitWriter, packed_len};
use crate::ot::{ExtensionReceiver, ExtensionSender, OtError, ReceiverKeys};
use crate::plan::{SelectLayout, Selection};
use crate::random::Seed;
use crate::share::Share;
use crate::steps::online_bit::ServerBitProduct;
use crate::steps::ring::{low_bits, random_bits, shift_left};
use crate::wiped::Wiped;
use rayon::prelude::*;
use zeroize::Zeroizing;

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
    /// Draws the random bits of the transfers in which the server chooses, from number `first_server_transfer` on, and
    /// gives their extension rows. The seed must not be used again.
    pub fn start(
        layout: SelectLayout,
        receiver: &ExtensionReceiver,
        first_server_transfer: u64,
        seed: &Seed,
    ) -> (Self, Vec<u8>) {
        debug_assert_eq!(layout.check(), Ok(()));
        let elements = layout.elements;
        let choices = random_bits(seed, layout.server_transfers());
        let mut rows = vec![0; layout.server_correlations_len()];
        let mut leaf_keys = Wiped::from(vec![0; layout.leaf_corrections_len()]);
        let transfers = (receiver, first_server_transfer, choices.as_slice());
        let (keys, rest) = choose_masks(&layout, transfers, &mut rows, &mut leaf_keys);

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

    /// Takes the client's extension rows and corrections. The client chooses in the transfers from
    /// `first_client_transfer` on.
    ///
    /// # Errors
    /// [`OtError`] if the message has not the length of [`SelectLayout::client_corrections_len`].
    pub fn finish(
        self,
        sender: &ExtensionSender,
        first_client_transfer: u64,
        corrections: &[u8],
    ) -> Result<SelectServer, OtError> {
        let Self { layout, masks, leaf_keys, triples, selector, wrap } = self;
        OtError::check_length("message of corrections", layout.client_corrections_len(), corrections)?;
        let (rows, corrections) = corrections.split_at(layout.kind.extension_len(layout.client_transfers()));
        let (leaf_corrections, wrap_corrections) = corrections.split_at(layout.leaf_corrections_len());
        let keys = sender.extend(first_client_transfer, layout.client_transfers(), rows)?;
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
    (receiver, first_transfer, choices): (&ExtensionReceiver, u64, &[u64]),
    rows: &mut [u8],
    leaf_keys: &mut [u8],
) -> (ReceiverKeys, usize) {
    let transfers = CHUNK * layout.window() as usize;
    let whole = layout.elements / CHUNK;
    let done = whole * transfers;
    let (chunk_rows, rest_rows) = rows.split_at_mut(layout.kind.extension_len(done));
    let (chunk_keys, rest_keys) = leaf_keys.split_at_mut(whole * CHUNK / 8 * layout.correction_bits());
    chunk_rows
        .par_chunks_mut(layout.kind.extension_len(transfers))
        .zip(choices.par_chunks(transfers / 64))
        .zip(chunk_keys.par_chunks_mut(CHUNK / 8 * layout.correction_bits()))
        .enumerate()
        .for_each(|(chunk, ((rows, choices), trimmed))| {
            let (message, keys) = receiver.extend(first_transfer + (chunk * transfers) as u64, transfers, choices);
            rows.copy_from_slice(&message);
            tables::trim_keys(layout, &keys.chosen, trimmed);
        });
    let (message, keys) =
        receiver.extend(first_transfer + done as u64, layout.server_transfers() - done, &choices[done / 64..]);
    rest_rows.copy_from_slice(&message);
    let rest = layout.leaf_transfers() - done;
    tables::trim_keys(layout, &keys.chosen[..rest], rest_keys);
    (keys, rest)
}

/// The server after preprocessing.
pub struct SelectServer {
    evaluation: Evaluation,
    tables: Wiped<u8>,
    masks: Wiped<u8>,
    wrap: Option<ServerBitProduct>,
    addend: Option<Share>,
}

/// What the server has after an answer of the client.
pub enum SelectProgress {
    /// Its message of the next round.
    Opening(Vec<u8>),
    /// Its share of the result; the client's is the next mask.
    Value(Share),
}

impl SelectServer {
    /// The message of round 0, from `share` (`v`) and the server's share of what is added to the result.
    pub fn open(&mut self, share: &Share, addend: Option<&Share>) -> Vec<u8> {
        let layout = &self.evaluation.layout;
        let elements = layout.elements;
        self.addend = addend.cloned();
        let offset = low_bits(layout.ignored);
        let shifted = Share(share.iter().map(|own| own.wrapping_add(offset)).collect());
        let mut message = Vec::with_capacity(layout.server_opening_len(0));
        let nodes = self.open_windows(&shifted, &mut message);
        let tops = (0..elements.div_ceil(BLOCK)).map(|block| {
            let own = &shifted[planes::range(0, block, elements)];
            planes::gather(own, layout.bits - 1) ^ u64::MAX >> (BLOCK - own.len())
        });
        let tops = Zeroizing::new(tops.collect());
        let mut values = match layout.selection {
            Selection::Truncated => shifted.clone(),
            Selection::Whole => share.clone(),
        };
        if let Some(wrap) = &self.wrap {
            let turn = shift_left(1, 32 - layout.ignored);
            for (block, values) in values.chunks_mut(BLOCK).enumerate() {
                let mut flips = 0;
                for (index, value) in values.iter_mut().enumerate() {
                    let (flip, wrapped) = wrap.open(block * BLOCK + index, 1 - (*value >> 31));
                    *value = (*value >> layout.ignored)
                        .wrapping_sub(turn)
                        .wrapping_add(shift_left(wrapped, 32 - layout.ignored));
                    flips |= u64::from(flip) << index;
                }
                planes::write(flips, values.len(), &mut message);
            }
        }
        self.evaluation.begin(nodes, tops, values);
        self.evaluation.open(1, &mut message);
        message
    }

    /// Appends the masked windows, and looks them up.
    fn open_windows(&self, shifted: &[u32], message: &mut Vec<u8>) -> Zeroizing<Vec<Node>> {
        let layout = &self.evaluation.layout;
        let (digits, window) = (layout.digits.len(), layout.window());
        let mut nodes = Zeroizing::new(vec![Node::default(); digits * layout.elements.div_ceil(BLOCK)]);
        message.resize(layout.leaf_opening_len(), 0);
        let look_up = |nodes: &mut [Node], tables: &[u8], masks: &[u8], message: &mut [u8], shifted: &[u32]| {
            let (mut masks, mut opened) = (BitReader::new(masks), BitWriter::new(message));
            let masked = shifted.iter().map(|own| {
                let bits = own >> layout.ignored & low_bits(window);
                let masked = u64::from(bits) ^ masks.read(window);
                opened.write(masked, window);
                masked
            });
            tables::look_up(layout, tables, masked, nodes);
            opened.finish();
        };
        if layout.elements <= SERIAL {
            look_up(&mut nodes, &self.tables, &self.masks, message, shifted);
        } else {
            let chunk = packed_len(CHUNK, window);
            nodes
                .par_chunks_mut(digits * CHUNK / BLOCK)
                .zip(self.tables.par_chunks(CHUNK / 8 * layout.table_bits()))
                .zip(self.masks.par_chunks(chunk).zip(message.par_chunks_mut(chunk)))
                .zip(shifted.par_chunks(CHUNK))
                .for_each(|(((nodes, tables), (masks, message)), shifted)| {
                    look_up(nodes, tables, masks, message, shifted);
                });
        }
        nodes
    }

    /// Takes the client's online message of `round`, which has the length of [`SelectLayout::client_opening_len`].
    pub fn answer(&mut self, round: u32, message: &[u8]) -> SelectProgress {
        let mut theirs = message;
        let mut out = Vec::with_capacity(self.evaluation.layout.server_opening_len(round.saturating_add(1)));
        self.evaluation.answer(round.saturating_mul(2).saturating_add(1), &mut theirs, &mut out);
        if round < self.evaluation.layout.rounds() - 1 {
            return SelectProgress::Opening(out);
        }
        let mut value = std::mem::take(&mut self.evaluation.selected);
        for (value, theirs) in value.iter_mut().zip(theirs.as_chunks::<4>().0) {
            *value = value.wrapping_add(u32::from_le_bytes(*theirs));
        }
        if let Some(addend) = self.addend.take() {
            value.iter_mut().zip(addend.iter()).for_each(|(value, addend)| *value = value.wrapping_add(*addend));
        }
        SelectProgress::Value(value)
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.evaluation.memory_bytes()
            + self.tables.len()
            + self.masks.len()
            + self.wrap.as_ref().map_or(0, ServerBitProduct::memory_bytes)
            + 4 * self.addend.as_ref().map_or(0, |addend| addend.len())
    }
}
