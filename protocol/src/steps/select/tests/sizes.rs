//! Lengths, counts of transfers and errors.

use super::*;

#[test]
fn placeholder() {
    let layout = layout(65_536, 29, 14, Selection::Truncated, 2);
    let bytes = |total: usize| total as f64 / layout.elements as f64;
    let online: usize =
        (0..layout.rounds()).map(|round| layout.server_opening_len(round) + layout.client_opening_len(round)).sum();
    eprintln!(
        "{:?} online {} pre {}",
        layout,
        bytes(online),
        bytes(layout.server_correlations_len() + layout.client_corrections_len())
    );
}
