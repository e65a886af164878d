//! The step's interface. Its sizes are [`SelectLayout`]'s.

use super::preprocess::client::SelectStart;
use super::preprocess::server::SelectServerStart;
use crate::plan::SelectLayout;
use crate::steps::interactive::{ClientHalf, Interactive, OtCount, ServerHalf};
use crate::steps::message::MessageKind;

impl Interactive for SelectLayout {
    fn name(&self) -> &'static str {
        "select"
    }

    fn transfers(&self) -> OtCount {
        OtCount { client: self.client_transfers(), server: self.server_transfers() }
    }

    fn preprocessing(&self) -> &'static [MessageKind] {
        &[MessageKind::ServerCorrelations, MessageKind::ClientCorrections]
    }

    fn rounds(&self) -> u32 {
        Self::rounds(self)
    }

    fn message_len(&self, kind: MessageKind, round: u32) -> Option<usize> {
        match kind {
            MessageKind::ServerCorrelations if round == 0 => Some(self.server_correlations_len()),
            MessageKind::ClientCorrections if round == 0 => Some(self.client_corrections_len()),
            MessageKind::ServerOpening if round < Self::rounds(self) => Some(self.server_opening_len(round)),
            MessageKind::ClientOpening if round < Self::rounds(self) => Some(self.client_opening_len(round)),
            _ => None,
        }
    }

    fn client(&self) -> Box<dyn ClientHalf> {
        Box::new(SelectStart(self.clone()))
    }

    fn server(&self) -> Box<dyn ServerHalf> {
        Box::new(SelectServerStart(self.clone()))
    }
}
