//! One session of a batch, being prepared by the client.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::assembly::{Assembly, split};
use super::super::error::SessionError;
use super::super::layout::NodeKind;
use super::super::message::{Message, MessageKind, Prepared, PreprocessRequest};
use super::super::observer::Work;
use super::super::online_client::{ClientSession, ClientStep};
use super::Context;
use crate::plan::{NodeId, Plan, Step};
use crate::random::Seed;
use crate::share::Share;
use crate::steps::select::SelectClient;
use crate::steps::square::SquareClientPending;
use crate::steps::truncate::TruncateClient;
use crate::steps::{linear, local};

/// One session of the batch, being prepared.
pub(super) struct Preparation {
    index: u32,
    seed: Seed,
    /// The client's share of each node's value, as far as it is known.
    shares: Vec<Option<Share>>,
    nodes: Vec<NodeState>,
    inbox: BTreeMap<NodeId, Assembly>,
}

/// How far a node has come.
enum NodeState {
    /// Its input share is not known yet, or the transfers are not set up.
    Waiting,
    /// The server's rows of a truncate or comparing step have come before its input share was known.
    Rows(Vec<u8>),
    /// The masks were sent.
    LinearSent,
    /// The share choices were sent.
    SquareSent(SquareClientPending),
    /// Nothing is left to do before the online phase.
    Ready(Option<ClientStep>),
}

impl Preparation {
    /// Draws all masks of a session.
    pub(super) fn new(index: u32, plan: &Plan) -> Result<Self, SessionError> {
        let seed = Seed::random()?;
        let mut shares = Vec::with_capacity(plan.nodes.len());
        let mut nodes = Vec::with_capacity(plan.nodes.len());
        for (id, node) in plan.nodes.iter().enumerate() {
            let draws_mask = matches!(
                node.step,
                Step::Input | Step::Square { .. } | Step::Truncate { .. } | Step::Relu { .. } | Step::Maximum { .. }
            );
            let mask = seed.derive("client mask", id as u64);
            shares.push(draws_mask.then(|| Share(mask.uniform_u32(node.shape.elements()))));
            nodes.push(NodeState::Waiting);
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
        let mut masks = Vec::new();
        for (id, node) in plan.nodes.iter().enumerate() {
            let NodeState::Waiting = self.nodes[id] else {
                if let NodeState::Rows(_) = self.nodes[id] {
                    self.correct(context, id, messages)?;
                }
                continue;
            };
            let inputs: Option<Vec<&Share>> = node.inputs.iter().map(|input| self.shares[*input].as_ref()).collect();
            let Some(inputs) = inputs else { continue };
            match &node.step {
                Step::Input => self.nodes[id] = NodeState::Ready(None),
                Step::Linear(linear) => {
                    masks.push((id, linear));
                    self.nodes[id] = NodeState::LinearSent;
                }
                Step::Square { .. } => {
                    let (Some((receiver, _)), NodeKind::Square(layout)) =
                        (context.transfers(), context.layout.kind(id))
                    else {
                        continue;
                    };
                    let first = context.layout.client_transfer(self.index, id);
                    let (pending, rows) = SquareClientPending::start(*layout, inputs[0], receiver, first);
                    self.nodes[id] = NodeState::SquareSent(pending);
                    self.send(id, MessageKind::ShareChoices, rows, messages);
                }
                // Start when the server's rows come.
                Step::Truncate { .. } | Step::Relu { .. } | Step::Maximum { .. } => {}
                // Only the server adds the constants; what is revealed is not changed either.
                Step::Offset | Step::Output { .. } | Step::Class { .. } => {
                    self.shares[id] = Some(inputs[0].clone());
                    self.nodes[id] = NodeState::Ready(None);
                }
                step => {
                    let shape = plan.nodes[node.inputs[0]].shape;
                    self.shares[id] = local::evaluate(step, &inputs, shape, node.shape);
                    self.nodes[id] = NodeState::Ready(None);
                }
            }
        }
        let shares = &self.shares;
        let encrypt = |(id, linear): &(NodeId, &_)| {
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
        let node = context.plan.nodes.get(id);
        let expected = match (self.nodes.get(id), node.map(|node| &node.step)) {
            (Some(NodeState::LinearSent), _) => MessageKind::LinearResponses,
            (Some(NodeState::SquareSent(_)), _) => MessageKind::ServerCorrelations,
            (Some(NodeState::Waiting), Some(Step::Truncate { .. } | Step::Relu { .. } | Step::Maximum { .. })) => {
                MessageKind::ServerCorrelations
            }
            _ => return Err(unexpected),
        };
        let length = context.layout.message_len(id, kind, round);
        let (Some(length), true) = (length, kind == expected) else { return Err(unexpected) };
        if kind == MessageKind::ServerCorrelations && context.transfers().is_none() {
            return Err(SessionError::Unexpected("correlations before Accept"));
        }
        let Some(data) = self.inbox.entry(id).or_default().add(message, length)? else { return Ok(()) };
        self.inbox.remove(&id);
        match (std::mem::replace(&mut self.nodes[id], NodeState::Waiting), &context.plan.nodes[id].step) {
            (NodeState::LinearSent, Step::Linear(linear)) => {
                context.observer.begins(Work::Encryption);
                self.shares[id] = Some(linear::client_decrypt(context.client_keys(linear)?, linear, &data)?);
                context.observer.begins(Work::Transfers);
                self.nodes[id] = NodeState::Ready(None);
                self.advance(context, messages)
            }
            (NodeState::SquareSent(pending), _) => {
                let (Some((_, sender)), Some(mask)) = (context.transfers(), &self.shares[id]) else {
                    return Err(unexpected);
                };
                let first = context.layout.server_transfer(self.index, id);
                let (ready, corrections) = pending.finish(mask, sender, first, &data)?;
                self.nodes[id] = NodeState::Ready(Some(ClientStep::Square(ready)));
                self.send(id, MessageKind::ClientCorrections, corrections, messages);
                Ok(())
            }
            (NodeState::Waiting, _) => {
                self.nodes[id] = NodeState::Rows(data);
                self.correct(context, id, messages)
            }
            _ => Err(unexpected),
        }
    }

    /// Finishes a truncate or comparing step whose rows are there, if its input shares are known.
    fn correct(
        &mut self,
        context: &Context,
        id: NodeId,
        messages: &mut Vec<PreprocessRequest>,
    ) -> Result<(), SessionError> {
        let node = &context.plan.nodes[id];
        let inputs: Option<Vec<&Share>> = node.inputs.iter().map(|input| self.shares[*input].as_ref()).collect();
        let (NodeState::Rows(rows), Some(inputs), Some(mask)) = (&self.nodes[id], inputs, &self.shares[id]) else {
            return Ok(());
        };
        let Some((receiver, sender)) = context.transfers() else {
            return Err(SessionError::Unexpected("rows before Accept"));
        };
        let server_first = context.layout.server_transfer(self.index, id);
        let client_first = context.layout.client_transfer(self.index, id);
        let (step, corrections) = match context.layout.kind(id) {
            NodeKind::Truncate(layout) => {
                let (ready, corrections) =
                    TruncateClient::prepare(*layout, inputs[0], mask, sender, server_first, rows)?;
                (ClientStep::Truncate(ready), corrections)
            }
            NodeKind::Select(layout) => {
                let seed = self.seed.derive("select", id as u64);
                let difference;
                let (share, addend) = match (&node.step, inputs.as_slice()) {
                    (Step::Maximum { .. }, [first, second]) => {
                        difference = local::difference(first, second);
                        (&difference, Some(*second))
                    }
                    _ => (inputs[0], None),
                };
                let (ready, corrections) = SelectClient::prepare(
                    layout.clone(),
                    share,
                    addend,
                    mask,
                    receiver,
                    client_first,
                    sender,
                    server_first,
                    rows,
                    &seed,
                )?;
                (ClientStep::Select(Box::new(ready)), corrections)
            }
            _ => return Err(SessionError::Model(id)),
        };
        self.nodes[id] = NodeState::Ready(Some(step));
        self.send(id, MessageKind::ClientCorrections, corrections, messages);
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
                _ => return Err(early),
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
