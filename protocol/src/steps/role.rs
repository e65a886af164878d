//! What each node of a plan is to a session.

use crate::plan::{Node, Plan, SelectLayout, Step};

use super::interactive::Interactive;
use super::linear::LinearLayout;
use super::output::Reveal;
use super::square::SquareLayout;
use super::truncate::TruncateLayout;

/// What a node of a plan is to a session.
pub enum Role {
    /// The client's input, which it masks.
    Input,
    /// A linear step, preprocessed by homomorphic encryption.
    Linear(LinearLayout),
    /// A step of round trips between the parties.
    Interactive(Box<dyn Interactive>),
    /// Both parties compute on their shares alone ([`super::local::evaluate`]).
    Local,
    /// The server adds secret constants to its share.
    Offset,
    /// The server reveals its share, or a part of it.
    Output(Reveal),
}

impl Role {
    /// The role of a node of a validated plan.
    pub fn of(plan: &Plan, node: &Node) -> Self {
        let (elements, kind) = (node.shape.elements(), plan.transfers);
        match &node.step {
            Step::Input => Self::Input,
            Step::Linear(linear) => Self::Linear(LinearLayout::new(linear)),
            Step::Square { drop } => Self::Interactive(Box::new(SquareLayout { elements, drop: *drop, kind })),
            Step::Truncate { drop } => Self::Interactive(Box::new(TruncateLayout { elements, drop: *drop, kind })),
            Step::Relu { drop, digits } => {
                Self::Interactive(Box::new(SelectLayout::of_relu(plan, node, *drop, digits)))
            }
            Step::Maximum { ignored, digits } => {
                Self::Interactive(Box::new(SelectLayout::of_maximum(plan, node, *ignored, digits)))
            }
            Step::SumPool { .. }
            | Step::Add
            | Step::Subtract
            | Step::Multiply { .. }
            | Step::Concat
            | Step::Slice { .. }
            | Step::ShiftLeft { .. }
            | Step::Reshape => Self::Local,
            Step::Offset => Self::Offset,
            Step::Output { drop } => Self::Output(Reveal::Logits { elements, drop: *drop }),
            Step::Class { bits } => Self::Output(Reveal::Class { bits: *bits }),
        }
    }

    /// Whether the client draws a mask that becomes its share of the value.
    pub fn draws_mask(&self) -> bool {
        match self {
            Self::Input | Self::Interactive(_) => true,
            Self::Linear(_) | Self::Local | Self::Offset | Self::Output(_) => false,
        }
    }
}
