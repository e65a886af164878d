//! The step's interface.

use super::layout::SquareLayout;
use super::preprocess::client::SquareStart;
use super::preprocess::server::SquareAwaitsChoices;
use crate::steps::interactive::{ClientHalf, Interactive, OtCount, ServerHalf};
use crate::steps::message::MessageKind;

impl Interactive for SquareLayout {
    fn name(&self) -> &'static str {
        "square"
    }

    fn transfers(&self) -> OtCount {
        OtCount { client: self.client_transfers(), server: self.elements }
    }

    fn preprocessing(&self) -> &'static [MessageKind] {
        &[MessageKind::ShareChoices, MessageKind::ServerCorrelations, MessageKind::ClientCorrections]
    }

    fn rounds(&self) -> u32 {
        1
    }

    fn message_len(&self, kind: MessageKind, round: u32) -> Option<usize> {
        match (kind, round) {
            (MessageKind::ShareChoices, 0) => Some(self.share_choices_len()),
            (MessageKind::ServerCorrelations, 0) => Some(self.server_correlations_len()),
            (MessageKind::ClientCorrections, 0) => Some(self.client_corrections_len()),
            (MessageKind::ServerOpening, 0) => Some(self.opening_len()),
            (MessageKind::ClientOpening, 0) => Some(self.result_len()),
            _ => None,
        }
    }

    fn client(&self) -> Box<dyn ClientHalf> {
        Box::new(SquareStart(*self))
    }

    fn server(&self) -> Box<dyn ServerHalf> {
        Box::new(SquareAwaitsChoices(*self))
    }
}
