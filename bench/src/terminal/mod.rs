//! How `tacit` prints: failures in one line, tables, progress, and numbers with units.

mod failure;
mod progress;
mod table;
mod units;

pub use failure::Failure;
pub use progress::Progress;
pub use table::Table;
pub use units::{bytes, seconds};
