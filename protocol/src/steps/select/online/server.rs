//! The server: opens the masked windows, then answers round by round.

use crate::bits::{BitReader, BitWriter, packed_len};
use crate::plan::Selection;
use crate::share::Share;
use crate::steps::interactive::{ServerOnline, ServerProgress};
use crate::steps::online_bit::ServerBitProduct;
use crate::steps::ring::{low_bits, shift_left};
use crate::steps::select::evaluation::Evaluation;
use crate::steps::select::operand::operand;
use crate::steps::select::planes::{self, BLOCK};
use crate::steps::select::tables::{self, CHUNK, MAX_SERIAL};
use crate::steps::select::tree::Node;
use crate::wiped::Wiped;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// The server after preprocessing.
pub struct SelectServer {
    pub(in crate::steps::select) evaluation: Evaluation,
    pub(in crate::steps::select) tables: Wiped<u8>,
    pub(in crate::steps::select) masks: Wiped<u8>,
    pub(in crate::steps::select) wrap: Option<ServerBitProduct>,
    pub(in crate::steps::select) addend: Option<Share>,
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
        if layout.elements <= MAX_SERIAL {
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
    pub fn answer(&mut self, round: u32, message: &[u8]) -> ServerProgress {
        let mut theirs = message;
        let mut out = Vec::with_capacity(self.evaluation.layout.server_opening_len(round.saturating_add(1)));
        self.evaluation.answer(round.saturating_mul(2).saturating_add(1), &mut theirs, &mut out);
        if round < self.evaluation.layout.rounds() - 1 {
            return ServerProgress::Opening(out);
        }
        let mut value = std::mem::take(&mut self.evaluation.selected);
        for (value, theirs) in value.iter_mut().zip(theirs.as_chunks::<4>().0) {
            *value = value.wrapping_add(u32::from_le_bytes(*theirs));
        }
        if let Some(addend) = self.addend.take() {
            value.iter_mut().zip(addend.iter()).for_each(|(value, addend)| *value = value.wrapping_add(*addend));
        }
        ServerProgress::Value(value)
    }
}

impl ServerOnline for SelectServer {
    fn open(&mut self, inputs: &[&Share]) -> Vec<u8> {
        let (share, addend) = operand(inputs);
        Self::open(self, &share, addend)
    }

    fn answer(&mut self, round: u32, opening: &[u8]) -> ServerProgress {
        Self::answer(self, round, opening)
    }

    fn memory_bytes(&self) -> usize {
        self.evaluation.memory_bytes()
            + self.tables.len()
            + self.masks.len()
            + self.wrap.as_ref().map_or(0, ServerBitProduct::memory_bytes)
            + 4 * self.addend.as_ref().map_or(0, |addend| addend.len())
    }
}
