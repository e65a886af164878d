//! Comparison and selection.

mod client;
mod evaluation;
mod layout;
mod planes;
mod product;
mod server;
mod tables;
#[cfg(test)]
mod tests;
mod tree;

pub use client::SelectClient;
pub use layout::{SelectLayout, Selection, group_widths};
pub use server::{SelectProgress, SelectServer, SelectServerPending};
