//! Preprocessing, the client's side: masks and keys in, prepared sessions out.

mod preparation;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assembly::{Assembly, split};
use super::error::SessionError;
use super::layout::SessionLayout;
use super::message::{Accept, Message, MessageKind, Open, OtSetup, Prepared, PreprocessRequest, PreprocessResponse};
use super::observer::{Unobserved, Work, WorkObserver};
use super::online_client::ClientSession;
use super::transfers::{self, Choosing, max_sessions};
use crate::he::{ClientBackend, ClientEngine, ParameterSet};
use crate::ot::silent::SilentPreparation;
use crate::ot::{BaseReceiver, ExtensionReceiver, ExtensionSender};
use crate::plan::{Plan, Step};
use preparation::Preparation;

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
    observer: Arc<dyn WorkObserver>,
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
        Self::start_observed(plan, model, sessions, backend, Arc::new(Unobserved))
    }

    /// As [`PreprocessClient::start`]; tells `observer` what is computed, now and later.
    ///
    /// # Errors
    /// As [`PreprocessClient::start`].
    pub fn start_observed(
        plan: Arc<Plan>,
        model: &str,
        sessions: u32,
        backend: &dyn ClientBackend,
        observer: Arc<dyn WorkObserver>,
    ) -> Result<(Self, Vec<PreprocessRequest>), SessionError> {
        observer.begins(Work::Encryption);
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
        observer.begins(Work::Transfers);
        let (base, base_receiver) = BaseReceiver::start_with(plan.transfers.kind().tree_height())?;
        let open = Open { model: model.to_string(), digest: plan.digest(), sessions, public_keys, base_receiver };
        let layout = Arc::new(SessionLayout::new(&plan));
        let context = Context { plan, layout, engines, transfers: None, observer };
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
        self.context.observer.begins(Work::Transfers);
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

impl Context {
    fn engine(&self, linear: &crate::plan::LinearPlan) -> Result<&dyn ClientEngine, SessionError> {
        self.engines.get(&linear.packing.parameters).map(|engine| &**engine).ok_or(SessionError::PublicKeys)
    }
}
