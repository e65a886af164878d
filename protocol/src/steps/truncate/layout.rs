//! Sizes of the step, and its halves.

use super::preprocess::client::TruncateStart;
use super::preprocess::server::TruncateServerStart;
use crate::bits::packed_len;
use crate::plan::ExtensionKind;
use crate::steps::interactive::{ClientHalf, Interactive, OtCount, ServerHalf};
use crate::steps::message::MessageKind;

/// Size of one truncate step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncateLayout {
    /// Number of elements.
    pub elements: usize,
    /// Low bits dropped, 1 to 30.
    pub drop: u32,
    /// How the transfers are made.
    pub kind: ExtensionKind,
}

impl TruncateLayout {
    /// Bytes of the server's extension rows.
    pub fn server_correlations_len(&self) -> usize {
        self.kind.extension_len(self.elements)
    }

    /// Bytes of the client's corrections.
    pub fn client_corrections_len(&self) -> usize {
        packed_len(self.elements, self.drop)
    }

    /// Bytes of the server's online message.
    pub fn opening_len(&self) -> usize {
        packed_len(self.elements, 1)
    }

    /// Bytes of the client's online answer.
    pub fn result_len(&self) -> usize {
        4 * self.elements
    }
}

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
