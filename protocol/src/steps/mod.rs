//! The steps of a plan, each with its client half and its server half side by side.
//!
//! [`Role::of`] says what each node is. An interactive step has a folder: `layout.rs` (sizes, and the interface
//! [`Interactive`]), `preprocess/{client,server}.rs` and `online/{client,server}.rs`.

mod interactive;
pub mod linear;
pub mod local;
mod message;
mod one_round;
mod online_bit;
mod output;
mod ring;
mod role;
pub mod select;
pub mod square;
#[cfg(test)]
pub(crate) mod tests;
pub mod truncate;

pub use interactive::{
    ClientHalf, ClientNext, ClientOnline, ClientView, Interactive, OtCount, ServerHalf, ServerNext, ServerOnline,
    ServerProgress, ServerView, StepTransfers,
};
pub use linear::LinearLayout;
pub use message::{MessageKind, Party};
pub use output::Reveal;
pub use role::Role;
