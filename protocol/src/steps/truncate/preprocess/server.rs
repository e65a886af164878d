//! The server: rows for random bits, then the client's corrections.

use crate::ot::{OtError, ReceiverKeys};
use crate::random::Seed;
use crate::steps::interactive::{ServerHalf, ServerNext, ServerView, StepTransfers};
use crate::steps::one_round::OneRound;
use crate::steps::online_bit::ServerBitProduct;
use crate::steps::ring::random_bits;
use crate::steps::truncate::layout::TruncateLayout;
use crate::steps::truncate::online::server::TruncateServer;
use zeroize::Zeroizing;

/// The server before its extension rows.
pub(in crate::steps::truncate) struct TruncateServerStart(pub(in crate::steps::truncate) TruncateLayout);

impl ServerHalf for TruncateServerStart {
    fn advance(self: Box<Self>, _: &[u8], view: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        let (pending, rows) = TruncateServerPending::start(self.0, &view.transfers, view.seed);
        Ok((rows, ServerNext::Preprocessing(Box::new(pending))))
    }
}

impl ServerHalf for TruncateServerPending {
    fn advance(self: Box<Self>, received: &[u8], _: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        Ok((Vec::new(), ServerNext::Ready(Box::new(OneRound::Prepared(self.finish(received))))))
    }
}

/// The server between its extension rows and the client's corrections.
pub struct TruncateServerPending {
    layout: TruncateLayout,
    choices: Zeroizing<Vec<u64>>,
    keys: ReceiverKeys,
}

impl TruncateServerPending {
    /// Draws the random bits and gives the extension rows.
    pub fn start(layout: TruncateLayout, transfers: &StepTransfers, seed: &Seed) -> (Self, Vec<u8>) {
        let choices = random_bits(seed, layout.elements);
        let (rows, keys) = transfers.choose(0, layout.elements, &choices);
        (Self { layout, choices, keys }, rows)
    }

    /// Takes the client's corrections, which have the length of [`TruncateLayout::client_corrections_len`].
    pub fn finish(self, corrections: &[u8]) -> TruncateServer {
        let wrap = ServerBitProduct::prepare(&self.choices, &self.keys, self.layout.drop, corrections);
        TruncateServer { layout: self.layout, wrap }
    }
}
