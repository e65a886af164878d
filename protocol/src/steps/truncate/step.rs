//! The step's interface.

use super::layout::TruncateLayout;
use super::preprocess::client::TruncateStart;
use super::preprocess::server::TruncateServerStart;
use crate::steps::interactive::{ClientHalf, Interactive, OtCount, ServerHalf};
use crate::steps::message::MessageKind;

impl Interactive for TruncateLayout {
    fn name(&self) -> &'static str {
        "truncate"
    }

    fn transfers(&self) -> OtCount {
        OtCount { client: 0, server: self.elements }
    }

    fn preprocessing(&self) -> &'static [MessageKind] {
        &[MessageKind::ServerCorrelations, MessageKind::ClientCorrections]
    }

    fn rounds(&self) -> u32 {
        1
    }

    fn message_len(&self, kind: MessageKind, round: u32) -> Option<usize> {
        match (kind, round) {
            (MessageKind::ServerCorrelations, 0) => Some(self.server_correlations_len()),
            (MessageKind::ClientCorrections, 0) => Some(self.client_corrections_len()),
            (MessageKind::ServerOpening, 0) => Some(self.opening_len()),
            (MessageKind::ClientOpening, 0) => Some(self.result_len()),
            _ => None,
        }
    }

    fn client(&self) -> Box<dyn ClientHalf> {
        Box::new(TruncateStart(*self))
    }

    fn server(&self) -> Box<dyn ServerHalf> {
        Box::new(TruncateServerStart(*self))
    }
}
