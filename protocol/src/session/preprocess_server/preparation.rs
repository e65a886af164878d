//! One session of a batch, being prepared by the server.

use std::collections::BTreeMap;

use super::super::assembly::{Assembly, split};
use super::super::error::SessionError;
use super::super::layout::NodeKind;
use super::super::message::{Message, MessageKind, PreprocessResponse};
use super::super::online_server::{ServerSession, ServerStep};
use super::Context;
use super::uploads::Upload;
use crate::plan::{NodeId, Plan, Step};
use crate::random::Seed;
use crate::rlwe::LinearResponse;
use crate::steps::select::SelectServerPending;
use crate::steps::square::SquareServerPending;
use crate::steps::truncate::TruncateServerPending;

/// One session of the batch, being prepared.
pub(super) struct Preparation {
    index: u32,
    /// Whether a linear step has been answered: no rows are made for a client that has done nothing itself.
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
    AwaitsChoices,
    SquareAwaitsCorrections(SquareServerPending),
    /// The rows of a truncate or comparing step are sent as soon as the transfers are set up.
    AwaitsTransfers,
    TruncateAwaitsCorrections(TruncateServerPending),
    SelectAwaitsCorrections(SelectServerPending),
    Ready(Option<ServerStep>),
}

impl Preparation {
    pub(super) fn new(index: u32, plan: &Plan) -> Result<Self, SessionError> {
        let nodes = plan.nodes.iter().map(|node| match &node.step {
            Step::Linear(_) => NodeState::AwaitsMasks,
            Step::Square { .. } => NodeState::AwaitsChoices,
            Step::Truncate { .. } | Step::Relu { .. } | Step::Maximum { .. } => NodeState::AwaitsTransfers,
            _ => NodeState::Ready(None),
        });
        Ok(Self { index, begun: false, seed: Seed::random()?, nodes: nodes.collect(), inbox: BTreeMap::new() })
    }

    /// Sends the rows of all truncate and comparing steps, once the session has begun: they depend on nothing that the
    /// client sends.
    pub(super) fn send_rows(&mut self, context: &Context, messages: &mut Vec<PreprocessResponse>) {
        if !self.begun {
            return;
        }
        let (Some(receiver), Some(_)) = (&context.receiver, &context.sender) else { return };
        for id in 0..self.nodes.len() {
            let NodeState::AwaitsTransfers = self.nodes[id] else { continue };
            let first = context.layout.server_transfer(self.index, id);
            let (state, rows) = match context.layout.kind(id) {
                NodeKind::Truncate(layout) => {
                    let seed = self.seed.derive("truncate", id as u64);
                    let (pending, rows) = TruncateServerPending::start(*layout, receiver, first, &seed);
                    (NodeState::TruncateAwaitsCorrections(pending), rows)
                }
                NodeKind::Select(layout) => {
                    let seed = self.seed.derive("select", id as u64);
                    let (pending, rows) = SelectServerPending::start(layout.clone(), receiver, first, &seed);
                    (NodeState::SelectAwaitsCorrections(pending), rows)
                }
                _ => continue,
            };
            self.nodes[id] = state;
            self.send(id, MessageKind::ServerCorrelations, rows, messages);
        }
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
            Some(NodeState::AwaitsMasks) => MessageKind::MaskCiphertexts,
            Some(NodeState::AwaitsChoices) => MessageKind::ShareChoices,
            Some(
                NodeState::SquareAwaitsCorrections(_)
                | NodeState::TruncateAwaitsCorrections(_)
                | NodeState::SelectAwaitsCorrections(_),
            ) => MessageKind::ClientCorrections,
            _ => return Err(unexpected),
        };
        let length = context.layout.message_len(id, kind, round);
        let (Some(length), true) = (length, kind == expected) else { return Err(unexpected) };
        if kind == MessageKind::ShareChoices && (context.sender.is_none() || context.receiver.is_none()) {
            return Err(SessionError::Unexpected("share choices before OtSetup"));
        }
        let Some(data) = self.inbox.entry(id).or_default().add(message, length)? else { return Ok(None) };
        self.inbox.remove(&id);
        self.nodes[id] = match std::mem::replace(&mut self.nodes[id], NodeState::Ready(None)) {
            NodeState::AwaitsMasks => {
                self.nodes[id] = NodeState::AwaitsProducts;
                let seed = self.seed.derive("linear", id as u64);
                return Ok(Some(Upload { session: self.index, data, seed }));
            }
            NodeState::AwaitsChoices => {
                let (Some(receiver), Some(sender)) = (&context.receiver, &context.sender) else {
                    return Err(unexpected);
                };
                let NodeKind::Square(layout) = context.layout.kind(id) else { return Err(unexpected) };
                let (pending, reply) = SquareServerPending::start(
                    *layout,
                    sender,
                    context.layout.client_transfer(self.index, id),
                    &data,
                    receiver,
                    context.layout.server_transfer(self.index, id),
                    &self.seed.derive("square", id as u64),
                )?;
                self.send(id, MessageKind::ServerCorrelations, reply, messages);
                NodeState::SquareAwaitsCorrections(pending)
            }
            NodeState::SquareAwaitsCorrections(pending) => {
                NodeState::Ready(Some(ServerStep::Square(pending.finish(&data))))
            }
            NodeState::TruncateAwaitsCorrections(pending) => {
                NodeState::Ready(Some(ServerStep::Truncate(pending.finish(&data))))
            }
            NodeState::SelectAwaitsCorrections(pending) => {
                let sender = context.sender.as_ref().ok_or(unexpected)?;
                let first = context.layout.client_transfer(self.index, id);
                NodeState::Ready(Some(ServerStep::Select(Box::new(pending.finish(sender, first, &data)?))))
            }
            _ => return Err(unexpected),
        };
        Ok(None)
    }

    /// Sends the products of an upload that [`Self::handle`] gave, and keeps the server's share.
    pub(super) fn answer_upload(
        &mut self,
        context: &Context,
        node: NodeId,
        (response, share): LinearResponse,
        messages: &mut Vec<PreprocessResponse>,
    ) {
        self.nodes[node] = NodeState::Ready(Some(ServerStep::Linear(share)));
        self.send(node, MessageKind::LinearResponses, response, messages);
        if !std::mem::replace(&mut self.begun, true) {
            self.send_rows(context, messages);
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, NodeState::Ready(_)))
    }

    pub(super) fn finish(self, context: &Context) -> ServerSession {
        let steps = self.nodes.into_iter().map(|node| match node {
            NodeState::Ready(step) => step,
            _ => None,
        });
        ServerSession { digest: context.model.digest(), layout: context.layout.clone(), steps: steps.collect() }
    }

    fn send(&self, node: NodeId, kind: MessageKind, data: Vec<u8>, messages: &mut Vec<PreprocessResponse>) {
        messages.extend(split(self.index, node, kind, 0, data).map(PreprocessResponse::Step));
    }
}
