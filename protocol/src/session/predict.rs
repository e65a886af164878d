//! What a session costs, from the plan alone.

use super::layout::SessionLayout;
use super::transfers::setup_len;
use crate::ot;
use crate::plan::{ExtensionKind, NodeId, Plan};
use crate::rlwe::public_key_len;
use crate::steps::{MessageKind, Party, Role};

/// Bytes, round trips and transfers of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// Keys, base OTs and the silent set-up, once per `Preprocess` stream; its round trip is counted in
    /// `preprocessing`. Of a stream of one session: that of a longer one is in [`predict_stream`].
    pub setup: PhasePrediction,
    /// Each session of a stream.
    pub preprocessing: PhasePrediction,
    /// The online phase.
    pub online: PhasePrediction,
}

/// Cost of one phase, counting the data of all messages without their framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhasePrediction {
    /// Bytes from client to server.
    pub bytes_sent: u64,
    /// Bytes from server to client.
    pub bytes_received: u64,
    /// Times that the client waits for an answer to what it sent last.
    pub round_trips: u32,
    /// Random oblivious transfers, both directions, in whole blocks.
    pub transfers: u64,
}

/// The cost of a session of a validated plan.
pub fn predict(plan: &Plan) -> Prediction {
    predict_layout(plan, &SessionLayout::new(plan))
}

/// The cost of a session of a layout.
pub(super) fn predict_layout(plan: &Plan, layout: &SessionLayout) -> Prediction {
    use MessageKind::*;
    let sum = |kinds: &[MessageKind]| -> u64 {
        let lengths = (0..plan.nodes.len()).flat_map(|node| kinds.iter().map(move |kind| (node, *kind)));
        let rounds = |(node, kind)| {
            (0..layout.rounds(node).max(1)).filter_map(move |round| layout.message_len(node, kind, round))
        };
        lengths.flat_map(rounds).map(|length| length as u64).sum()
    };
    Prediction {
        setup: setup(plan, layout, 1),
        preprocessing: PhasePrediction {
            bytes_sent: sum(&[MaskCiphertexts, ShareChoices, ClientCorrections]),
            bytes_received: sum(&[LinearResponses, ServerCorrelations]),
            round_trips: preprocessing_round_trips(plan, layout),
            transfers: layout.client_transfers + layout.server_transfers,
        },
        online: PhasePrediction {
            bytes_sent: sum(&[MaskedInput, ClientOpening]),
            bytes_received: sum(&[ServerOpening, OutputShare]),
            round_trips: 1 + (0..plan.nodes.len()).map(|node| layout.rounds(node)).sum::<u32>(),
            transfers: 0,
        },
    }
}

/// The cost of a `Preprocess` stream of several sessions, 1 to [`super::max_sessions`]. Its round trips are those of one
/// session: how many more a stream takes depends on how many sessions are worked on at the same time.
pub fn predict_stream(plan: &Plan, sessions: u32) -> PhasePrediction {
    let each = predict(plan).preprocessing;
    let setup = setup(plan, &SessionLayout::new(plan), sessions);
    let sessions = u64::from(sessions);
    PhasePrediction {
        bytes_sent: setup.bytes_sent + sessions * each.bytes_sent,
        bytes_received: setup.bytes_received + sessions * each.bytes_received,
        round_trips: each.round_trips,
        transfers: sessions * each.transfers,
    }
}

/// Keys, base OTs, and the silent set-up of so many sessions.
fn setup(plan: &Plan, layout: &SessionLayout, sessions: u32) -> PhasePrediction {
    let keys: usize = layout.parameter_sets().into_iter().map(public_key_len).sum();
    let kind = plan.transfers;
    let base = (ot::BASE_FIRST_LEN + kind.tree_height().base_reply_len()) as u64;
    let [client, server] = layout.transfers_of(sessions).map(|transfers| setup_len(kind, transfers));
    PhasePrediction {
        bytes_sent: keys as u64 + base + (client.0 + server.1) as u64,
        bytes_received: base + (server.0 + client.1) as u64,
        round_trips: 0,
        transfers: 0,
    }
}

/// Round trips of a stream that prepares one session: the longest chain of answers that wait for each other.
///
/// A mask is encrypted as soon as the client knows it, at once where it was drawn. A step in which the client begins waits
/// for the response that its input share comes from, and for the random OTs. Where the server begins, its message comes
/// with the answer to the client's set-up. `Prepared` answers the last message of the client.
fn preprocessing_round_trips(plan: &Plan, layout: &SessionLayout) -> u32 {
    // For each node: the number of answers after which the client knows its share.
    let mut known: Vec<u32> = Vec::with_capacity(plan.nodes.len());
    let mut last = 1;
    // Answers until the client can choose.
    let set_up = if plan.transfers == ExtensionKind::Silent { 2 } else { 1 };
    for (node, role) in plan.nodes.iter().zip(layout.roles()) {
        let input = node.inputs.iter().map(|input: &NodeId| known[*input]).max().unwrap_or(0);
        known.push(match role {
            Role::Input => 0,
            Role::Linear(_) => {
                last = last.max(input + 1);
                input + 1
            }
            Role::Interactive(step) => {
                let kinds = step.preprocessing();
                let begins = match kinds.first().map(|kind| kind.sender()) {
                    Some(Party::Server) => 2,
                    Some(Party::Client) | None => set_up,
                };
                let sent = kinds.iter().filter(|kind| kind.sender() == Party::Client).count() as u32;
                last = last.max(input.max(begins) + sent);
                0
            }
            Role::Local | Role::Offset | Role::Output(_) => input,
        });
    }
    last
}
