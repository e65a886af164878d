//! What each node of a plan sends and consumes: lengths of all messages, places of all transfers.

use super::message::MessageKind;
use crate::plan::{NodeId, Plan, SelectLayout, Step, padded};
use crate::rlwe::message_lengths;
use crate::steps::{output, square::SquareLayout, truncate::TruncateLayout};

/// Message lengths and transfer positions of one session of a plan.
pub(super) struct SessionLayout {
    nodes: Vec<NodeLayout>,
    /// Transfers of one session in which the client chooses, in whole blocks.
    pub(super) client_transfers: u64,
    /// Transfers of one session in which the server chooses, in whole blocks.
    pub(super) server_transfers: u64,
}

struct NodeLayout {
    kind: NodeKind,
    client_transfer: u64,
    server_transfer: u64,
}

/// What a node is to a session, with its size.
pub(super) enum NodeKind {
    Input { elements: usize },
    Linear { upload: usize, response: usize },
    Square(SquareLayout),
    Truncate(TruncateLayout),
    Select(SelectLayout),
    Local,
    Output { length: usize },
}

impl SessionLayout {
    /// The layout of a validated plan.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut layout = Self { nodes: Vec::with_capacity(plan.nodes.len()), client_transfers: 0, server_transfers: 0 };
        for node in &plan.nodes {
            let (elements, kind) = (node.shape.elements(), plan.transfers);
            let kind = match &node.step {
                Step::Input => NodeKind::Input { elements },
                Step::Linear(linear) => {
                    let (upload, response) = message_lengths(linear);
                    NodeKind::Linear { upload, response }
                }
                Step::Square { drop } => NodeKind::Square(SquareLayout { elements, drop: *drop, kind }),
                Step::Truncate { drop } => NodeKind::Truncate(TruncateLayout { elements, drop: *drop, kind }),
                Step::Relu { .. } | Step::Maximum { .. } => {
                    SelectLayout::of_node(plan, node).map_or(NodeKind::Local, NodeKind::Select)
                }
                Step::SumPool { .. }
                | Step::Add
                | Step::Subtract
                | Step::Offset
                | Step::Multiply { .. }
                | Step::Concat
                | Step::Slice { .. }
                | Step::ShiftLeft { .. }
                | Step::Reshape => NodeKind::Local,
                Step::Output { drop } => NodeKind::Output { length: output::message_len(elements, *drop) },
                Step::Class { bits } => NodeKind::Output { length: output::class_message_len(*bits) },
            };
            let (client, server) = match &kind {
                NodeKind::Square(square) => (square.client_transfers(), elements),
                NodeKind::Truncate(_) => (0, elements),
                NodeKind::Select(select) => (select.client_transfers(), select.server_transfers()),
                _ => (0, 0),
            };
            let (client_transfer, server_transfer) = (layout.client_transfers, layout.server_transfers);
            layout.nodes.push(NodeLayout { kind, client_transfer, server_transfer });
            layout.client_transfers += padded(client) as u64;
            layout.server_transfers += padded(server) as u64;
        }
        layout
    }

    /// Transfers of `sessions` sessions in which the client chooses, and in which the server does; at least one.
    pub(super) fn transfers_of(&self, sessions: u32) -> [u64; 2] {
        [self.client_transfers, self.server_transfers].map(|each| (each * u64::from(sessions)).max(1))
    }

    /// Bytes of a logical message, or `None` if the node has no such message.
    pub(super) fn message_len(&self, node: NodeId, kind: MessageKind, round: u32) -> Option<usize> {
        use MessageKind::*;
        let rounds = if matches!(kind, ServerOpening | ClientOpening) { self.rounds(node) } else { 1 };
        if round >= rounds {
            return None;
        }
        Some(match (&self.nodes.get(node)?.kind, kind) {
            (NodeKind::Input { elements }, MaskedInput) => 4 * elements,
            (NodeKind::Linear { upload, .. }, MaskCiphertexts) => *upload,
            (NodeKind::Linear { response, .. }, LinearResponses) => *response,
            (NodeKind::Square(square), ShareChoices) => square.share_choices_len(),
            (NodeKind::Square(square), ServerCorrelations) => square.server_correlations_len(),
            (NodeKind::Square(square), ClientCorrections) => square.client_corrections_len(),
            (NodeKind::Square(square), ServerOpening) => square.opening_len(),
            (NodeKind::Square(square), ClientOpening) => square.result_len(),
            (NodeKind::Truncate(truncate), ServerCorrelations) => truncate.server_correlations_len(),
            (NodeKind::Truncate(truncate), ClientCorrections) => truncate.client_corrections_len(),
            (NodeKind::Truncate(truncate), ServerOpening) => truncate.opening_len(),
            (NodeKind::Truncate(truncate), ClientOpening) => truncate.result_len(),
            (NodeKind::Select(select), ServerCorrelations) => select.server_correlations_len(),
            (NodeKind::Select(select), ClientCorrections) => select.client_corrections_len(),
            (NodeKind::Select(select), ServerOpening) => select.server_opening_len(round),
            (NodeKind::Select(select), ClientOpening) => select.client_opening_len(round),
            (NodeKind::Output { length }, OutputShare) => *length,
            _ => return None,
        })
    }

    /// What a node of the plan is.
    pub(super) fn kind(&self, node: NodeId) -> &NodeKind {
        &self.nodes[node].kind
    }

    /// Round trips of a node in the online phase.
    pub(super) fn rounds(&self, node: NodeId) -> u32 {
        match self.nodes.get(node).map(|node| &node.kind) {
            Some(NodeKind::Square(_) | NodeKind::Truncate(_)) => 1,
            Some(NodeKind::Select(select)) => select.rounds(),
            _ => 0,
        }
    }

    /// Index on the connection of a node's first transfer in which the client chooses.
    pub(super) fn client_transfer(&self, session: u32, node: NodeId) -> u64 {
        u64::from(session) * self.client_transfers + self.nodes[node].client_transfer
    }

    /// Index on the connection of a node's first transfer in which the server chooses.
    pub(super) fn server_transfer(&self, session: u32, node: NodeId) -> u64 {
        u64::from(session) * self.server_transfers + self.nodes[node].server_transfer
    }
}
