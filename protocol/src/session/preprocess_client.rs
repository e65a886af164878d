//! Preprocessing, the client's side: masks and keys in, prepared sessions out.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::assembly::{Assembly, split};
use super::error::SessionError;
use super::layout::SessionLayout;
use super::message::{Accept, Message, MessageKind, Open, OtSetup, Prepared, PreprocessRequest, PreprocessResponse};
use super::online_client::{ClientSession, ClientStep};
use super::transfers::{self, Choosing, max_sessions};
use crate::he::{ClientBackend, ClientEngine, ParameterSet};
use crate::ot::silent::SilentPreparation;
use crate::ot::{BaseReceiver, ExtensionReceiver, ExtensionSender};
use crate::plan::{NodeId, Plan, Step};
use crate::random::Seed;
use crate::share::Share;
use crate::steps::select::{SelectClient, SelectLayout};
use crate::steps::square::{SquareClientPending, SquareLayout};
use crate::steps::truncate::{TruncateClient, TruncateLayout};
use crate::steps::{linear, local};

/// Sessions of a batch that are worked on at the same time: bounds memory, hides the network's delay.
const SESSIONS_IN_FLIGHT: usize = 4;

/// The client's side of one `Preprocess` stream.
pub struct PreprocessClient {
    context: Context,
    sessions: u32,
    started: u32,
    finished: u32,
    base: Option<BaseReceiver>,
    preparing: Option<Preparing>,
    active: BTreeMap<u32, Preparation>,
}

/// What [`PreprocessClient::handle`] gives.
pub struct ClientProgress {
    /// To be sent, in order.
    pub messages: Vec<PreprocessRequest>,
    /// Sessions that are now ready on both sides.
    pub prepared: Vec<ClientSession>,
}

/// The transfers while the server's answer to the preparation is awaited.
struct Preparing {
    preparation: SilentPreparation,
    sender: ExtensionSender,
    inbox: Assembly,
}

/// What all sessions of a batch share.
struct Context {
    plan: Arc<Plan>,
    layout: Arc<SessionLayout>,
    engines: BTreeMap<ParameterSet, Box<dyn ClientEngine>>,
    /// The transfers in which the client chooses, and those in which the server does. Known once they are set up.
    transfers: Option<(ExtensionReceiver, ExtensionSender)>,
}

impl PreprocessClient {
    /// Generates keys and the first messages of a batch of `sessions` sessions with the model named `model`.
    ///
    /// # Errors
    /// A count outside 1 to [`Open::MAX_SESSIONS`], an invalid plan, or a failure to generate keys.
    pub fn start(
        plan: Arc<Plan>,
        model: &str,
        sessions: u32,
        backend: &dyn ClientBackend,
    ) -> Result<(Self, Vec<PreprocessRequest>), SessionError> {
        plan.validate()?;
        if !(1..=max_sessions(&plan)).contains(&sessions) {
            return Err(SessionError::SessionCount(sessions));
        }
        let mut engines = BTreeMap::new();
        for node in &plan.nodes {
            if let Step::Linear(linear) = &node.step
                && !engines.contains_key(&linear.packing.parameters)
            {
                engines.insert(linear.packing.parameters, backend.generate(linear.packing.parameters)?);
            }
        }
        let public_keys = engines.values().map(|engine| engine.public_key()).collect::<Result<_, _>>()?;
        let (base, base_receiver) = BaseReceiver::start_with(plan.transfers.kind().tree_height())?;
        let open = Open { model: model.to_string(), digest: plan.digest(), sessions, public_keys, base_receiver };
        let layout = Arc::new(SessionLayout::new(&plan));
        let context = Context { plan, layout, engines, transfers: None };
        let mut client = Self {
            context,
            sessions,
            started: 0,
            finished: 0,
            base: Some(base),
            preparing: None,
            active: BTreeMap::new(),
        };
        let mut messages = vec![PreprocessRequest::Open(open)];
        client.start_sessions(&mut messages)?;
        Ok((client, messages))
    }

    /// Takes one message of the server.
    ///
    /// # Errors
    /// Any message that does not fit the state; after an error the stream is of no further use.
    pub fn handle(&mut self, response: PreprocessResponse) -> Result<ClientProgress, SessionError> {
        let mut progress = ClientProgress { messages: Vec::new(), prepared: Vec::new() };
        match response {
            PreprocessResponse::Accept(accept) => self.accept(accept, &mut progress.messages)?,
            PreprocessResponse::Step(message) if message.kind == MessageKind::ServerPreparation => {
                self.prepare(message, &mut progress.messages)?;
            }
            PreprocessResponse::Step(message) => {
                let index = message.session;
                let session = self.active.get_mut(&index).ok_or(SessionError::SessionIndex(index))?;
                session.handle(&self.context, message, &mut progress.messages)?;
            }
            PreprocessResponse::Prepared(prepared) => {
                progress.prepared.push(self.finish(prepared)?);
                self.start_sessions(&mut progress.messages)?;
            }
        }
        Ok(progress)
    }

    /// Whether every session of the batch is ready.
    pub fn is_finished(&self) -> bool {
        self.finished == self.sessions
    }

    fn accept(&mut self, accept: Accept, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
        let base = self.base.take().ok_or(SessionError::Unexpected("a second Accept"))?;
        let kind = self.context.plan.transfers.kind();
        let [client, server] = self.context.layout.transfers_of(self.sessions);
        let (sender, answer) = transfers::serve(kind, server, base, &accept.base_sender, &accept.preparation)?;
        let (choosing, base_sender, preparation) = transfers::choose(kind, client, &accept.base_receiver)?;
        messages.push(PreprocessRequest::OtSetup(OtSetup { base_sender, preparation }));
        messages.extend(split(0, 0, MessageKind::ClientPreparation, 0, answer).map(PreprocessRequest::Step));
        match choosing {
            Choosing::Ready(receiver) => self.begin((receiver, sender), messages),
            Choosing::Preparing(preparation) => {
                self.preparing = Some(Preparing { preparation, sender, inbox: Assembly::default() });
                Ok(())
            }
        }
    }

    /// Takes a piece of the server's answer to the preparation.
    fn prepare(&mut self, message: Message, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
        let Message { session, node, kind, round, .. } = message;
        let unexpected = SessionError::UnexpectedStep { node, kind, round };
        let [transfers, _] = self.context.layout.transfers_of(self.sessions);
        let (_, length) = transfers::preparation_len(self.context.plan.transfers.kind(), transfers);
        let Some(preparing) = self.preparing.as_mut().filter(|_| (session, node, round) == (0, 0, 0)) else {
            return Err(unexpected);
        };
        let Some(answer) = preparing.inbox.add(message, length)? else { return Ok(()) };
        let Some(Preparing { preparation, sender, .. }) = self.preparing.take() else { return Err(unexpected) };
        self.begin((preparation.finish(&answer)?, sender), messages)
    }

    /// Goes on with all sessions, now that the transfers are set up.
    fn begin(
        &mut self,
        transfers: (ExtensionReceiver, ExtensionSender),
        messages: &mut Vec<PreprocessRequest>,
    ) -> Result<(), SessionError> {
        self.context.transfers = Some(transfers);
        self.active.values_mut().try_for_each(|session| session.advance(&self.context, messages))
    }

    fn start_sessions(&mut self, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
        while self.started < self.sessions && self.active.len() < SESSIONS_IN_FLIGHT {
            let mut session = Preparation::new(self.started, &self.context.plan)?;
            session.advance(&self.context, messages)?;
            self.active.insert(self.started, session);
            self.started += 1;
        }
        Ok(())
    }

    fn finish(&mut self, prepared: Prepared) -> Result<ClientSession, SessionError> {
        let session = self.active.remove(&prepared.session).ok_or(SessionError::SessionIndex(prepared.session))?;
        self.finished += 1;
        session.finish(&self.context, prepared)
    }
}

/// One session of the batch, being prepared.
struct Preparation {
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
    fn new(index: u32, plan: &Plan) -> Result<Self, SessionError> {
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
    fn advance(&mut self, context: &Context, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
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
                Step::Square { drop } => {
                    let Some((receiver, _)) = &context.transfers else { continue };
                    let kind = receiver.kind();
                    let layout = SquareLayout { elements: node.shape.elements(), drop: *drop, kind };
                    let first = context.layout.client_transfer(self.index, id);
                    let (pending, rows) = SquareClientPending::start(layout, inputs[0], receiver, first);
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
            Ok((*id, linear::client_encrypt(context.engine(linear)?, linear, mask)?))
        };
        let encrypted: Vec<_> = masks.par_iter().map(encrypt).collect::<Result<_, SessionError>>()?;
        for (id, data) in encrypted {
            self.send(id, MessageKind::MaskCiphertexts, data, messages);
        }
        Ok(())
    }

    /// Takes a piece of a step's message.
    fn handle(
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
        if kind == MessageKind::ServerCorrelations && context.transfers.is_none() {
            return Err(SessionError::Unexpected("correlations before Accept"));
        }
        let Some(data) = self.inbox.entry(id).or_default().add(message, length)? else { return Ok(()) };
        self.inbox.remove(&id);
        match (std::mem::replace(&mut self.nodes[id], NodeState::Waiting), &context.plan.nodes[id].step) {
            (NodeState::LinearSent, Step::Linear(linear)) => {
                self.shares[id] = Some(linear::client_decrypt(context.engine(linear)?, linear, &data)?);
                self.nodes[id] = NodeState::Ready(None);
                self.advance(context, messages)
            }
            (NodeState::SquareSent(pending), _) => {
                let (Some((_, sender)), Some(mask)) = (&context.transfers, &self.shares[id]) else {
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
        let Some((receiver, sender)) = &context.transfers else {
            return Err(SessionError::Unexpected("rows before Accept"));
        };
        let server_first = context.layout.server_transfer(self.index, id);
        let client_first = context.layout.client_transfer(self.index, id);
        let (step, corrections) = match (&node.step, inputs.as_slice()) {
            (Step::Truncate { drop }, _) => {
                let kind = receiver.kind();
                let layout = TruncateLayout { elements: node.shape.elements(), drop: *drop, kind };
                let (ready, corrections) =
                    TruncateClient::prepare(layout, inputs[0], mask, sender, server_first, rows)?;
                (ClientStep::Truncate(ready), corrections)
            }
            (step, inputs) => {
                let layout = SelectLayout::of_node(&context.plan, node).ok_or(SessionError::Model(id))?;
                let seed = self.seed.derive("select", id as u64);
                let difference;
                let (share, addend) = match (step, inputs) {
                    (Step::Maximum { .. }, [first, second]) => {
                        difference = local::difference(first, second);
                        (&difference, Some(*second))
                    }
                    _ => (inputs[0], None),
                };
                let (ready, corrections) = SelectClient::prepare(
                    layout,
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
        };
        self.nodes[id] = NodeState::Ready(Some(step));
        self.send(id, MessageKind::ClientCorrections, corrections, messages);
        Ok(())
    }

    fn send(&self, node: NodeId, kind: MessageKind, data: Vec<u8>, messages: &mut Vec<PreprocessRequest>) {
        messages.extend(split(self.index, node, kind, 0, data).map(PreprocessRequest::Step));
    }

    fn finish(mut self, context: &Context, prepared: Prepared) -> Result<ClientSession, SessionError> {
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

impl Context {
    fn engine(&self, linear: &crate::plan::LinearPlan) -> Result<&dyn ClientEngine, SessionError> {
        self.engines.get(&linear.packing.parameters).map(|engine| &**engine).ok_or(SessionError::PublicKeys)
    }
}
