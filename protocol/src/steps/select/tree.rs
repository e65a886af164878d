//! The tree that combines neighbouring digits, on bits of 64 elements at a time.
//!
//! `(G, P)_high o (G, P)_low = (G_high + P_high G_low, P_high P_low)` over GF(2). Both products of a join share a
//! factor.

use super::planes::{self, BLOCK};
use crate::ot::SenderKeys;
use crate::plan::SelectLayout;
use zeroize::{Zeroize, Zeroizing};

/// Shares of what a digit of bits generates and propagates, for 64 elements. The lowest propagates nothing: there is
/// nothing below it.
#[derive(Clone, Copy, Default, Zeroize)]
pub(super) struct Node {
    pub(super) generate: u64,
    pub(super) propagate: u64,
}

/// Shares of random bits and of products of them, for one join and 64 elements.
#[derive(Clone, Copy, Default, Zeroize)]
pub(super) struct Triple {
    /// Masks the upper node's propagated bit.
    a: u64,
    /// Masks the lower node's generated bit.
    b: u64,
    /// Masks the lower node's propagated bit.
    c: u64,
    ab: u64,
    ac: u64,
}

/// The triples of all blocks and joins, from transfers in both directions.
pub(super) struct Triples {
    elements: usize,
    joins: usize,
    triples: Zeroizing<Vec<Triple>>,
}

impl Triples {
    /// Begins with the transfers in which this party chose: its choice bits are `a`, and the lowest two bits of its
    /// keys are its shares of the products with the other party's `b` and `c`. `choices` start at `first`.
    pub(super) fn from_chosen(layout: &SelectLayout, choices: &[u64], first: usize, keys: &[u64]) -> Self {
        let (elements, joins) = (layout.elements, layout.joins());
        let mut triples = Zeroizing::new(vec![Triple::default(); joins * elements.div_ceil(BLOCK)]);
        for (block, triples) in triples.chunks_mut(joins.max(1)).enumerate() {
            for (join, triple) in triples.iter_mut().enumerate() {
                let range = planes::range(join * elements, block, elements);
                triple.a = planes::read(choices, first + range.start, range.len());
                triple.ab = planes::gather(&keys[range.clone()], 0);
                triple.ac = planes::gather(&keys[range], 1);
            }
        }
        Self { elements, joins, triples }
    }

    /// Completes them with the transfers in which the other party chose: the lowest two bits of the keys' differences
    /// are this party's `b` and `c`.
    pub(super) fn complete(mut self, keys: &SenderKeys, first: usize) -> Zeroizing<Vec<Triple>> {
        for (block, triples) in self.triples.chunks_mut(self.joins.max(1)).enumerate() {
            for (join, triple) in triples.iter_mut().enumerate() {
                let range = planes::range(first + join * self.elements, block, self.elements);
                let (zero, one) = (&keys.zero[range.clone()], &keys.one[range]);
                let low = [planes::gather(zero, 0), planes::gather(zero, 1)];
                triple.b = low[0] ^ planes::gather(one, 0);
                triple.c = low[1] ^ planes::gather(one, 1);
                triple.ab ^= triple.a & triple.b ^ low[0];
                triple.ac ^= triple.a & triple.c ^ low[1];
            }
        }
        self.triples
    }
}

/// Appends this party's openings of `level` for one block of `count` elements.
pub(super) fn open(
    layout: &SelectLayout,
    level: u32,
    nodes: &[Node],
    triples: &[Triple],
    count: usize,
    out: &mut Vec<u8>,
) {
    let before = layout.nodes(level);
    let pairs = nodes[..before].as_chunks::<2>().0;
    for (join, (pair, triple)) in pairs.iter().zip(&triples[layout.digits.len() - before..]).enumerate() {
        let [low, high] = pair;
        planes::write(high.propagate ^ triple.a, count, out);
        planes::write(low.generate ^ triple.b, count, out);
        if join > 0 {
            planes::write(low.propagate ^ triple.c, count, out);
        }
    }
}

/// Combines the nodes of one block with the other party's openings. One party, which `leads`, adds the products of
/// opened bits.
pub(super) fn close(
    layout: &SelectLayout,
    level: u32,
    leads: bool,
    nodes: &mut [Node],
    triples: &[Triple],
    count: usize,
    theirs: &mut &[u8],
) {
    let leads = u64::from(leads).wrapping_neg();
    let before = layout.nodes(level);
    for (join, triple) in (0..before / 2).zip(&triples[layout.digits.len() - before..]) {
        let (low, high) = (nodes[2 * join], nodes[2 * join + 1]);
        let upper = high.propagate ^ triple.a ^ planes::take(theirs, count);
        let mut product = |own: u64, mask: u64, masks: u64| {
            let lower = own ^ mask ^ planes::take(theirs, count);
            (leads & upper & lower) ^ (upper & mask) ^ (lower & triple.a) ^ masks
        };
        let generate = high.generate ^ product(low.generate, triple.b, triple.ab);
        let propagate = if join > 0 { product(low.propagate, triple.c, triple.ac) } else { 0 };
        nodes[join] = Node { generate, propagate };
    }
    if before % 2 == 1 {
        nodes[before / 2] = nodes[before - 1];
    }
}
