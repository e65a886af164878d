//! Online phase, the server's side: computes on its shares, one interactive step after the other.

use std::sync::Arc;

use super::assembly::{Assembly, split};
use super::error::SessionError;
use super::inline::server_runs_inline;
use super::layout::SessionLayout;
use super::message::{MessageKind, OnlineRequest, OnlineResponse};
use super::model::ServerModel;
use super::observer::{Unobserved, Work, WorkObserver};
use crate::plan::{NodeId, PlanDigest, Step};
use crate::share::Share;
use crate::steps::select::{SelectProgress, SelectServer};
use crate::steps::square::SquareServer;
use crate::steps::truncate::TruncateServer;
use crate::steps::{local, output};

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
    Square(SquareServer),
    Truncate(TruncateServer),
    Select(Box<SelectServer>),
}

/// What the next message of the client completes.
enum Pending {
    /// The input.
    Input,
    /// `z_s` of a step of one round trip.
    Half(Share),
    /// A step of several round trips.
    Select(Box<SelectServer>),
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
            ServerStep::Square(square) => square.memory_bytes(),
            ServerStep::Truncate(truncate) => truncate.memory_bytes(),
            ServerStep::Select(select) => select.memory_bytes(),
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
        let received = data.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let value = match std::mem::replace(&mut self.pending, Pending::Input) {
            Pending::Input => Share(received.collect()),
            Pending::Half(half) => {
                Share(half.iter().zip(received).map(|(half, other)| half.wrapping_add(other)).collect())
            }
            Pending::Select(mut select) => match select.answer(round, &data) {
                SelectProgress::Value(value) => value,
                SelectProgress::Opening(opening) => {
                    self.round += 1;
                    self.pending = Pending::Select(select);
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
        server_runs_inline(self.model.plan(), self.node, self.round + 1 >= self.layout.rounds(self.node))
    }

    /// Computes up to the next message.
    fn advance(&mut self) -> Result<Vec<OnlineResponse>, SessionError> {
        let plan = self.model.plan().clone();
        for (id, node) in plan.nodes.iter().enumerate().skip(self.node + 1) {
            self.node = id;
            self.observer.begins(work(&node.step));
            let inputs: Option<Vec<&Share>> = node.inputs.iter().map(|input| self.values[*input].as_ref()).collect();
            let inputs = inputs.ok_or(SessionError::Model(id))?;
            let (kind, data) = match (&node.step, self.steps[id].take()) {
                (Step::Linear(_), Some(ServerStep::Linear(mask_share))) => {
                    let mut accumulators = Share::zeros(node.shape.elements());
                    self.model.linear(id, inputs[0], &mut accumulators);
                    for (accumulator, share) in accumulators.iter_mut().zip(mask_share.iter()) {
                        *accumulator = accumulator.wrapping_add(*share);
                    }
                    self.store(id, accumulators, &node.inputs);
                    continue;
                }
                (Step::Square { .. }, Some(ServerStep::Square(square))) => {
                    let (opening, half) = square.open(inputs[0]);
                    self.pending = Pending::Half(half);
                    (MessageKind::ServerOpening, opening)
                }
                (Step::Truncate { .. }, Some(ServerStep::Truncate(truncate))) => {
                    let (opening, half) = truncate.open(inputs[0]);
                    self.pending = Pending::Half(half);
                    (MessageKind::ServerOpening, opening)
                }
                (step @ (Step::Relu { .. } | Step::Maximum { .. }), Some(ServerStep::Select(mut select))) => {
                    let opening = match (step, inputs.as_slice()) {
                        (Step::Maximum { .. }, [first, second]) => {
                            select.open(&local::difference(first, second), Some(second))
                        }
                        _ => select.open(inputs[0], None),
                    };
                    self.pending = Pending::Select(select);
                    (MessageKind::ServerOpening, opening)
                }
                (Step::Offset, _) => {
                    let mut value = inputs[0].clone();
                    self.model.offset(id, &mut value);
                    self.store(id, value, &node.inputs);
                    continue;
                }
                (Step::Output { drop }, _) => {
                    let revealed = output::server_reveal(inputs[0], *drop);
                    self.node = plan.nodes.len();
                    (MessageKind::OutputShare, revealed)
                }
                (Step::Class { bits }, _) => {
                    let revealed = output::server_reveal_class(inputs[0], *bits);
                    self.node = plan.nodes.len();
                    (MessageKind::OutputShare, revealed)
                }
                (step, _) => {
                    let shape = plan.nodes[node.inputs[0]].shape;
                    let value = local::evaluate(step, &inputs, shape, node.shape).ok_or(SessionError::Model(id))?;
                    self.store(id, value, &node.inputs);
                    continue;
                }
            };
            self.forget(id, &node.inputs);
            return Ok(split(0, id, kind, 0, data).map(OnlineResponse::Step).collect());
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

/// What a step is counted as.
fn work(step: &Step) -> Work {
    match step {
        Step::Square { .. }
        | Step::Truncate { .. }
        | Step::Relu { .. }
        | Step::Maximum { .. }
        | Step::Output { .. }
        | Step::Class { .. } => Work::Activation,
        _ => Work::Linear,
    }
}
