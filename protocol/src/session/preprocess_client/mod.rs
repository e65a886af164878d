//! Preprocessing, the client's side: masks and keys in, prepared sessions out.

mod context;
mod pending;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assembly::split;
use super::error::SessionError;
use super::in_flight::sessions_in_flight;
use super::layout::SessionLayout;
use super::message::{Accept, Message, Open, OtSetup, Prepared, PreprocessRequest, PreprocessResponse};
use super::observer::{Unobserved, Work, WorkObserver};
use super::online_client::ClientSession;
use super::transfers::{self, Choosing, PendingSetup};
use crate::ot::BaseReceiver;
use crate::plan::Plan;
use crate::rlwe::ClientBackend;
use crate::steps::MessageKind;
use context::Context;
use pending::PendingSession;

/// Sessions of a batch that are started before the server's first answer. Each message of the server then starts another
/// one until as many are in flight as the plan allows, so that neither party waits for the other's work on a whole batch.
const FIRST_SESSIONS: usize = 4;

/// The client's side of one `Preprocess` stream.
pub struct PreprocessClient {
    context: Context,
    sessions: u32,
    started: u32,
    finished: u32,
    base: Option<BaseReceiver>,
    /// The set-up of silent OT while the server's reply is awaited.
    pending_setup: Option<PendingSetup>,
    active: BTreeMap<u32, PendingSession>,
    /// Most sessions that may be in `active`.
    pub(super) in_flight: usize,
}

/// What [`PreprocessClient::handle`] gives.
pub struct ClientProgress {
    /// To be sent, in order.
    pub messages: Vec<PreprocessRequest>,
    /// Sessions that are now ready on both sides.
    pub prepared: Vec<ClientSession>,
}

impl PreprocessClient {
    /// Generates keys and the first messages of a batch of `sessions` sessions with the model named `model`.
    ///
    /// # Errors
    /// An invalid plan, a count outside 1 to [`max_sessions`](super::max_sessions) of the plan, or a failure to generate
    /// keys.
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
        plan.validate()?;
        let layout = SessionLayout::new(&plan);
        Self::start_layout(plan, layout, model, sessions, backend, observer)
    }

    /// As [`PreprocessClient::start_observed`], for a validated plan and its layout.
    pub(super) fn start_layout(
        plan: Arc<Plan>,
        layout: SessionLayout,
        model: &str,
        sessions: u32,
        backend: &dyn ClientBackend,
        observer: Arc<dyn WorkObserver>,
    ) -> Result<(Self, Vec<PreprocessRequest>), SessionError> {
        observer.begins(Work::Encryption);
        transfers::check_sessions(&plan, &layout, sessions)?;
        let mut key_sets = BTreeMap::new();
        for parameters in layout.parameter_sets() {
            key_sets.insert(parameters, backend.generate(parameters)?);
        }
        let public_keys = key_sets.values().map(|client_keys| client_keys.public_key()).collect::<Result<_, _>>()?;
        observer.begins(Work::Transfers);
        let (base, base_receiver) = BaseReceiver::start(plan.transfers.tree_height())?;
        let open = Open { model: model.to_string(), digest: plan.digest(), sessions, public_keys, base_receiver };
        let in_flight = sessions_in_flight(&plan, &layout);
        let layout = Arc::new(layout);
        let context = Context { plan, layout, key_sets, receiver: None, sender: None, observer };
        let mut client = Self {
            context,
            sessions,
            started: 0,
            finished: 0,
            base: Some(base),
            pending_setup: None,
            active: BTreeMap::new(),
            in_flight,
        };
        let mut messages = vec![PreprocessRequest::Open(open)];
        for _ in 0..FIRST_SESSIONS {
            client.start_session(&mut messages)?;
        }
        // Step by step, so that the server has the uploads of several sessions for a step to answer them together.
        messages[1..].sort_by_key(|message| match message {
            PreprocessRequest::Step(message) => message.node,
            _ => 0,
        });
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
            PreprocessResponse::Step(message) if message.kind == MessageKind::ServerSilentReply => {
                self.finish_setup(message, &mut progress.messages)?;
            }
            PreprocessResponse::Step(message) => {
                let index = message.session;
                let session = self.active.get_mut(&index).ok_or(SessionError::SessionIndex(index))?;
                session.handle(&self.context, message, &mut progress.messages)?;
            }
            PreprocessResponse::Prepared(prepared) => {
                progress.prepared.push(self.finish(prepared)?);
            }
        }
        self.start_session(&mut progress.messages)?;
        Ok(progress)
    }

    /// Whether every session of the batch is ready.
    pub fn is_finished(&self) -> bool {
        self.finished == self.sessions
    }

    fn accept(&mut self, accept: Accept, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
        let base = self.base.take().ok_or(SessionError::Unexpected("a second Accept"))?;
        let kind = self.context.plan.transfers;
        let [client, server] = self.context.layout.transfers_of(self.sessions);
        let (sender, answer) = transfers::serve(kind, server, base, &accept.base_sender, &accept.silent_request)?;
        let Choosing { receiver, pending, base_sender, request } =
            transfers::choose(kind, client, &accept.base_receiver)?;
        messages.push(PreprocessRequest::OtSetup(OtSetup { base_sender, silent_request: request }));
        messages.extend(split(0, 0, MessageKind::ClientSilentReply, 0, answer).map(PreprocessRequest::Step));
        self.context.sender = Some(sender);
        self.context.receiver = receiver;
        self.pending_setup = pending;
        self.begin(messages)
    }

    /// Takes a piece of the server's reply to the silent set-up.
    fn finish_setup(&mut self, message: Message, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
        if let Some(receiver) = PendingSetup::receive(&mut self.pending_setup, message)? {
            self.context.receiver = Some(receiver);
            self.begin(messages)?;
        }
        Ok(())
    }

    /// Goes on with all sessions, once the random OTs are set up.
    fn begin(&mut self, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
        if self.context.transfers().is_none() {
            return Ok(());
        }
        self.active.values_mut().try_for_each(|session| session.advance(&self.context, messages))
    }

    /// Starts a session if one is left and may be in flight.
    fn start_session(&mut self, messages: &mut Vec<PreprocessRequest>) -> Result<(), SessionError> {
        if self.started < self.sessions && self.active.len() < self.in_flight {
            let mut session = PendingSession::new(self.started, &self.context)?;
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
