//! Setting up the random OTs of a stream, the set-up of silent OT included.
//!
//! ```text
//! client                                              server
//! first message of its base OTs   -- Open -->   answer; first message of its own; [request for its choices]
//!                                       <- Accept --
//! answer; [request for its choices]     - OtSetup ->  [answer to it]
//! [answer to the server's request]      ---------->
//!                                       <----------
//! ```
//!
//! What is in brackets belongs to the silent extension only.

use crate::ot::{self, BaseReceiver, ExtensionReceiver, ExtensionSender, OtError, SilentSetup};
use crate::plan::{ExtensionKind, Plan};

use super::assembly::Assembly;
use super::error::SessionError;
use super::layout::SessionLayout;
use super::message::{Message, Open};

/// Most transfers of one direction that one stream prepares with the silent extension: bounds memory to some 200 MB.
const MAX_SILENT_TRANSFERS: u64 = 1 << 26;

/// Most sessions that one stream can prepare for a validated plan: [`Open::MAX_SESSIONS`], or with the silent extension
/// fewer if a stream would need more than 2^26 transfers in either direction, but always one.
pub fn max_sessions(plan: &Plan) -> u32 {
    layout_sessions(plan, &SessionLayout::new(plan))
}

fn layout_sessions(plan: &Plan, layout: &SessionLayout) -> u32 {
    match plan.transfers {
        ExtensionKind::SoftSpoken(_) => Open::MAX_SESSIONS,
        ExtensionKind::Silent => {
            let each = layout.client_transfers.max(layout.server_transfers).max(1);
            (MAX_SILENT_TRANSFERS / each).clamp(1, u64::from(Open::MAX_SESSIONS)) as u32
        }
    }
}

/// Refuses a number of sessions that one stream cannot prepare.
pub(super) fn check_sessions(plan: &Plan, layout: &SessionLayout, sessions: u32) -> Result<(), SessionError> {
    let limit = layout_sessions(plan, layout);
    if (1..=limit).contains(&sessions) { Ok(()) } else { Err(SessionError::SessionCount { sessions, limit }) }
}

/// The direction in which this party chooses, and what it sends.
pub(super) struct Choosing {
    /// The extension, unless it has to be prepared first.
    pub receiver: Option<ExtensionReceiver>,
    /// The set-up of silent OT, which awaits the other party's reply.
    pub pending: Option<PendingSetup>,
    /// Answer to the other party's base OTs.
    pub base_sender: Vec<u8>,
    /// Request of the silent set-up; empty where there is none.
    pub request: Vec<u8>,
}

/// A set-up of silent OT while the other party's answer is awaited.
pub(super) struct PendingSetup {
    setup: SilentSetup,
    inbox: Assembly,
    answer_len: usize,
}

impl PendingSetup {
    /// Takes a piece of the answer, a message of session 0, node 0 and round 0. Gives the extension when the answer is
    /// whole; there is nothing left to prepare then.
    pub(super) fn receive(
        pending: &mut Option<Self>,
        message: Message,
    ) -> Result<Option<ExtensionReceiver>, SessionError> {
        let Message { session, node, kind, round, .. } = message;
        let unexpected = SessionError::UnexpectedStep { node, kind, round };
        let Some(mut own) = pending.take().filter(|_| (session, node, round) == (0, 0, 0)) else {
            return Err(unexpected);
        };
        match own.inbox.add(message, own.answer_len)? {
            Some(answer) => Ok(Some(own.setup.finish(&answer)?)),
            None => {
                *pending = Some(own);
                Ok(None)
            }
        }
    }
}

/// Answers the other party's first message of base OTs, for `transfers` transfers in all.
pub(super) fn choose(kind: ExtensionKind, transfers: u64, first_message: &[u8]) -> Result<Choosing, OtError> {
    let (receiver, base_sender) = ot::base_send(kind.tree_height(), first_message)?;
    Ok(match kind {
        ExtensionKind::SoftSpoken(_) => {
            Choosing { receiver: Some(receiver), pending: None, base_sender, request: Vec::new() }
        }
        ExtensionKind::Silent => {
            let (setup, request) = SilentSetup::start(receiver, transfers)?;
            let (_, answer_len) = setup_len(kind, transfers);
            let pending = Some(PendingSetup { setup, inbox: Assembly::default(), answer_len });
            Choosing { receiver: None, pending, base_sender, request }
        }
    })
}

/// Finishes the base OTs of the direction in which the other party chooses, and answers its request. The answer is
/// empty where there was none.
pub(super) fn serve(
    kind: ExtensionKind,
    transfers: u64,
    base: BaseReceiver,
    base_sender: &[u8],
    request: &[u8],
) -> Result<(ExtensionSender, Vec<u8>), OtError> {
    let sender = base.finish(base_sender)?;
    match kind {
        ExtensionKind::SoftSpoken(_) if request.is_empty() => Ok((sender, Vec::new())),
        ExtensionKind::SoftSpoken(_) => {
            Err(OtError::Length { message: "request of a silent set-up", expected: 0, actual: request.len() })
        }
        ExtensionKind::Silent => ot::silent_reply(sender, transfers, request),
    }
}

/// Bytes of a silent set-up's request and reply for `transfers` transfers.
pub(super) fn setup_len(kind: ExtensionKind, transfers: u64) -> (usize, usize) {
    match kind {
        ExtensionKind::SoftSpoken(_) => (0, 0),
        ExtensionKind::Silent => {
            (ot::silent_request_len(kind.tree_height(), transfers), ot::silent_reply_len(transfers))
        }
    }
}
