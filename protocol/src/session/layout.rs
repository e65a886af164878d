//! What each node of a plan is, what it sends and uses up: lengths of all messages, numbers of all random OTs.

use crate::plan::ParameterSet;
use crate::plan::{Node, NodeId, Plan, padded};
use crate::steps::{Interactive, MessageKind, OtCount, Role};

/// Roles, message lengths and places of random OTs of one session of a plan.
pub(super) struct SessionLayout {
    nodes: Vec<NodeLayout>,
    /// Random OTs of one session in which the client chooses, in whole blocks.
    pub(super) client_transfers: u64,
    /// Random OTs of one session in which the server chooses, in whole blocks.
    pub(super) server_transfers: u64,
}

struct NodeLayout {
    role: Role,
    elements: usize,
    client_transfer: u64,
    server_transfer: u64,
}

impl SessionLayout {
    /// The layout of a validated plan.
    pub(super) fn new(plan: &Plan) -> Self {
        Self::with_roles(plan, Role::of)
    }

    /// The layout of a validated plan whose nodes have the given roles.
    pub(super) fn with_roles(plan: &Plan, role: impl Fn(&Plan, &Node) -> Role) -> Self {
        let mut layout = Self { nodes: Vec::with_capacity(plan.nodes.len()), client_transfers: 0, server_transfers: 0 };
        for node in &plan.nodes {
            let role = role(plan, node);
            let OtCount { client, server } = match &role {
                Role::Interactive(step) => step.transfers(),
                Role::Input | Role::Linear(_) | Role::Local | Role::Offset | Role::Output(_) => OtCount::default(),
            };
            let (client_transfer, server_transfer) = (layout.client_transfers, layout.server_transfers);
            layout.nodes.push(NodeLayout { role, elements: node.shape.elements(), client_transfer, server_transfer });
            layout.client_transfers += padded(client) as u64;
            layout.server_transfers += padded(server) as u64;
        }
        layout
    }

    /// Random OTs of `sessions` sessions in which the client chooses, and in which the server does; at least one.
    pub(super) fn transfers_of(&self, sessions: u32) -> [u64; 2] {
        [self.client_transfers, self.server_transfers].map(|each| (each * u64::from(sessions)).max(1))
    }

    /// Bytes of a logical message, or `None` if the node has no such message.
    pub(super) fn message_len(&self, node: NodeId, kind: MessageKind, round: u32) -> Option<usize> {
        let NodeLayout { role, elements, .. } = self.nodes.get(node)?;
        let (expected, length) = match (role, kind) {
            (Role::Interactive(step), _) => return step.message_len(kind, round),
            (Role::Input, _) => (MessageKind::MaskedInput, 4 * elements),
            (Role::Linear(linear), MessageKind::MaskCiphertexts) => (kind, linear.upload),
            (Role::Linear(linear), _) => (MessageKind::LinearResponses, linear.response),
            (Role::Output(reveal), _) => (MessageKind::OutputShare, reveal.message_len()),
            (Role::Local | Role::Offset, _) => return None,
        };
        (round == 0 && kind == expected).then_some(length)
    }

    /// What a node of the plan is.
    pub(super) fn role(&self, node: NodeId) -> &Role {
        &self.nodes[node].role
    }

    /// The roles of all nodes.
    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.nodes.iter().map(|node| &node.role)
    }

    /// The parameter sets of all linear steps, in ascending order.
    pub(super) fn parameter_sets(&self) -> Vec<ParameterSet> {
        let sets = self.roles().filter_map(|role| match role {
            Role::Linear(linear) => Some(linear.step.packing.parameters),
            Role::Input | Role::Interactive(_) | Role::Local | Role::Offset | Role::Output(_) => None,
        });
        let mut sets: Vec<_> = sets.collect();
        sets.sort();
        sets.dedup();
        sets
    }

    /// The interactive step of a node, if it is one.
    pub(super) fn interactive(&self, node: NodeId) -> Option<&dyn Interactive> {
        match &self.nodes.get(node)?.role {
            Role::Interactive(step) => Some(&**step),
            Role::Input | Role::Linear(_) | Role::Local | Role::Offset | Role::Output(_) => None,
        }
    }

    /// Round trips of a node in the online phase.
    pub(super) fn rounds(&self, node: NodeId) -> u32 {
        self.interactive(node).map_or(0, Interactive::rounds)
    }

    /// Number on the connection of a node's first random OT in which the client chooses.
    pub(super) fn client_transfer(&self, session: u32, node: NodeId) -> u64 {
        u64::from(session) * self.client_transfers + self.nodes[node].client_transfer
    }

    /// Number on the connection of a node's first random OT in which the server chooses.
    pub(super) fn server_transfer(&self, session: u32, node: NodeId) -> u64 {
        u64::from(session) * self.server_transfers + self.nodes[node].server_transfer
    }
}
