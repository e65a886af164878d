//! The client: looks the masked windows up, then answers round by round.

use crate::bits::{packed_len, unpack};
use crate::share::Share;
use crate::steps::interactive::ClientOnline;
use crate::steps::online_bit::ClientBitProduct;
use crate::steps::ring::{append, shift_left};
use crate::steps::select::evaluation::Evaluation;
use crate::steps::select::planes::{self, BLOCK};
use crate::steps::select::tables::{self, CHUNK, MAX_SERIAL};
use crate::steps::select::tree::Node;
use crate::wiped::Wiped;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// The client after preprocessing.
pub struct SelectClient {
    pub(in crate::steps::select) evaluation: Evaluation,
    pub(in crate::steps::select) tables: Wiped<u8>,
    /// The top compared bits of its share, in blocks.
    pub(in crate::steps::select) tops: Zeroizing<Vec<u64>>,
    /// Its share of the value but for the wrap-around term.
    pub(in crate::steps::select) values: Share,
    pub(in crate::steps::select) wrap: Option<ClientBitProduct>,
    /// What it adds to its share of the result: the addend less the next mask.
    pub(in crate::steps::select) addend: Share,
}

impl SelectClient {
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
        if elements <= MAX_SERIAL {
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

impl ClientOnline for SelectClient {
    fn answer(&mut self, round: u32, opening: &[u8]) -> Vec<u8> {
        Self::answer(self, round, opening)
    }
}
