//! The steps of a plan, each with its client half and its server half side by side.

pub mod linear;
pub mod local;
mod online_bit;
pub mod output;
mod ring;
pub mod select;
pub mod square;
#[cfg(test)]
mod tests;
pub mod truncate;
