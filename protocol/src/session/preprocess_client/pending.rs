//! One session of a batch, being prepared by the client.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::assembly::{Assembly, split};
use super::super::error::SessionError;
use super::super::message::{Message, Prepared, PreprocessRequest};
use super::super::observer::Work;
use super::super::online_client::ClientSession;
use super::context::Context;
use crate::plan::{LinearStep, NodeId};
use crate::random::Seed;
use crate::share::Share;
use crate::steps::{
    ClientHalf, ClientNext, ClientOnline, ClientView, MessageKind, Party, Role, StepTransfers, linear, local,
};

/// One session of the batch, being prepared.
pub(super) struct PendingSession {
    index: u32,
    seed: Seed,
    /// The client's share of each node's value, as far as it is known.
    shares: Vec<Option<Share>>,
    nodes: Vec<NodeState>,
    inbox: BTreeMap<NodeId, Assembly>,
}

/// How far a node has come.
enum NodeState {
    /// Its input shares are not known yet.
    Waiting,
    /// The masks were sent.
    LinearSent,
    /// The messages of an interactive step before number `next` are done.
    Interactive {
        half: Box<dyn ClientHalf>,
        next: usize,
        /// The server's last message, until the client has made its own from it.
        received: Option<Vec<u8>>,
    },
    /// Nothing is left to do before the online phase.
    Ready(Option<Box<dyn ClientOnline>>),
}

impl PendingSession {
    /// Draws all masks of a session.
    pub(super) fn new(index: u32, context: &Context) -> Result<Self, SessionError> {
        let seed = Seed::random()?;
        let plan = &context.plan;
        let mut shares = Vec::with_capacity(plan.nodes.len());
        let mut nodes = Vec::with_capacity(plan.nodes.len());
        for (id, (node, role)) in plan.nodes.iter().zip(context.layout.roles()).enumerate() {
            let mask = seed.derive("client mask", id as u64);
            shares.push(role.draws_mask().then(|| Share(mask.uniform_u32(node.shape.elements()))));
            nodes.push(match role {
                Role::Interactive(step) => NodeState::Interactive { half: step.client(), next: 0, received: None },
                Role::Input | Role::Linear(_) | Role::Local | Role::Offset | Role::Output(_) => NodeState::Waiting,
            });
        }
        Ok(Self { index, seed, shares, nodes, inbox: BTreeMap::new() })
    }

    /// Does everything that can be done with what is known.
    pub(super) fn advance(
        &mut self,
        context: &Context,
        messages: &mut Vec<PreprocessRequest>,
    ) -> Result<(), SessionError> {
        let plan = &context.plan;
        let mut masks: Vec<(NodeId, &LinearStep)> = Vec::new();
        for (id, node) in plan.nodes.iter().enumerate() {
            if let NodeState::Interactive { .. } = self.nodes[id] {
                self.advance_step(context, id, messages)?;
            }
            let NodeState::Waiting = self.nodes[id] else { continue };
            let inputs: Option<Vec<&Share>> = node.inputs.iter().map(|input| self.shares[*input].as_ref()).collect();
            let Some(inputs) = inputs else { continue };
            match context.layout.role(id) {
                Role::Input => {}
                Role::Linear(linear) => {
                    masks.push((id, &linear.step));
                    self.nodes[id] = NodeState::LinearSent;
                    continue;
                }
                // Only the server adds the constants; what is revealed is not changed either.
                Role::Offset | Role::Output(_) => self.shares[id] = Some(inputs[0].clone()),
                Role::Local => {
                    let shape = plan.nodes[node.inputs[0]].shape;
                    self.shares[id] = local::evaluate(&node.step, &inputs, shape, node.shape);
                }
                Role::Interactive(_) => return Err(SessionError::Model(id)),
            }
            self.nodes[id] = NodeState::Ready(None);
        }
        let shares = &self.shares;
        let encrypt = |(id, linear): &(NodeId, &LinearStep)| {
            let mask = shares[plan.nodes[*id].inputs[0]].as_ref().ok_or(SessionError::Model(*id))?;
            Ok((*id, linear::client_encrypt(context.client_keys(linear)?, linear, mask)?))
        };
        if masks.is_empty() {
            return Ok(());
        }
        context.observer.begins(Work::Encryption);
        let encrypted: Vec<_> = masks.par_iter().map(encrypt).collect::<Result<_, SessionError>>()?;
        for (id, data) in encrypted {
            self.send(id, MessageKind::MaskCiphertexts, data, messages);
        }
        context.observer.begins(Work::Transfers);
        Ok(())
    }

    /// Takes a piece of a step's message.
    pub(super) fn handle(
        &mut self,
        context: &Context,
        message: Message,
        messages: &mut Vec<PreprocessRequest>,
    ) -> Result<(), SessionError> {
        let Message { node: id, kind, round, .. } = message;
        let unexpected = SessionError::UnexpectedStep { node: id, kind, round };
        let expected = match self.nodes.get(id) {
            Some(NodeState::LinearSent) => Some(MessageKind::LinearResponses),
            Some(NodeState::Interactive { next, received: None, .. }) => {
                let kinds = context.layout.interactive(id).map(|step| step.preprocessing());
                kinds.and_then(|kinds| kinds.get(*next)).copied().filter(|kind| kind.sender() == Party::Server)
            }
            Some(NodeState::Waiting | NodeState::Interactive { .. } | NodeState::Ready(_)) | None => None,
        };
        let length = context.layout.message_len(id, kind, round);
        let (Some(length), true) = (length, Some(kind) == expected) else { return Err(unexpected) };
        if kind != MessageKind::LinearResponses && context.transfers().is_none() {
            return Err(SessionError::Unexpected("correlations before Accept"));
        }
        let Some(data) = self.inbox.entry(id).or_default().add(message, length)? else { return Ok(()) };
        self.inbox.remove(&id);
        match (&mut self.nodes[id], context.layout.role(id)) {
            (NodeState::LinearSent, Role::Linear(linear)) => {
                context.observer.begins(Work::Encryption);
                let keys = context.client_keys(&linear.step)?;
                self.shares[id] = Some(linear::client_decrypt(keys, &linear.step, &data)?);
                context.observer.begins(Work::Transfers);
                self.nodes[id] = NodeState::Ready(None);
                self.advance(context, messages)
            }
            (NodeState::Interactive { next, received, .. }, Role::Interactive(_)) => {
                *next += 1;
                *received = Some(data);
                self.advance_step(context, id, messages)
            }
            (NodeState::Waiting | NodeState::LinearSent | NodeState::Interactive { .. } | NodeState::Ready(_), _) => {
                Err(unexpected)
            }
        }
    }

    /// Makes the client's next message of an interactive step, if it is the client's turn, the input shares are known and
    /// the random OTs are set up.
    fn advance_step(
        &mut self,
        context: &Context,
        id: NodeId,
        messages: &mut Vec<PreprocessRequest>,
    ) -> Result<(), SessionError> {
        let inputs = &context.plan.nodes[id].inputs;
        let inputs: Option<Vec<&Share>> = inputs.iter().map(|input| self.shares[*input].as_ref()).collect();
        let (Some(inputs), Some(next_mask), Some((receiver, sender)), Some(step)) =
            (inputs, &self.shares[id], context.transfers(), context.layout.interactive(id))
        else {
            return Ok(());
        };
        let NodeState::Interactive { next, received, .. } = &self.nodes[id] else { return Ok(()) };
        let (next, kind) = (*next, step.preprocessing().get(*next).copied());
        // The server's last message may be the last of all.
        let turn = kind.map_or(received.is_some(), |kind| kind.sender() == Party::Client);
        if !turn {
            return Ok(());
        }
        let NodeState::Interactive { half, received, .. } =
            std::mem::replace(&mut self.nodes[id], NodeState::Ready(None))
        else {
            return Ok(());
        };
        let transfers = StepTransfers {
            receiver,
            first_chosen: context.layout.client_transfer(self.index, id),
            sender,
            first_offered: context.layout.server_transfer(self.index, id),
        };
        let seed = self.seed.derive(step.name(), id as u64);
        let view = ClientView { inputs: &inputs, next_mask, transfers, seed: &seed };
        let (message, after) = half.advance(received.as_deref().unwrap_or_default(), &view)?;
        self.nodes[id] = match after {
            ClientNext::Preprocessing(half) => NodeState::Interactive { half, next: next + 1, received: None },
            ClientNext::Ready(step) => NodeState::Ready(Some(step)),
        };
        if let Some(kind) = kind {
            self.send(id, kind, message, messages);
        }
        Ok(())
    }

    fn send(&self, node: NodeId, kind: MessageKind, data: Vec<u8>, messages: &mut Vec<PreprocessRequest>) {
        messages.extend(split(self.index, node, kind, 0, data).map(PreprocessRequest::Step));
    }

    pub(super) fn finish(mut self, context: &Context, prepared: Prepared) -> Result<ClientSession, SessionError> {
        let early = SessionError::Unexpected("Prepared before the session is");
        let mut steps = Vec::with_capacity(self.nodes.len());
        for state in self.nodes {
            match state {
                NodeState::Ready(step) => steps.push(step),
                NodeState::Waiting | NodeState::LinearSent | NodeState::Interactive { .. } => return Err(early),
            }
        }
        let (Some(Some(input_mask)), Some(Some(output_share))) =
            (self.shares.first_mut().map(Option::take), self.shares.last_mut().map(Option::take))
        else {
            return Err(early);
        };
        Ok(ClientSession {
            id: prepared.id,
            lifetime_seconds: prepared.lifetime_seconds,
            plan: context.plan.clone(),
            layout: context.layout.clone(),
            input_mask,
            steps,
            output_share,
        })
    }
}
