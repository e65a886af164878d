//! How many sessions of a stream are prepared at the same time: many small ones, few large ones.
//!
//! Sessions in flight hide the network's delay: a batch that is in flight as a whole takes no more round trips than one
//! session. What they hold at a party is bounded by the plan, so that both parties compute the same number: the server
//! allows it, the client need not use it up.

use super::layout::SessionLayout;
use super::predict::predict_layout;
use crate::plan::Plan;

/// Most bytes of messages and keys of all sessions in flight of a stream, as far as more than two are in flight.
const MAX_BYTES: u64 = 1 << 28;

/// Fewest sessions that may be in flight: one can be computed on while the other one's messages travel.
const MIN_SESSIONS: u64 = 2;

/// Most sessions of a stream that a client may have open at the same time, for a validated plan.
///
/// A session counts with the bytes of all of its preprocessing messages; with eight for each transfer: the key that a party
/// keeps of it until the other's corrections come; and with four for each element of all values: the client's shares, which
/// it holds until the session is prepared, those of local steps too, of which no message speaks.
pub(super) fn sessions_in_flight(plan: &Plan, layout: &SessionLayout) -> usize {
    let session = predict_layout(plan, layout).preprocessing;
    let elements: u64 = plan.nodes.iter().map(|node| node.shape.elements() as u64).sum();
    let bytes = session.bytes_sent + session.bytes_received + 8 * session.transfers + 4 * elements;
    (MAX_BYTES / bytes.max(1)).max(MIN_SESSIONS) as usize
}
