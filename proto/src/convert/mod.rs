//! Wire types to domain types and back.
//!
//! Every conversion is a `TryFrom`. From the wire, whatever a peer may have put into a field is
//! checked against the bounds in [`crate::limits`]; towards the wire, numbers that do not fit and
//! messages of the wrong direction are refused.

mod check;
mod linear;
mod model;
mod plan;
mod prediction;
mod session;
mod step;
mod times;

#[cfg(test)]
mod tests;

pub use model::{ModelSummary, ServedModel};
pub use plan::digest;
pub use session::model_name;
pub use times::Timed;

use tacit_protocol::plan::PlanError;
use tacit_protocol::session::MessageKind;

/// A field of a message that breaks the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConvertError {
    /// Path of the field, for example `nodes[3].linear.kernel.height`.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The field is required.
    #[error("missing")]
    Missing,
    /// A number outside its bounds.
    #[error("{value} is not between {low} and {high}")]
    OutOfRange {
        /// The number.
        value: i128,
        /// Smallest accepted.
        low: i128,
        /// Largest accepted.
        high: i128,
    },
    /// Bytes, text or a list of the wrong length.
    #[error("length {length} is not between {low} and {high}")]
    Length {
        /// Bytes of bytes and text, entries of a list.
        length: usize,
        /// Smallest accepted.
        low: usize,
        /// Largest accepted.
        high: usize,
    },
    /// A product of dimensions that is too large.
    #[error("more than {limit} elements")]
    TooManyElements {
        /// Most that are accepted.
        limit: usize,
    },
    /// An enumeration value that this version does not know.
    #[error("unknown value {value}")]
    UnknownValue {
        /// The number on the wire.
        value: i32,
    },
    /// A number that is infinite or not a number.
    #[error("not a finite number")]
    NotFinite,
    /// A range whose upper end is not above its lower end.
    #[error("not above the lower end of the range")]
    EmptyRange,
    /// Entries that are not in strictly ascending order.
    #[error("not in strictly ascending order")]
    NotAscending,
    /// A message that does not travel in this direction or phase.
    #[error("{0:?} does not travel on this stream in this direction")]
    Direction(MessageKind),
    /// The fields are fine one by one, but the plan breaks a rule.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl ConvertError {
    fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self { field: field.into(), problem }
    }

    /// The same error, seen from the message that holds the field.
    fn within(mut self, parent: impl std::fmt::Display) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}
