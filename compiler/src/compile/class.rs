//! Answers that are a class only: the largest logit is found under the protocol and its index revealed, nothing else.
//!
//! Each logit, cut to the bits that matter, is shifted up, and the bits below it take its code: the number of classes
//! after it. A tournament of maxima over these values leaves the largest logit with its code; of equal logits the first
//! one wins, since its code is larger. The low bits of the winner are the code, and the server reveals just those of its
//! share: the low bits of a sum depend on the low bits of its terms only.

use tacit_protocol::plan::digit_widths;
use tacit_protocol::plan::{Axis, Node, NodeId, OutputFunction, Plan, Shape, Step};

use super::{CompileError, CompileOptions};
use tacit_engine::{Parameters, RingBias};

/// Bits of a logit, its code, and the error of its truncation together: as many as two round trips can compare.
const COMPARED_BITS: u32 = 24;
/// Fewest bits of a logit.
const MIN_BITS: u32 = 16;
/// Most bits of values whose maximum a plan takes.
const MAX_BITS: u32 = 30;

/// Makes a plan that reveals logits one that reveals the class only.
pub(super) fn reveal_class_only(
    plan: &mut Plan,
    parameters: &mut Parameters,
    options: &CompileOptions,
) -> Result<(), CompileError> {
    let Some(Node { inputs, .. }) = plan.nodes.pop() else { return Ok(()) };
    let classes = plan.nodes[inputs[0]].shape.elements();
    if classes < 2 {
        return Err(CompileError::OneClass);
    }
    plan.output.function = OutputFunction::ArgMax;
    let code_bits = usize::BITS - (classes - 1).leading_zeros();
    let mut tail = Tail { plan, last: inputs[0] };
    tail.push(Step::Reshape, Shape::vector(classes), 0, 0);
    let bits = tail.node().bits;
    let kept = COMPARED_BITS.saturating_sub(code_bits + 1).max(MIN_BITS);
    let drop = bits.saturating_sub(kept);
    if drop > 0 {
        // One bit more than the quotient's, for the error of the truncation.
        tail.push(Step::Truncate { drop }, Shape::vector(classes), -(drop as i32), 1 - drop as i32);
    }
    let most_code_bits = MAX_BITS.saturating_sub(tail.node().bits);
    if code_bits > most_code_bits {
        return Err(CompileError::TooManyClasses { classes, most: 1 << most_code_bits });
    }
    tail.push(Step::ShiftLeft { amount: code_bits }, Shape::vector(classes), code_bits as i32, code_bits as i32);
    tail.push(Step::Offset, Shape::vector(classes), 0, 0);
    parameters.insert_offset(tail.last, RingBias::PerElement((0..classes as u32).rev().collect()));
    while tail.node().shape.channels > 1 {
        tail.round(options.comparison_round_trips);
    }
    tail.push(Step::Class { bits: code_bits }, Shape::vector(1), 0, 0);
    Ok(())
}

/// The end of a plan under construction.
struct Tail<'a> {
    plan: &'a mut Plan,
    last: NodeId,
}

impl Tail<'_> {
    fn node(&self) -> &Node {
        &self.plan.nodes[self.last]
    }

    /// Adds a step behind the last one, with more fraction bits and bits than it by the given numbers.
    fn push(&mut self, step: Step, shape: Shape, fraction_bits: i32, bits: i32) {
        let before = self.node();
        let node = Node {
            step,
            inputs: vec![self.last],
            shape,
            fraction_bits: before.fraction_bits + fraction_bits,
            bits: before.bits.saturating_add_signed(bits),
        };
        self.last = self.plan.nodes.len();
        self.plan.nodes.push(node);
    }

    /// One round of the tournament: the first half against the second, an odd one goes on unplayed.
    fn round(&mut self, round_trips: u32) {
        let (players, bits) = (self.last, self.node().bits);
        let count = self.node().shape.channels;
        let half = count / 2;
        let mut slice = |start: usize, length: usize| {
            self.last = players;
            self.push(
                Step::Slice { axis: Axis::Channels, start: start as i32, step: 1, spacing: 1 },
                Shape::vector(length),
                0,
                0,
            );
            self.last
        };
        let (first, second) = (slice(0, half), slice(half, half));
        let odd = (count % 2 == 1).then(|| slice(count - 1, 1));
        self.last = second;
        let step = Step::Maximum { ignored: 0, digits: digit_widths(bits, round_trips) };
        self.push(step, Shape::vector(half), 0, 0);
        self.plan.nodes[self.last].inputs = vec![first, second];
        if let Some(odd) = odd {
            let winners = self.last;
            self.push(Step::Concat, Shape::vector(half + 1), 0, 0);
            self.plan.nodes[self.last].inputs = vec![winners, odd];
        }
    }
}
