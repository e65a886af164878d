//! One session of a batch, being prepared by the server.

use std::collections::BTreeMap;

use super::super::assembly::{Assembly, split};
use super::super::error::SessionError;
use super::super::message::{Message, PreprocessResponse};
use super::super::online_server::{ServerSession, ServerStep};
use super::context::Context;
use super::uploads::Upload;
use crate::plan::NodeId;
use crate::random::Seed;
use crate::rlwe::LinearResponse;
use crate::steps::{MessageKind, Party, Role, ServerHalf, ServerNext, ServerView, StepTransfers};

/// One session of the batch, being prepared.
pub(super) struct PendingSession {
    index: u32,
    /// Whether a linear step has been answered: nothing is begun for a client that has done nothing itself.
    begun: bool,
    seed: Seed,
    nodes: Vec<NodeState>,
    inbox: BTreeMap<NodeId, Assembly>,
}

/// How far a node has come.
enum NodeState {
    AwaitsMasks,
    /// The masks have come, and wait for the products.
    AwaitsProducts,
    /// The messages of an interactive step before number `next` are done.
    Interactive {
        half: Box<dyn ServerHalf>,
        next: usize,
    },
    Ready(Option<ServerStep>),
}

impl PendingSession {
    pub(super) fn new(index: u32, context: &Context) -> Result<Self, SessionError> {
        let nodes = context.layout.roles().map(|role| match role {
            Role::Linear(_) => NodeState::AwaitsMasks,
            Role::Interactive(step) => NodeState::Interactive { half: step.server(), next: 0 },
            Role::Input | Role::Local | Role::Offset | Role::Output(_) => NodeState::Ready(None),
        });
        Ok(Self { index, begun: false, seed: Seed::random()?, nodes: nodes.collect(), inbox: BTreeMap::new() })
    }

    /// Makes the first messages of all steps in which the server begins, once the session has begun and the random OTs are
    /// set up: they depend on nothing that the client sends.
    pub(super) fn begin_steps(
        &mut self,
        context: &Context,
        messages: &mut Vec<PreprocessResponse>,
    ) -> Result<(), SessionError> {
        if !self.begun || context.transfers().is_none() {
            return Ok(());
        }
        for id in 0..self.nodes.len() {
            let NodeState::Interactive { next: 0, .. } = self.nodes[id] else { continue };
            if self.next_kind(context, id).is_some_and(|kind| kind.sender() == Party::Server) {
                self.advance_step(context, id, &[], messages)?;
            }
        }
        Ok(())
    }

    /// Takes a piece of a step's message. Gives the upload of a linear step when it is whole, to be answered with
    /// [`Self::answer_upload`].
    pub(super) fn handle(
        &mut self,
        context: &Context,
        message: Message,
        messages: &mut Vec<PreprocessResponse>,
    ) -> Result<Option<Upload>, SessionError> {
        let Message { node: id, kind, round, .. } = message;
        let unexpected = SessionError::UnexpectedStep { node: id, kind, round };
        let expected = match self.nodes.get(id) {
            Some(NodeState::AwaitsMasks) => Some(MessageKind::MaskCiphertexts),
            Some(NodeState::Interactive { .. }) => {
                self.next_kind(context, id).filter(|kind| kind.sender() == Party::Client)
            }
            Some(NodeState::AwaitsProducts | NodeState::Ready(_)) | None => None,
        };
        let length = context.layout.message_len(id, kind, round);
        let (Some(length), true) = (length, Some(kind) == expected) else { return Err(unexpected) };
        if kind != MessageKind::MaskCiphertexts && context.transfers().is_none() {
            return Err(SessionError::Unexpected("a step's random OTs before OtSetup"));
        }
        let Some(data) = self.inbox.entry(id).or_default().add(message, length)? else { return Ok(None) };
        self.inbox.remove(&id);
        match &mut self.nodes[id] {
            state @ NodeState::AwaitsMasks => {
                *state = NodeState::AwaitsProducts;
                let seed = self.seed.derive("linear", id as u64);
                Ok(Some(Upload { session: self.index, data, seed }))
            }
            NodeState::Interactive { next, .. } => {
                *next += 1;
                self.advance_step(context, id, &data, messages)?;
                Ok(None)
            }
            NodeState::AwaitsProducts | NodeState::Ready(_) => Err(unexpected),
        }
    }

    /// The next preprocessing message of an interactive step, from either party.
    fn next_kind(&self, context: &Context, id: NodeId) -> Option<MessageKind> {
        let NodeState::Interactive { next, .. } = self.nodes.get(id)? else { return None };
        context.layout.interactive(id)?.preprocessing().get(*next).copied()
    }

    /// Makes the server's next message of an interactive step, from the client's last one.
    fn advance_step(
        &mut self,
        context: &Context,
        id: NodeId,
        received: &[u8],
        messages: &mut Vec<PreprocessResponse>,
    ) -> Result<(), SessionError> {
        let kind = self.next_kind(context, id);
        let (Some((receiver, sender)), Some(step)) = (context.transfers(), context.layout.interactive(id)) else {
            return Err(SessionError::Model(id));
        };
        let NodeState::Interactive { half, next } = std::mem::replace(&mut self.nodes[id], NodeState::Ready(None))
        else {
            return Err(SessionError::Model(id));
        };
        let transfers = StepTransfers {
            receiver,
            first_chosen: context.layout.server_transfer(self.index, id),
            sender,
            first_offered: context.layout.client_transfer(self.index, id),
        };
        let seed = self.seed.derive(step.name(), id as u64);
        let (message, after) = half.advance(received, &ServerView { transfers, seed: &seed })?;
        self.nodes[id] = match after {
            ServerNext::Preprocessing(half) => NodeState::Interactive { half, next: next + 1 },
            ServerNext::Ready(step) => NodeState::Ready(Some(ServerStep::Interactive(step))),
        };
        if let Some(kind) = kind {
            self.send(id, kind, message, messages);
        }
        Ok(())
    }

    /// Sends the products of an upload that [`Self::handle`] gave, and keeps the server's share.
    pub(super) fn answer_upload(
        &mut self,
        context: &Context,
        node: NodeId,
        (response, share): LinearResponse,
        messages: &mut Vec<PreprocessResponse>,
    ) -> Result<(), SessionError> {
        self.nodes[node] = NodeState::Ready(Some(ServerStep::Linear(share)));
        self.send(node, MessageKind::LinearResponses, response, messages);
        if !std::mem::replace(&mut self.begun, true) {
            self.begin_steps(context, messages)?;
        }
        Ok(())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, NodeState::Ready(_)))
    }

    pub(super) fn finish(self, context: &Context) -> ServerSession {
        let steps = self.nodes.into_iter().map(|node| match node {
            NodeState::Ready(step) => step,
            NodeState::AwaitsMasks | NodeState::AwaitsProducts | NodeState::Interactive { .. } => None,
        });
        ServerSession { digest: context.model.digest(), layout: context.layout.clone(), steps: steps.collect() }
    }

    fn send(&self, node: NodeId, kind: MessageKind, data: Vec<u8>, messages: &mut Vec<PreprocessResponse>) {
        messages.extend(split(self.index, node, kind, 0, data).map(PreprocessResponse::Step));
    }
}
