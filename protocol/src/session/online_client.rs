//! Online phase, the client's side: an input in, logits out.

use std::sync::Arc;

use super::assembly::{Assembly, split};
use super::error::SessionError;
use super::inline::client_runs_inline;
use super::layout::SessionLayout;
use super::message::{Message, OnlineRequest, OnlineResponse, SessionId};
use crate::plan::{NodeId, Plan};
use crate::share::Share;
use crate::steps::{ClientOnline, MessageKind, Role};

/// A prepared session. Used at most once: [`ClientSession::start`] consumes it. Wiped on drop.
pub struct ClientSession {
    pub(super) id: SessionId,
    pub(super) lifetime_seconds: u64,
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Arc<SessionLayout>,
    pub(super) input_mask: Share,
    /// One entry per node, `Some` for interactive steps.
    pub(super) steps: Vec<Option<Box<dyn ClientOnline>>>,
    pub(super) output_share: Share,
}

impl ClientSession {
    /// The session's name on the server.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Seconds from its preparation until the server forgets the session.
    pub fn lifetime_seconds(&self) -> u64 {
        self.lifetime_seconds
    }

    /// Whether [`start`](Self::start) takes only some tens of microseconds.
    pub fn runs_inline(&self) -> bool {
        client_runs_inline(&self.plan, 0)
    }

    /// Uses the session up: gives the first messages for `input` ([`Plan::encode_input`]).
    ///
    /// # Errors
    /// A wrong number of elements; nothing may be sent then.
    pub fn start(self, input: &Share) -> Result<(OnlineClient, Vec<OnlineRequest>), SessionError> {
        let expected = self.input_mask.len();
        if input.len() != expected {
            return Err(SessionError::InputLength { expected, got: input.len() });
        }
        let masked = input.iter().zip(self.input_mask.iter()).flat_map(|(x, r)| x.wrapping_sub(*r).to_le_bytes());
        let mut messages = vec![OnlineRequest::Open(self.id)];
        messages.extend(split(0, 0, MessageKind::MaskedInput, 0, masked.collect()).map(OnlineRequest::Step));
        let client = OnlineClient { session: self, node: 0, round: 0, inbox: Assembly::default() };
        Ok((client, messages))
    }
}

impl std::fmt::Debug for ClientSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ClientSession({:?})", self.id)
    }
}

/// A session in its online phase.
pub struct OnlineClient {
    session: ClientSession,
    /// All interactive nodes before this one are done.
    node: NodeId,
    /// Round trip of the step whose opening is awaited.
    round: u32,
    inbox: Assembly,
}

/// What [`OnlineClient::handle`] gives.
pub enum OnlineProgress {
    /// To be sent; more messages of the server follow.
    Continue(Vec<OnlineRequest>),
    /// The logits on the ring, or the code of the class: [`Plan::decode_output`] and [`Plan::decode_class`] make numbers
    /// of them.
    Finished(Vec<u32>),
}

impl OnlineClient {
    /// Whether [`handle`](Self::handle) takes only some tens of microseconds for the message that is awaited, so that it
    /// does no harm where nothing may block. Follows from the plan alone.
    pub fn runs_inline(&self) -> bool {
        let waits = |node: &NodeId| self.session.steps.get(*node).is_none_or(Option::is_some);
        (self.node..).find(waits).is_none_or(|node| client_runs_inline(&self.session.plan, node))
    }

    /// Takes one message of the server.
    ///
    /// # Errors
    /// Any message that does not fit the state; the session is lost then.
    pub fn handle(&mut self, response: OnlineResponse) -> Result<OnlineProgress, SessionError> {
        let OnlineResponse::Step(message) = response;
        let ClientSession { plan, layout, steps, output_share, .. } = &mut self.session;
        while steps.get(self.node).is_some_and(Option::is_none) && self.node + 1 < plan.nodes.len() {
            self.node += 1;
        }
        let Message { session, node, kind, round, .. } = message;
        let unexpected = || SessionError::UnexpectedStep { node, kind, round };
        if self.node >= plan.nodes.len() {
            return Err(unexpected());
        }
        let revealed = match layout.role(self.node) {
            Role::Output(reveal) => Some(*reveal),
            Role::Input | Role::Linear(_) | Role::Interactive(_) | Role::Local | Role::Offset => None,
        };
        let expected = if revealed.is_some() { MessageKind::OutputShare } else { MessageKind::ServerOpening };
        if session != 0 || node != self.node || kind != expected || round != self.round {
            return Err(unexpected());
        }
        let length = layout.message_len(node, kind, round).ok_or_else(unexpected)?;
        let Some(data) = self.inbox.add(message, length)? else { return Ok(OnlineProgress::Continue(Vec::new())) };
        if let Some(reveal) = revealed {
            let revealed = reveal.client(output_share, &data);
            // Past the last node: whatever comes now is unexpected.
            self.node = plan.nodes.len();
            return Ok(OnlineProgress::Finished(revealed));
        }
        let mut current = steps[node].take().ok_or_else(unexpected)?;
        let answer = current.answer(round, &data);
        self.round = (round + 1) % layout.rounds(node).max(1);
        if self.round > 0 {
            steps[node] = Some(current);
        }
        Ok(OnlineProgress::Continue(
            split(0, node, MessageKind::ClientOpening, round, answer).map(OnlineRequest::Step).collect(),
        ))
    }
}
