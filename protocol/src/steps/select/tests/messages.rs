//! What each party sees.

use super::*;
use crate::steps::ring::{bit, random_bits};
use crate::steps::tests::split;
use crate::uniformity::assert_uniform;

#[test]
fn messages_are_uniform_whatever_the_values() {
    let count = 1 << 15;
    for (selection, rounds) in [(Selection::Truncated, 2), (Selection::Truncated, 3), (Selection::Whole, 2)] {
        let layout = layout(count, 29, 10, selection, rounds);
        for value in [0, 1, -1, (1 << 28) - (1 << 10), -12345] {
            let values = vec![value; count];
            // Constant shares: what is uniform is so by the step's own randomness.
            let (client, server) = (Share(vec![0x1234_5678; count]), split(&values, 1));
            let fixed = Share(vec![(value as u32).wrapping_sub(0x1234_5678); count]);
            for sharing in [server, (client, fixed)] {
                let outcome = run(&layout, &sharing, None, 100);
                let views = [&outcome.rows, &outcome.corrections].into_iter();
                let views = views.chain(&outcome.server_openings).chain(&outcome.client_openings);
                for (index, view) in views.enumerate() {
                    assert_uniform(&format!("message {index} for {value} in {layout:?}"), view.iter().copied());
                }
            }
        }
    }
}

/// Bits of many elements: one column for each bit that is seen of an element.
struct Columns {
    elements: usize,
    columns: Vec<Vec<u64>>,
}

impl Columns {
    fn add(&mut self, width: usize, bit: impl Fn(usize, usize) -> bool) {
        for column in 0..width {
            let mut bits = vec![0; self.elements / 64];
            (0..self.elements)
                .for_each(|element| bits[element / 64] |= u64::from(bit(element, column)) << (element % 64));
            self.columns.push(bits);
        }
    }

    /// `width` bits of each element, packed, at the front of `bytes`.
    fn add_packed(&mut self, width: usize, bytes: &mut &[u8]) {
        let (front, rest) = bytes.split_at(self.elements * width / 8);
        *bytes = rest;
        self.add(width, |element, column| {
            let position = element * width + column;
            front[position / 8] >> (position % 8) & 1 == 1
        });
    }

    /// `width` rows of bits for each block of 64 elements, at the front of `bytes`.
    fn add_blocks(&mut self, width: usize, bytes: &mut &[u8]) {
        let (front, rest) = bytes.split_at(self.elements * width / 8);
        *bytes = rest;
        self.add(width, |element, column| {
            front[8 * (element / 64 * width + column) + element % 64 / 8] >> (element % 8) & 1 == 1
        });
    }

    /// All that both parties open in the tree and the selection.
    fn add_openings(&mut self, layout: &SelectLayout, outcome: &Outcome) {
        let levels = layout.levels();
        let messages = outcome.server_openings.iter().zip(&outcome.client_openings);
        for (number, message) in (0..).zip(messages.flat_map(|(server, client)| [server, client])) {
            let mut bytes = message.as_slice();
            if number == 0 {
                bytes = &bytes[layout.leaf_opening_len() + self.elements / 8 * usize::from(layout.has_wrap())..];
            }
            for level in [number, number + 1] {
                if (1..=levels).contains(&level) {
                    self.add_blocks(3 * (layout.nodes(level) / 2) - 1, &mut bytes);
                } else if level == levels + 1 {
                    self.add_packed(1, &mut bytes);
                    self.add_packed(32, &mut bytes);
                }
            }
            let last = number + 1 == 2 * layout.rounds();
            assert_eq!(bytes.len(), if last { 4 * self.elements } else { 0 });
        }
    }

    /// Whether no sum of some of the columns is the same for all elements.
    fn independent(&self) -> bool {
        let mut reduced: Vec<(usize, Vec<u64>)> = vec![];
        std::iter::once(&vec![u64::MAX; self.elements / 64]).chain(&self.columns).all(|column| {
            let mut column = column.clone();
            for (pivot, other) in &reduced {
                if column[pivot / 64] >> (pivot % 64) & 1 == 1 {
                    column.iter_mut().zip(other).for_each(|(word, other)| *word ^= other);
                }
            }
            let pivot = (0..self.elements).find(|element| column[element / 64] >> (element % 64) & 1 == 1);
            reduced.extend(pivot.map(|pivot| (pivot, column)));
            pivot.is_some()
        })
    }
}

/// A key or a choice used twice would show as a sum of bits that a party has, received ones among them, that is the same
/// for all elements if all their shares are the same. It also has its own random choices, and knows what it opened.
#[test]
fn nothing_that_a_party_receives_combines_to_a_value() {
    let elements = 4096;
    for (bits, ignored, selection, rounds) in [
        (29, 14, Selection::Truncated, 2),
        (29, 5, Selection::Truncated, 2),
        (31, 2, Selection::Truncated, 3),
        (24, 4, Selection::Whole, 3),
        (23, 0, Selection::Whole, 2),
        (7, 1, Selection::Truncated, 2),
    ] {
        let layout = layout(elements, bits, ignored, selection, rounds);
        let window = layout.window() as usize;
        let sharing = (Share(vec![0x9234_5678; elements]), Share(vec![0x6dcc_1234; elements]));
        let seed = 300;
        let outcome = run(&layout, &sharing, None, seed);

        let mut server = Columns { elements, columns: vec![] };
        let mut corrections = &outcome.corrections[layout.kind.extension_len(layout.client_transfers())..];
        server.add_packed(layout.correction_bits(), &mut corrections);
        if layout.has_wrap() {
            server.add_packed(ignored as usize, &mut corrections);
        }
        assert!(corrections.is_empty());
        server.add_openings(&layout, &outcome);
        let last = outcome.client_openings.last().unwrap();
        server.add_packed(32, &mut &last[last.len() - 4 * elements..]);
        let choices = random_bits(&Seed::for_test(seed + 2), layout.server_transfers());
        server.add(window, |element, column| bit(&choices, element * window + column) == 1);
        let rest = layout.server_transfers() / elements - window;
        server.add(rest, |element, column| bit(&choices, (window + column) * elements + element) == 1);
        assert!(server.independent(), "what the server sees in {layout:?}");

        let mut client = Columns { elements, columns: vec![] };
        let mut first = outcome.server_openings[0].as_slice();
        client.add_packed(window, &mut first);
        if layout.has_wrap() {
            client.add_packed(1, &mut first);
        }
        client.add_openings(&layout, &outcome);
        let choices = random_bits(&Seed::for_test(seed + 3), layout.client_transfers());
        client.add(layout.digits.len(), |element, column| bit(&choices, column * elements + element) == 1);
        assert!(client.independent(), "what the client sees in {layout:?}");

        // The test does find what it looks for.
        let sum = client.columns[0].iter().zip(&client.columns[1]).map(|(one, other)| one ^ !other).collect();
        client.columns.push(sum);
        assert!(!client.independent());
    }
}
