//! Online phase, the server's side: computes on its shares, one interactive step after the other.

use std::sync::Arc;

use super::assembly::{Assembly, split};
use super::error::SessionError;
use super::inline::server_runs_inline;
use super::layout::SessionLayout;
use super::message::{OnlineRequest, OnlineResponse};
use super::model::ServerModel;
use super::observer::{Unobserved, Work, WorkObserver};
use crate::plan::{NodeId, PlanDigest};
use crate::share::Share;
use crate::steps::{MessageKind, Role, ServerOnline, ServerProgress, local};

/// A prepared session. Used at most once: [`ServerSession::start`] consumes it. Wiped on drop.
pub struct ServerSession {
    pub(super) digest: PlanDigest,
    pub(super) layout: Arc<SessionLayout>,
    /// One entry per node, `Some` for linear and interactive steps.
    pub(super) steps: Vec<Option<ServerStep>>,
}

/// The server's part of a step, ready for the online phase.
pub(super) enum ServerStep {
    /// `s`, its share of `W r`.
    Linear(Share),
    Interactive(Box<dyn ServerOnline>),
}

/// What the next message of the client completes.
enum Pending {
    Input,
    Step(Box<dyn ServerOnline>),
}

impl ServerSession {
    /// Digest of the plan that the session was prepared for.
    pub fn digest(&self) -> PlanDigest {
        self.digest
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let steps = self.steps.iter().flatten().map(|step| match step {
            ServerStep::Linear(share) => 4 * share.len(),
            ServerStep::Interactive(step) => step.memory_bytes(),
        });
        size_of::<Self>() + self.steps.len() * size_of::<Option<ServerStep>>() + steps.sum::<usize>()
    }

    /// Uses the session up.
    ///
    /// # Errors
    /// [`SessionError::Digest`] if `model` is not the one that the session was prepared for.
    pub fn start(self, model: Arc<dyn ServerModel>) -> Result<OnlineServer, SessionError> {
        self.start_observed(model, Arc::new(Unobserved))
    }

    /// As [`ServerSession::start`]; tells `observer` what is computed from then on.
    ///
    /// # Errors
    /// As [`ServerSession::start`].
    pub fn start_observed(
        self,
        model: Arc<dyn ServerModel>,
        observer: Arc<dyn WorkObserver>,
    ) -> Result<OnlineServer, SessionError> {
        let plan = model.plan().clone();
        if model.digest() != self.digest || plan.nodes.len() != self.steps.len() {
            return Err(SessionError::Digest);
        }
        let mut last_use = vec![0; plan.nodes.len()];
        for (id, node) in plan.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|input| last_use[*input] = id);
        }
        let values = plan.nodes.iter().map(|_| None).collect();
        Ok(OnlineServer {
            model,
            layout: self.layout,
            steps: self.steps,
            values,
            last_use,
            node: 0,
            round: 0,
            pending: Pending::Input,
            inbox: Assembly::default(),
            observer,
        })
    }
}

impl std::fmt::Debug for ServerSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ServerSession({} steps)", self.steps.len())
    }
}

/// A session in its online phase.
pub struct OnlineServer {
    model: Arc<dyn ServerModel>,
    layout: Arc<SessionLayout>,
    steps: Vec<Option<ServerStep>>,
    /// The server's share of each node's value, while it is needed.
    values: Vec<Option<Share>>,
    /// For each node the last one that takes its value.
    last_use: Vec<NodeId>,
    /// The node whose message is awaited.
    node: NodeId,
    /// Round trip of the step whose answer is awaited.
    round: u32,
    pending: Pending,
    inbox: Assembly,
    observer: Arc<dyn WorkObserver>,
}

impl OnlineServer {
    /// Takes one message of the client.
    ///
    /// # Errors
    /// Any message that does not fit the state; the session is lost then.
    pub fn handle(&mut self, request: OnlineRequest) -> Result<Vec<OnlineResponse>, SessionError> {
        let OnlineRequest::Step(message) = request else {
            return Err(SessionError::Unexpected("a second Open"));
        };
        self.observer.begins(Work::Activation);
        let (node, kind, round) = (message.node, message.kind, message.round);
        let unexpected = SessionError::UnexpectedStep { node, kind, round };
        let expected = if self.node == 0 { MessageKind::MaskedInput } else { MessageKind::ClientOpening };
        if message.session != 0 || node != self.node || kind != expected || round != self.round {
            return Err(unexpected);
        }
        let length = self.layout.message_len(node, kind, round).ok_or(unexpected)?;
        let Some(data) = self.inbox.add(message, length)? else { return Ok(Vec::new()) };
        let value = match std::mem::replace(&mut self.pending, Pending::Input) {
            Pending::Input => Share(data.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()),
            Pending::Step(mut step) => match step.answer(round, &data) {
                ServerProgress::Value(value) => value,
                ServerProgress::Opening(opening) => {
                    self.round += 1;
                    self.pending = Pending::Step(step);
                    let pieces = split(0, node, MessageKind::ServerOpening, self.round, opening);
                    return Ok(pieces.map(OnlineResponse::Step).collect());
                }
            },
        };
        self.round = 0;
        self.values[node] = Some(value);
        self.advance()
    }

    /// Whether the logits were sent.
    pub fn is_finished(&self) -> bool {
        self.node == self.values.len()
    }

    /// Whether [`handle`](Self::handle) takes only some tens of microseconds for the message that is awaited, so that it
    /// does no harm where nothing may block. Follows from the plan alone.
    pub fn runs_inline(&self) -> bool {
        server_runs_inline(self.model.plan(), &self.layout, self.node, self.round + 1 >= self.layout.rounds(self.node))
    }

    /// Computes up to the next message.
    fn advance(&mut self) -> Result<Vec<OnlineResponse>, SessionError> {
        let plan = self.model.plan().clone();
        for (id, node) in plan.nodes.iter().enumerate().skip(self.node + 1) {
            self.node = id;
            let role = self.layout.role(id);
            self.observer.begins(work(role));
            let inputs: Option<Vec<&Share>> = node.inputs.iter().map(|input| self.values[*input].as_ref()).collect();
            let inputs = inputs.ok_or(SessionError::Model(id))?;
            let value = match (role, self.steps[id].take()) {
                (Role::Linear(_), Some(ServerStep::Linear(mask_share))) => {
                    let mut accumulators = Share::zeros(node.shape.elements());
                    self.model.linear(id, inputs[0], &mut accumulators);
                    for (accumulator, share) in accumulators.iter_mut().zip(mask_share.iter()) {
                        *accumulator = accumulator.wrapping_add(*share);
                    }
                    accumulators
                }
                (Role::Interactive(_), Some(ServerStep::Interactive(mut step))) => {
                    let opening = step.open(&inputs);
                    self.pending = Pending::Step(step);
                    self.forget(id, &node.inputs);
                    return Ok(pieces(id, MessageKind::ServerOpening, opening));
                }
                (Role::Output(reveal), _) => {
                    let revealed = reveal.server(inputs[0]);
                    self.node = plan.nodes.len();
                    self.forget(id, &node.inputs);
                    return Ok(pieces(id, MessageKind::OutputShare, revealed));
                }
                (Role::Offset, _) => {
                    let mut value = inputs[0].clone();
                    self.model.offset(id, &mut value);
                    value
                }
                (Role::Local, _) => {
                    let shape = plan.nodes[node.inputs[0]].shape;
                    local::evaluate(&node.step, &inputs, shape, node.shape).ok_or(SessionError::Model(id))?
                }
                (Role::Input | Role::Linear(_) | Role::Interactive(_), _) => return Err(SessionError::Model(id)),
            };
            self.store(id, value, &node.inputs);
        }
        Ok(Vec::new())
    }

    fn store(&mut self, id: NodeId, value: Share, inputs: &[NodeId]) {
        self.values[id] = Some(value);
        self.forget(id, inputs);
    }

    /// Drops the values whose last use this was.
    fn forget(&mut self, id: NodeId, inputs: &[NodeId]) {
        for input in inputs {
            if self.last_use[*input] == id {
                self.values[*input] = None;
            }
        }
    }
}

/// The pieces of the first message about a node.
fn pieces(node: NodeId, kind: MessageKind, data: Vec<u8>) -> Vec<OnlineResponse> {
    split(0, node, kind, 0, data).map(OnlineResponse::Step).collect()
}

/// What a node is counted as.
fn work(role: &Role) -> Work {
    match role {
        Role::Interactive(_) | Role::Output(_) => Work::Activation,
        Role::Input | Role::Linear(_) | Role::Local | Role::Offset => Work::Linear,
    }
}
