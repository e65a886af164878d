//! What both parties do alike online: the levels of the tree and the selection, two in each message.

use super::planes;
use super::product::Selector;
use super::tree::{self, Node, Triple};
use crate::plan::SelectLayout;
use crate::share::Share;
use zeroize::Zeroizing;

/// One party's state from the leaves to the result.
pub(super) struct Evaluation {
    pub(super) layout: SelectLayout,
    /// Whether this party adds the products of opened bits; the other does not.
    leads: bool,
    triples: Zeroizing<Vec<Triple>>,
    selector: Selector,
    nodes: Zeroizing<Vec<Node>>,
    /// Shares of the sums' top bits without the carry, inverted, in blocks: `d` but for what the window carries.
    tops: Zeroizing<Vec<u64>>,
    values: Share,
    /// The share of the selected values, once there is one.
    pub(super) selected: Share,
}

impl Evaluation {
    pub(super) fn new(layout: SelectLayout, leads: bool, triples: Zeroizing<Vec<Triple>>, selector: Selector) -> Self {
        let nodes = Zeroizing::new(Vec::new());
        let tops = Zeroizing::new(Vec::new());
        let (values, selected) = (Share::default(), Share::default());
        Self { layout, leads, triples, selector, nodes, tops, values, selected }
    }

    /// Sets what the leaves give.
    pub(super) fn begin(&mut self, nodes: Zeroizing<Vec<Node>>, tops: Zeroizing<Vec<u64>>, values: Share) {
        (self.nodes, self.tops, self.values) = (nodes, tops, values);
    }

    /// Takes the other party's message number `message`, which opens levels `message` and `message + 1`, and appends
    /// the openings of the following message: levels `message + 1` and `message + 2`.
    pub(super) fn answer(&mut self, message: u32, theirs: &mut &[u8], out: &mut Vec<u8>) {
        self.close(message, theirs);
        self.open(message.saturating_add(1), out);
        self.close(message.saturating_add(1), theirs);
        self.open(message.saturating_add(2), out);
    }

    /// Appends the openings of `level`, if it is one.
    pub(super) fn open(&self, level: u32, out: &mut Vec<u8>) {
        if level == self.layout.levels() + 1 {
            self.selector.open(&self.choice(), &self.values, out);
        } else if (1..=self.layout.levels()).contains(&level) {
            let blocks = self.nodes.chunks(self.layout.digits.len()).zip(self.triples.chunks(self.layout.joins()));
            for (block, (nodes, triples)) in blocks.enumerate() {
                let count = planes::count(block, self.layout.elements);
                tree::open(&self.layout, level, nodes, triples, count, out);
            }
        }
    }

    /// Finishes `level`, if it is one.
    fn close(&mut self, level: u32, theirs: &mut &[u8]) {
        if level == self.layout.levels() + 1 {
            self.selected = self.selector.close(&self.choice(), &self.values, theirs);
        } else if (1..=self.layout.levels()).contains(&level) {
            let joins = self.layout.joins();
            let blocks = self.nodes.chunks_mut(self.layout.digits.len()).zip(self.triples.chunks(joins));
            for (block, (nodes, triples)) in blocks.enumerate() {
                let count = planes::count(block, self.layout.elements);
                tree::close(&self.layout, level, self.leads, nodes, triples, count, theirs);
            }
        }
    }

    /// The shares of `d`, in blocks: the top bits with the carry.
    fn choice(&self) -> Zeroizing<Vec<u64>> {
        let carries = self.nodes.chunks(self.layout.digits.len()).map(|nodes| nodes[0].generate);
        Zeroizing::new(carries.zip(self.tops.iter()).map(|(carry, top)| carry ^ top).collect())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let words = self.tops.len() + 2 * self.nodes.len();
        size_of::<Triple>() * self.triples.len()
            + 8 * words
            + 4 * (self.values.len() + self.selected.len())
            + self.selector.memory_bytes()
    }
}
