//! The public plan: a directed acyclic graph of steps that both parties follow.
//!
//! A plan says everything that the client needs to run its side, and nothing about the weights
//! beyond shapes, scales, bounds and the packing that the noise of the real weights allows.
//! This module imports nothing of the modules that compute by it.
//!
//! A plan that comes from a peer is checked with [`Plan::validate`] before it is used.

mod comparison;
mod digest;
mod extension;
mod fixed_point;
mod graph;
mod linear;
pub(crate) mod packing;
mod parameters;
mod shape;
#[cfg(test)]
mod tests;
mod validate;

pub use comparison::{MAX_DIGIT_BITS, MAX_DIGITS, SelectLayout, Selection, digit_widths};
pub use digest::PlanDigest;
pub(crate) use extension::ROWS;
pub use extension::{BLOCK, ExtensionKind, TreeHeight, padded};
pub use fixed_point::InputError;
pub use graph::{InputSpec, Node, NodeId, OutputFunction, OutputSpec, Plan, Step};
pub use linear::{LinearShape, LinearStep, Packing};
pub use packing::check_packing;
pub use parameters::ParameterSet;
pub use shape::{Axis, Padding, Shape};
pub use validate::{MAX_CLASS_BITS, MAX_ELEMENTS, MAX_INPUTS, MAX_NODES, PlanError};
