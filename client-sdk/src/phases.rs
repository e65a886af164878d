//! The two phases without a network: wire messages in, wire messages out.
//!
//! Keys, masks and reconstruction happen in the state machines of `tacit_protocol::session`; this module puts
//! the conversions and the meter around them. It blocks while it computes.

use std::sync::Arc;

use tacit_proto::pb;
use tacit_protocol::plan::Plan;
use tacit_protocol::rlwe::ClientBackend;
use tacit_protocol::session::{ClientSession, OnlineClient, OnlineProgress, PreprocessClient, Work};
use tacit_protocol::share::Share;

use crate::error::ClientError;
use crate::statistics::{Meter, PhaseStatistics};

/// One phase on one stream.
pub(crate) trait Phase: Sized {
    /// Message to the server.
    type Request: Send + 'static;
    /// Message from the server.
    type Response: Send + 'static;
    /// What the phase is for.
    type Output: Send + 'static;

    /// Whether [`handle`](Self::handle) takes only some tens of microseconds for the message that is awaited.
    fn runs_inline(&self) -> bool;

    /// Takes one message of the server.
    fn handle(&mut self, response: Self::Response) -> Result<Advance<Self>, ClientError>;
}

/// What a phase does next.
pub(crate) enum Advance<P: Phase> {
    /// Sends these and waits for more.
    Continue(Vec<P::Request>),
    /// Is complete.
    Finished(P::Output),
}

/// Prepares a batch of sessions.
pub(crate) struct Preprocessing<S> {
    machine: PreprocessClient,
    meter: Meter,
    /// Takes each session as soon as it is prepared.
    sink: S,
}

impl<S: FnMut(ClientSession)> Preprocessing<S> {
    /// Generates keys and encrypts the first masks.
    pub(crate) fn start(
        plan: Arc<Plan>,
        model: &str,
        sessions: u32,
        backend: &dyn ClientBackend,
        sink: S,
    ) -> Result<(Self, Vec<pb::PreprocessRequest>), ClientError> {
        let mut meter = Meter::preprocessing();
        let observer = meter.stopwatch();
        let start = || PreprocessClient::start_observed(plan, model, sessions, backend, observer);
        let (machine, messages) = meter.time(Work::Encryption, start)?;
        let messages = messages.into_iter().map(|message| meter.sent(message)).collect::<Result<_, _>>()?;
        meter.idles();
        Ok((Self { machine, meter, sink }, messages))
    }
}

impl<S: FnMut(ClientSession)> Phase for Preprocessing<S> {
    type Request = pb::PreprocessRequest;
    type Response = pb::PreprocessResponse;
    type Output = PhaseStatistics;

    fn runs_inline(&self) -> bool {
        false
    }

    fn handle(&mut self, response: pb::PreprocessResponse) -> Result<Advance<Self>, ClientError> {
        let response = self.meter.received(response)?;
        let progress = self.meter.time(Work::Transfers, || self.machine.handle(response))?;
        progress.prepared.into_iter().for_each(&mut self.sink);
        if self.machine.is_finished() {
            return Ok(Advance::Finished(self.meter.statistics()));
        }
        let messages = progress.messages.into_iter().map(|message| self.meter.sent(message));
        let messages = messages.collect::<Result<_, _>>()?;
        self.meter.idles();
        Ok(Advance::Continue(messages))
    }
}

/// One inference with a prepared session.
pub(crate) struct Online {
    machine: OnlineClient,
    meter: Meter,
}

impl Online {
    /// Uses the session up.
    pub(crate) fn start(session: ClientSession, input: &Share) -> Result<(Self, Vec<pb::OnlineRequest>), ClientError> {
        let mut meter = Meter::online();
        let (machine, messages) = meter.time(Work::Linear, || session.start(input))?;
        let messages = messages.into_iter().map(|message| meter.sent(message)).collect::<Result<_, _>>()?;
        meter.idles();
        Ok((Self { machine, meter }, messages))
    }
}

impl Phase for Online {
    type Request = pb::OnlineRequest;
    type Response = pb::OnlineResponse;
    /// The logits or the code of the class on the ring, and what they cost.
    type Output = (Vec<u32>, PhaseStatistics);

    fn runs_inline(&self) -> bool {
        self.machine.runs_inline()
    }

    fn handle(&mut self, response: pb::OnlineResponse) -> Result<Advance<Self>, ClientError> {
        let response = self.meter.received(response)?;
        // Between the interactive steps the client has nothing to compute: its shares are known since preprocessing.
        match self.meter.time(Work::Activation, || self.machine.handle(response))? {
            OnlineProgress::Continue(messages) => {
                let messages = messages.into_iter().map(|message| self.meter.sent(message));
                let messages = messages.collect::<Result<_, _>>()?;
                self.meter.idles();
                Ok(Advance::Continue(messages))
            }
            OnlineProgress::Finished(logits) => Ok(Advance::Finished((logits, self.meter.statistics()))),
        }
    }
}
