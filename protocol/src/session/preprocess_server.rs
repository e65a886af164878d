//! Preprocessing, the server's side: encrypted masks in, prepared sessions out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assembly::{Assembly, split};
use super::error::SessionError;
use super::in_flight::sessions_in_flight;
use super::layout::{NodeKind, SessionLayout};
use super::message::{Accept, Message, MessageKind, Open, PreprocessRequest, PreprocessResponse};
use super::model::ServerModel;
use super::observer::{Unobserved, Work, WorkObserver};
use super::online_server::{ServerSession, ServerStep};
use super::transfers::{self, Choosing, Preparing};
use crate::he::{ParameterSet, PreparedPublicKey};
use crate::ot::{BaseReceiver, ExtensionReceiver, ExtensionSender};
use crate::plan::{NodeId, Plan, Step};
use crate::random::Seed;
use crate::steps::linear;
use crate::steps::select::SelectServerPending;
use crate::steps::square::SquareServerPending;
use crate::steps::truncate::TruncateServerPending;

/// The server's side of one `Preprocess` stream.
pub struct PreprocessServer {
    context: Context,
    sessions: u32,
    started: u32,
    finished: u32,
    base: Option<BaseReceiver>,
    /// The silent extension's preparation while the client's answer is awaited.
    preparing: Option<Preparing>,
    active: BTreeMap<u32, Preparation>,
    /// Most sessions that may be in `active`.
    pub(super) in_flight: usize,
}

/// What [`PreprocessServer::handle`] gives.
pub struct ServerProgress {
    /// To be sent, in order.
    pub messages: Vec<PreprocessResponse>,
    /// Sessions that are ready, with their index in the batch. The caller stores each one and then announces it with
    /// [`PreprocessResponse::Prepared`].
    pub prepared: Vec<(u32, ServerSession)>,
}

/// What all sessions of a batch share.
struct Context {
    model: Arc<dyn ServerModel>,
    layout: Arc<SessionLayout>,
    public_keys: BTreeMap<ParameterSet, PreparedPublicKey>,
    /// The transfers in which the server chooses. With the silent extension known after its preparation.
    receiver: Option<ExtensionReceiver>,
    /// The transfers in which the client chooses. Known after `OtSetup`.
    sender: Option<ExtensionSender>,
    observer: Arc<dyn WorkObserver>,
}

impl PreprocessServer {
    /// Answers the first message of a stream.
    ///
    /// # Errors
    /// A digest that is not the model's, a bad count, unfit public keys or base transfers.
    pub fn open(model: Arc<dyn ServerModel>, open: Open) -> Result<(Self, Vec<PreprocessResponse>), SessionError> {
        Self::open_observed(model, open, Arc::new(Unobserved))
    }

    /// As [`PreprocessServer::open`]; tells `observer` what is computed, now and later.
    ///
    /// # Errors
    /// As [`PreprocessServer::open`].
    pub fn open_observed(
        model: Arc<dyn ServerModel>,
        open: Open,
        observer: Arc<dyn WorkObserver>,
    ) -> Result<(Self, Vec<PreprocessResponse>), SessionError> {
        if open.digest != model.digest() {
            return Err(SessionError::Digest);
        }
        transfers::check_sessions(model.plan(), open.sessions)?;
        observer.begins(Work::Encryption);
        let public_keys = prepare_public_keys(model.plan(), &open)?;
        observer.begins(Work::Transfers);
        let layout = Arc::new(SessionLayout::new(model.plan()));
        let kind = model.plan().transfers;
        let [_, transfers] = layout.transfers_of(open.sessions);
        let Choosing { receiver, preparing, base_sender, request } =
            transfers::choose(kind, transfers, &open.base_receiver)?;
        let (base, base_receiver) = BaseReceiver::start(kind.tree_height())?;
        let in_flight = sessions_in_flight(model.plan());
        let context = Context { model, layout, public_keys, receiver, sender: None, observer };
        let server = Self {
            context,
            sessions: open.sessions,
            started: 0,
            finished: 0,
            base: Some(base),
            preparing,
            active: BTreeMap::new(),
            in_flight,
        };
        Ok((server, vec![PreprocessResponse::Accept(Accept { base_sender, base_receiver, preparation: request })]))
    }

    /// Takes one message of the client. May compute for long.
    ///
    /// # Errors
    /// Any message that does not fit the state; after an error the stream is of no further use.
    pub fn handle(&mut self, request: PreprocessRequest) -> Result<ServerProgress, SessionError> {
        let mut progress = ServerProgress { messages: Vec::new(), prepared: Vec::new() };
        self.context.observer.begins(Work::Transfers);
        match request {
            PreprocessRequest::Open(_) => return Err(SessionError::Unexpected("a second Open")),
            PreprocessRequest::OtSetup(setup) => {
                let base = self.base.take().ok_or(SessionError::Unexpected("a second OtSetup"))?;
                let kind = self.context.model.plan().transfers;
                let [transfers, _] = self.context.layout.transfers_of(self.sessions);
                let (sender, answer) = transfers::serve(kind, transfers, base, &setup.base_sender, &setup.preparation)?;
                self.context.sender = Some(sender);
                let pieces = split(0, 0, MessageKind::ServerPreparation, 0, answer);
                progress.messages.extend(pieces.map(PreprocessResponse::Step));
                self.begin(&mut progress.messages);
            }
            PreprocessRequest::Step(message) if message.kind == MessageKind::ClientPreparation => {
                self.prepare(message, &mut progress.messages)?;
            }
            PreprocessRequest::Step(message) => self.step(message, &mut progress)?,
        }
        Ok(progress)
    }

    /// Whether every session of the batch is ready.
    pub fn is_finished(&self) -> bool {
        self.finished == self.sessions
    }

    /// Takes a piece of the client's answer to the preparation.
    fn prepare(&mut self, message: Message, messages: &mut Vec<PreprocessResponse>) -> Result<(), SessionError> {
        if self.context.sender.is_none() {
            return Err(SessionError::Unexpected("an answer to the preparation before OtSetup"));
        }
        if let Some(receiver) = Preparing::receive(&mut self.preparing, message)? {
            self.context.receiver = Some(receiver);
            self.begin(messages);
        }
        Ok(())
    }

    /// Sends the rows of the sessions that have begun, once the transfers are set up.
    fn begin(&mut self, messages: &mut Vec<PreprocessResponse>) {
        for session in self.active.values_mut().filter(|session| session.begun) {
            session.send_rows(&self.context, messages);
        }
    }

    fn step(&mut self, message: Message, progress: &mut ServerProgress) -> Result<(), SessionError> {
        let index = message.session;
        // A session begins with its first message; sessions begin in order.
        if index == self.started && index < self.sessions && self.active.len() < self.in_flight {
            self.active.insert(index, Preparation::new(index, self.context.model.plan())?);
            self.started += 1;
        }
        let session = self.active.get_mut(&index).ok_or(SessionError::SessionIndex(index))?;
        session.handle(&self.context, message, &mut progress.messages)?;
        if session.is_ready()
            && let Some(session) = self.active.remove(&index)
        {
            self.finished += 1;
            progress.prepared.push((index, session.finish(&self.context)));
        }
        Ok(())
    }
}

/// The client's keys, exactly one for each parameter set of the plan.
fn prepare_public_keys(plan: &Plan, open: &Open) -> Result<BTreeMap<ParameterSet, PreparedPublicKey>, SessionError> {
    let mut needed: Vec<ParameterSet> = plan
        .nodes
        .iter()
        .filter_map(|node| match &node.step {
            Step::Linear(linear) => Some(linear.packing.parameters),
            _ => None,
        })
        .collect();
    needed.sort();
    needed.dedup();
    if !open.public_keys.iter().map(|key| key.parameters).eq(needed) {
        return Err(SessionError::PublicKeys);
    }
    open.public_keys.iter().map(|key| Ok((key.parameters, PreparedPublicKey::new(key)?))).collect()
}

/// One session of the batch, being prepared.
struct Preparation {
    index: u32,
    /// Whether a linear step's masks have come: no rows are made for a client that has done nothing itself.
    begun: bool,
    seed: Seed,
    nodes: Vec<NodeState>,
    inbox: BTreeMap<NodeId, Assembly>,
}

/// How far a node has come.
enum NodeState {
    AwaitsMasks,
    AwaitsChoices,
    SquareAwaitsCorrections(SquareServerPending),
    /// The rows of a truncate or comparing step are sent as soon as the transfers are set up.
    AwaitsTransfers,
    TruncateAwaitsCorrections(TruncateServerPending),
    SelectAwaitsCorrections(SelectServerPending),
    Ready(Option<ServerStep>),
}

impl Preparation {
    fn new(index: u32, plan: &Plan) -> Result<Self, SessionError> {
        let nodes = plan.nodes.iter().map(|node| match &node.step {
            Step::Linear(_) => NodeState::AwaitsMasks,
            Step::Square { .. } => NodeState::AwaitsChoices,
            Step::Truncate { .. } | Step::Relu { .. } | Step::Maximum { .. } => NodeState::AwaitsTransfers,
            _ => NodeState::Ready(None),
        });
        Ok(Self { index, begun: false, seed: Seed::random()?, nodes: nodes.collect(), inbox: BTreeMap::new() })
    }

    /// Sends the rows of all truncate and comparing steps: they depend on nothing that the client sends.
    fn send_rows(&mut self, context: &Context, messages: &mut Vec<PreprocessResponse>) {
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

    /// Takes a piece of a step's message.
    fn handle(
        &mut self,
        context: &Context,
        message: Message,
        messages: &mut Vec<PreprocessResponse>,
    ) -> Result<(), SessionError> {
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
        let Some(data) = self.inbox.entry(id).or_default().add(message, length)? else { return Ok(()) };
        self.inbox.remove(&id);
        let step = &context.model.plan().nodes[id].step;
        self.nodes[id] = match (std::mem::replace(&mut self.nodes[id], NodeState::Ready(None)), step) {
            (NodeState::AwaitsMasks, Step::Linear(linear)) => {
                let prepared = context.model.prepared_linear(id).ok_or(SessionError::Model(id))?;
                let key = context.public_keys.get(&linear.packing.parameters).ok_or(SessionError::PublicKeys)?;
                let seed = self.seed.derive("linear", id as u64);
                context.observer.begins(Work::Encryption);
                let (response, share) = linear::server_respond(prepared, key, &data, &seed)?;
                context.observer.begins(Work::Transfers);
                self.send(id, MessageKind::LinearResponses, response, messages);
                if !std::mem::replace(&mut self.begun, true) {
                    self.send_rows(context, messages);
                }
                NodeState::Ready(Some(ServerStep::Linear(share)))
            }
            (NodeState::AwaitsChoices, _) => {
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
            (NodeState::SquareAwaitsCorrections(pending), _) => {
                NodeState::Ready(Some(ServerStep::Square(pending.finish(&data))))
            }
            (NodeState::TruncateAwaitsCorrections(pending), _) => {
                NodeState::Ready(Some(ServerStep::Truncate(pending.finish(&data))))
            }
            (NodeState::SelectAwaitsCorrections(pending), _) => {
                let sender = context.sender.as_ref().ok_or(unexpected)?;
                let first = context.layout.client_transfer(self.index, id);
                NodeState::Ready(Some(ServerStep::Select(Box::new(pending.finish(sender, first, &data)?))))
            }
            _ => return Err(unexpected),
        };
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, NodeState::Ready(_)))
    }

    fn finish(self, context: &Context) -> ServerSession {
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
