//! A comparing step (ReLU, maximum): the cut of its window into digits, and the sizes that follow from it.

use super::extension::ExtensionKind;
use super::graph::{Node, Plan, Step};
use crate::bits::packed_len;

/// Most digits of a comparison: as many as three round trips can combine.
pub const MAX_DIGITS: usize = 16;
/// Bits of a digit at most: a table of `2^6` bits is one machine word and uses up a transfer's key.
pub const MAX_DIGIT_BITS: u32 = 6;

/// Bits of extension rows for each transfer, for comparing costs: those of SoftSpokenOT with its default height.
const TRANSFER_BITS: u32 = 22;

/// What the step makes of a value's sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// `max(0, y)`, the ignored bits dropped.
    Truncated,
    /// `max(0, y)` with all of its bits.
    Whole,
}

/// Size of one comparison-and-select step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectLayout {
    /// Number of elements.
    pub elements: usize,
    /// The values are from `-2^(bits-1)` to `2^(bits-1) - 2^ignored`; 2 to 31.
    pub bits: u32,
    /// Low bits left out of the comparison, below `bits - 1`.
    pub ignored: u32,
    /// What becomes of the ignored bits.
    pub selection: Selection,
    /// Widths of the digits that the window of `bits - 1 - ignored` bits is cut into, lowest first: 1 to 16 digits of 1
    /// to 6 bits. See [`digit_widths`].
    pub digits: Vec<u32>,
    /// How the random OTs are made.
    pub kind: ExtensionKind,
}

impl SelectLayout {
    /// The layout of a comparing node of a plan, `None` for others.
    pub fn of_node(plan: &Plan, node: &Node) -> Option<Self> {
        match &node.step {
            Step::Relu { drop, digits } => Some(Self::of_relu(plan, node, *drop, digits)),
            Step::Maximum { ignored, digits } => Some(Self::of_maximum(plan, node, *ignored, digits)),
            Step::Input
            | Step::Linear(_)
            | Step::Square { .. }
            | Step::Truncate { .. }
            | Step::SumPool { .. }
            | Step::Add
            | Step::Subtract
            | Step::Offset
            | Step::Multiply { .. }
            | Step::Concat
            | Step::Slice { .. }
            | Step::ShiftLeft { .. }
            | Step::Reshape
            | Step::Output { .. }
            | Step::Class { .. } => None,
        }
    }

    /// The layout of a ReLU.
    pub fn of_relu(plan: &Plan, node: &Node, drop: u32, digits: &[u32]) -> Self {
        Self::new(plan, node, Self::input_bits(plan, node), drop, Selection::Truncated, digits)
    }

    /// The layout of a maximum. A difference has one bit more than its terms.
    pub fn of_maximum(plan: &Plan, node: &Node, ignored: u32, digits: &[u32]) -> Self {
        Self::new(plan, node, Self::input_bits(plan, node) + 1, ignored, Selection::Whole, digits)
    }

    fn new(plan: &Plan, node: &Node, bits: u32, ignored: u32, selection: Selection, digits: &[u32]) -> Self {
        let (elements, kind) = (node.shape.elements(), plan.transfers);
        Self { elements, bits, ignored, selection, digits: digits.to_vec(), kind }
    }

    fn input_bits(plan: &Plan, node: &Node) -> u32 {
        node.inputs.iter().filter_map(|input| plan.nodes.get(*input)).map(|input| input.bits).max().unwrap_or(0)
    }

    /// Bits of each share that are compared.
    pub(crate) fn window(&self) -> u32 {
        self.digits.iter().sum()
    }

    /// Whether the ignored bits are dropped, which takes the product of the shares' top bits.
    pub(crate) fn has_wrap(&self) -> bool {
        self.selection == Selection::Truncated && self.ignored > 0
    }

    /// Bits dropped from the value.
    pub(crate) fn dropped(&self) -> u32 {
        match self.selection {
            Selection::Truncated => self.ignored,
            Selection::Whole => 0,
        }
    }

    /// Levels of the tree that combines the digits.
    pub(crate) fn levels(&self) -> u32 {
        self.digits.len().next_power_of_two().trailing_zeros()
    }

    /// Nodes that go into `level` of the tree, 1 to [`levels`](Self::levels).
    pub(crate) fn nodes(&self, level: u32) -> usize {
        self.digits.len().div_ceil(1 << (level - 1))
    }

    /// Joins of two nodes in the whole tree.
    pub(crate) fn joins(&self) -> usize {
        self.digits.len() - 1
    }

    /// Bits of an element's leaf tables, for one party.
    pub(crate) fn table_bits(&self) -> usize {
        self.digit_bits(|width| 2 << width)
    }

    /// Bits of an element's leaf corrections.
    pub(crate) fn correction_bits(&self) -> usize {
        self.digit_bits(|width| (width as usize) << width)
    }

    /// Sum over the digits, of which the lowest has only one of the two tables.
    fn digit_bits(&self, both: impl Fn(u32) -> usize) -> usize {
        let lowest = self.digits.first().map_or(0, |width| both(*width) / 2);
        lowest + self.digits.iter().skip(1).map(|width| both(*width)).sum::<usize>()
    }

    /// Transfers that belong to the leaves; they come first.
    pub(crate) fn leaf_transfers(&self) -> usize {
        self.elements * self.window() as usize
    }

    pub(crate) fn leaf_corrections_len(&self) -> usize {
        (self.elements * self.correction_bits()).div_ceil(8)
    }

    /// Bytes of all leaf tables of one party.
    pub(crate) fn tables_len(&self) -> usize {
        (self.elements * self.table_bits()).div_ceil(8)
    }

    pub(crate) fn leaf_opening_len(&self) -> usize {
        packed_len(self.elements, self.window())
    }

    pub(crate) fn wrap_corrections_len(&self) -> usize {
        if self.has_wrap() { packed_len(self.elements, self.ignored) } else { 0 }
    }

    /// Transfers in which the server chooses.
    pub fn server_transfers(&self) -> usize {
        self.leaf_transfers() + self.client_transfers() + self.elements * usize::from(self.has_wrap())
    }

    /// Transfers in which the client chooses.
    pub fn client_transfers(&self) -> usize {
        self.elements * (self.joins() + 1)
    }

    /// Round trips online.
    pub fn rounds(&self) -> u32 {
        self.levels().div_ceil(2) + 1
    }

    /// Bytes of the server's extension rows.
    pub fn server_correlations_len(&self) -> usize {
        self.kind.extension_len(self.server_transfers())
    }

    /// Bytes of the client's extension rows, leaf corrections and wrap corrections.
    pub fn client_corrections_len(&self) -> usize {
        self.kind.extension_len(self.client_transfers()) + self.leaf_corrections_len() + self.wrap_corrections_len()
    }

    /// Bytes of the server's online message of `round`, 0 to [`rounds`](Self::rounds)` - 1`.
    pub fn server_opening_len(&self, round: u32) -> usize {
        let first = match round {
            0 => self.leaf_opening_len() + if self.has_wrap() { packed_len(self.elements, 1) } else { 0 },
            _ => 0,
        };
        first + self.openings_len(round.saturating_mul(2))
    }

    /// Bytes of the client's online message of `round`, 0 to [`rounds`](Self::rounds)` - 1`.
    pub fn client_opening_len(&self, round: u32) -> usize {
        let result = if round == self.rounds() - 1 { 4 * self.elements } else { 0 };
        self.openings_len(round.saturating_mul(2).saturating_add(1)) + result
    }

    /// Bytes of the openings of levels `message` and `message + 1`.
    fn openings_len(&self, message: u32) -> usize {
        self.opening_len(message) + self.opening_len(message.saturating_add(1))
    }

    /// Bytes that one party opens for `level`: a level of the tree, or the selection after the last one.
    fn opening_len(&self, level: u32) -> usize {
        let plane = self.elements.div_ceil(8);
        match level {
            0 => 0,
            // The lowest join of a level opens two bits, the others three.
            level if level <= self.levels() => (3 * (self.nodes(level) / 2) - 1) * plane,
            level if level == self.levels() + 1 => plane + 4 * self.elements,
            _ => 0,
        }
    }

    /// Checks that the fields agree with each other.
    ///
    /// # Errors
    /// The broken rule.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.bits > 31 {
            return Err("only values of at most 31 bits can be compared");
        }
        let fits = (1..=MAX_DIGITS).contains(&self.digits.len())
            && self.digits.iter().all(|width| (1..=MAX_DIGIT_BITS).contains(width));
        if !fits {
            return Err("there must be 1 to 16 digits of 1 to 6 bits");
        }
        if self.window() + self.ignored + 1 != self.bits {
            return Err("the digits do not make up the compared bits");
        }
        Ok(())
    }
}

/// Widths of the digits, lowest first, that cost the fewest bytes of preprocessing within `rounds` round trips (2 or 3;
/// 3 is used where 2 cannot hold the window, of 1 to 30 bits).
pub fn digit_widths(window: u32, rounds: u32) -> Vec<u32> {
    let fits = |rounds| if rounds < 3 { 4 } else { 16 };
    let most = if window > fits(rounds) * MAX_DIGIT_BITS { fits(3) } else { fits(rounds) };
    // Costs grow faster than widths, so that equal widths are best, but for the lowest digit, which costs half.
    let cuts = (1..=most.min(window)).flat_map(|digits| {
        (1..=MAX_DIGIT_BITS.min(window)).filter_map(move |lowest| {
            let (rest, others) = (window - lowest, digits - 1);
            if others == 0 {
                return (rest == 0).then(|| vec![lowest]);
            }
            let (width, wider) = (rest / others, rest % others);
            let mut widths = vec![lowest];
            widths.extend((0..others).map(|index| width + u32::from(index < wider)));
            (width > 0 && widths.iter().all(|width| *width <= MAX_DIGIT_BITS)).then_some(widths)
        })
    });
    let cost = |widths: &Vec<u32>| {
        let corrections: u32 = widths.iter().map(|width| width << width).sum();
        2 * TRANSFER_BITS * widths.len() as u32 + corrections - (widths[0] << widths[0]) / 2
    };
    cuts.min_by_key(cost).unwrap_or_default()
}
