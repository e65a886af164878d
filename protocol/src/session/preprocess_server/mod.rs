//! Preprocessing, the server's side: encrypted masks in, prepared sessions out.

mod context;
mod pending;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assembly::split;
use super::error::SessionError;
use super::in_flight::sessions_in_flight;
use super::layout::SessionLayout;
use super::message::{Accept, Message, Open, OtSetup, PreprocessRequest, PreprocessResponse};
use super::model::ServerModel;
use super::observer::{Unobserved, Work, WorkObserver};
use super::online_server::ServerSession;
use super::transfers::{self, Choosing, PendingSetup};
use crate::ot::BaseReceiver;
use crate::plan::ParameterSet;
use crate::rlwe::{LinearRequest, PreparedPublicKey};
use crate::steps::MessageKind;
use crate::steps::linear;
use context::Context;
use pending::PendingSession;
use uploads::{Upload, Uploads};

/// The server's side of one `Preprocess` stream.
pub struct PreprocessServer {
    context: Context,
    sessions: u32,
    started: u32,
    finished: u32,
    base: Option<BaseReceiver>,
    /// The set-up of silent OT while the client's reply is awaited.
    pending_setup: Option<PendingSetup>,
    active: BTreeMap<u32, PendingSession>,
    /// What the sessions in `active` have sent for linear steps and has not been answered.
    uploads: Uploads,
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

impl PreprocessServer {
    /// Answers the first message of a stream.
    ///
    /// # Errors
    /// A digest that is not the model's, a bad count, unfit public keys or base OTs.
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
        let layout = SessionLayout::new(model.plan());
        Self::open_layout(model, layout, open, observer)
    }

    /// As [`PreprocessServer::open_observed`], for the layout of the model's plan.
    pub(super) fn open_layout(
        model: Arc<dyn ServerModel>,
        layout: SessionLayout,
        open: Open,
        observer: Arc<dyn WorkObserver>,
    ) -> Result<(Self, Vec<PreprocessResponse>), SessionError> {
        if open.digest != model.digest() {
            return Err(SessionError::Digest);
        }
        transfers::check_sessions(model.plan(), &layout, open.sessions)?;
        observer.begins(Work::Encryption);
        let public_keys = prepare_public_keys(&layout, &open)?;
        observer.begins(Work::Transfers);
        let kind = model.plan().transfers;
        let [_, transfers] = layout.transfers_of(open.sessions);
        let Choosing { receiver, pending, base_sender, request } =
            transfers::choose(kind, transfers, &open.base_receiver)?;
        let (base, base_receiver) = BaseReceiver::start(kind.tree_height())?;
        let in_flight = sessions_in_flight(model.plan(), &layout);
        let layout = Arc::new(layout);
        let context = Context { model, layout, public_keys, receiver, sender: None, observer };
        let server = Self {
            context,
            sessions: open.sessions,
            started: 0,
            finished: 0,
            base: Some(base),
            pending_setup: pending,
            active: BTreeMap::new(),
            uploads: Uploads::default(),
            in_flight,
        };
        Ok((server, vec![PreprocessResponse::Accept(Accept { base_sender, base_receiver, silent_request: request })]))
    }

    /// Takes messages of the client, in order, and answers them all except uploads for linear steps. Of those it answers
    /// some for one step, in one pass over its weights; if others are left [`Self::waiting_bytes`] says so, and this has to
    /// be called again, with or without messages. May compute for long.
    ///
    /// # Errors
    /// Any message that does not fit the state; after an error the stream is of no further use.
    pub fn handle(
        &mut self,
        requests: impl IntoIterator<Item = PreprocessRequest>,
    ) -> Result<ServerProgress, SessionError> {
        let mut progress = ServerProgress { messages: Vec::new(), prepared: Vec::new() };
        self.context.observer.begins(Work::Transfers);
        let mut touched = BTreeSet::new();
        for request in requests {
            match request {
                PreprocessRequest::Open(_) => return Err(SessionError::Unexpected("a second Open")),
                PreprocessRequest::OtSetup(setup) => self.set_up(&setup, &mut progress.messages)?,
                PreprocessRequest::Step(message) if message.kind == MessageKind::ClientSilentReply => {
                    self.finish_setup(message, &mut progress.messages)?;
                }
                PreprocessRequest::Step(message) => {
                    touched.insert(message.session);
                    self.step(message, &mut progress.messages)?;
                }
            }
        }
        touched.extend(self.answer_uploads(&mut progress.messages)?);
        for index in touched {
            if self.active.get(&index).is_some_and(PendingSession::is_ready)
                && let Some(session) = self.active.remove(&index)
            {
                self.finished += 1;
                progress.prepared.push((index, session.finish(&self.context)));
            }
        }
        Ok(progress)
    }

    /// Bytes of uploads for linear steps that wait for an answer; 0 if there are none.
    pub fn waiting_bytes(&self) -> usize {
        self.uploads.bytes()
    }

    /// Whether every session of the batch is ready.
    pub fn is_finished(&self) -> bool {
        self.finished == self.sessions
    }

    /// Takes the client's answer to [`Accept`].
    fn set_up(&mut self, setup: &OtSetup, messages: &mut Vec<PreprocessResponse>) -> Result<(), SessionError> {
        let base = self.base.take().ok_or(SessionError::Unexpected("a second OtSetup"))?;
        let kind = self.context.model.plan().transfers;
        let [transfers, _] = self.context.layout.transfers_of(self.sessions);
        let (sender, answer) = transfers::serve(kind, transfers, base, &setup.base_sender, &setup.silent_request)?;
        self.context.sender = Some(sender);
        messages.extend(split(0, 0, MessageKind::ServerSilentReply, 0, answer).map(PreprocessResponse::Step));
        self.begin(messages)
    }

    /// Takes a piece of the client's reply to the silent set-up.
    fn finish_setup(&mut self, message: Message, messages: &mut Vec<PreprocessResponse>) -> Result<(), SessionError> {
        if self.context.sender.is_none() {
            return Err(SessionError::Unexpected("a reply to the silent set-up before OtSetup"));
        }
        if let Some(receiver) = PendingSetup::receive(&mut self.pending_setup, message)? {
            self.context.receiver = Some(receiver);
            self.begin(messages)?;
        }
        Ok(())
    }

    /// Sends what the server sends first in the sessions that have begun, once the random OTs are set up.
    fn begin(&mut self, messages: &mut Vec<PreprocessResponse>) -> Result<(), SessionError> {
        for session in self.active.values_mut() {
            session.begin_steps(&self.context, messages)?;
        }
        Ok(())
    }

    fn step(&mut self, message: Message, messages: &mut Vec<PreprocessResponse>) -> Result<(), SessionError> {
        let (index, node) = (message.session, message.node);
        // A session begins with its first message; sessions begin in order.
        if index == self.started && index < self.sessions && self.active.len() < self.in_flight {
            self.active.insert(index, PendingSession::new(index, &self.context)?);
            self.started += 1;
        }
        let session = self.active.get_mut(&index).ok_or(SessionError::SessionIndex(index))?;
        if let Some(upload) = session.handle(&self.context, message, messages)? {
            self.uploads.add(node, upload);
        }
        Ok(())
    }

    /// Answers uploads for one step; gives the sessions.
    fn answer_uploads(&mut self, messages: &mut Vec<PreprocessResponse>) -> Result<Vec<u32>, SessionError> {
        let Some((node, uploads)) = self.uploads.next() else { return Ok(Vec::new()) };
        let prepared = self.context.model.prepared_linear(node).ok_or(SessionError::Model(node))?;
        let public_key =
            self.context.public_keys.get(&prepared.plan().packing.parameters).ok_or(SessionError::PublicKeys)?;
        let requests: Vec<LinearRequest> =
            uploads.iter().map(|Upload { data, seed, .. }| LinearRequest { public_key, upload: data, seed }).collect();
        self.context.observer.begins(Work::Encryption);
        let responses = linear::server_respond(prepared, &requests)?;
        self.context.observer.begins(Work::Transfers);
        for (upload, response) in uploads.iter().zip(responses) {
            if let Some(session) = self.active.get_mut(&upload.session) {
                session.answer_upload(&self.context, node, response, messages)?;
            }
        }
        Ok(uploads.into_iter().map(|upload| upload.session).collect())
    }
}

/// The client's keys, exactly one for each parameter set of the plan.
fn prepare_public_keys(
    layout: &SessionLayout,
    open: &Open,
) -> Result<BTreeMap<ParameterSet, PreparedPublicKey>, SessionError> {
    if !open.public_keys.iter().map(|key| key.parameters).eq(layout.parameter_sets()) {
        return Err(SessionError::PublicKeys);
    }
    open.public_keys.iter().map(|key| Ok((key.parameters, PreparedPublicKey::new(key)?))).collect()
}
