//! Setting up the random transfers of a stream, the silent extension's preparation included.
//!
//! ```text
//! client                                              server
//! first message of its base transfers   -- Open -->   answer; first message of its own; [request for its choices]
//!                                       <- Accept --
//! answer; [request for its choices]     - OtSetup ->  [answer to it]
//! [answer to the server's request]      ---------->
//!                                       <----------
//! ```
//!
//! What is in brackets belongs to the silent extension only.

use crate::ot::silent::{self, SilentPreparation};
use crate::ot::{self, BaseReceiver, ExtensionKind, ExtensionReceiver, ExtensionSender, OtError};
use crate::plan::{Plan, Transfers};

use super::layout::SessionLayout;
use super::message::Open;

/// Most transfers of one direction that one stream prepares with the silent extension: bounds memory to some 200 MB.
const MAX_SILENT_TRANSFERS: u64 = 1 << 26;

/// Most sessions that one stream can prepare for a validated plan.
pub fn max_sessions(plan: &Plan) -> u32 {
    match plan.transfers {
        Transfers::SoftSpoken => Open::MAX_SESSIONS,
        Transfers::Silent => {
            let layout = SessionLayout::new(plan);
            let each = layout.client_transfers.max(layout.server_transfers).max(1);
            (MAX_SILENT_TRANSFERS / each).clamp(1, u64::from(Open::MAX_SESSIONS)) as u32
        }
    }
}

/// The direction in which this party chooses, before the other's answer to the preparation.
pub(super) enum Choosing {
    /// Ready.
    Ready(ExtensionReceiver),
    /// The silent extension's request was sent.
    Preparing(SilentPreparation),
}

/// Answers the other party's first message of base transfers. Gives the answer and the request for a preparation of
/// `transfers` transfers, which is empty where none is needed.
pub(super) fn choose(
    kind: ExtensionKind,
    transfers: u64,
    first_message: &[u8],
) -> Result<(Choosing, Vec<u8>, Vec<u8>), OtError> {
    let (receiver, base_sender) = ot::base_send_with(kind.tree_height(), first_message)?;
    Ok(match kind {
        ExtensionKind::SoftSpoken(_) => (Choosing::Ready(receiver), base_sender, Vec::new()),
        ExtensionKind::Silent => {
            let (preparation, request) = SilentPreparation::start(receiver, transfers)?;
            (Choosing::Preparing(preparation), base_sender, request)
        }
    })
}

/// Finishes the base transfers of the direction in which the other party chooses, and answers its request. The answer is
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
            Err(OtError::Length { message: "request of a preparation", expected: 0, actual: request.len() })
        }
        ExtensionKind::Silent => silent::silent_answer(sender, transfers, request),
    }
}

/// Bytes of a preparation's request and answer for `transfers` transfers.
pub(super) fn preparation_len(kind: ExtensionKind, transfers: u64) -> (usize, usize) {
    match kind {
        ExtensionKind::SoftSpoken(_) => (0, 0),
        ExtensionKind::Silent => (silent::request_len(kind.tree_height(), transfers), silent::answer_len(transfers)),
    }
}
