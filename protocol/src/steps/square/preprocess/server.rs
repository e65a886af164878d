//! The server: rows for random bits and corrections of a random mask, then the client's corrections.

use crate::bits::pack;
use crate::ot::{OtError, ReceiverKeys};
use crate::random::Seed;
use crate::share::Share;
use crate::steps::interactive::{ServerHalf, ServerNext, ServerView, StepTransfers};
use crate::steps::one_round::OneRound;
use crate::steps::online_bit::ServerBitProduct;
use crate::steps::ring::{random_bits, shift_left};
use crate::steps::square::layout::SquareLayout;
use crate::steps::square::online::server::SquareServer;
use zeroize::Zeroizing;

/// The server before the client's extension rows.
pub(in crate::steps::square) struct SquareAwaitsChoices(pub(in crate::steps::square) SquareLayout);

impl ServerHalf for SquareAwaitsChoices {
    fn advance(self: Box<Self>, received: &[u8], view: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        let (pending, reply) = SquareServerPending::start(self.0, &view.transfers, received, view.seed)?;
        Ok((reply, ServerNext::Preprocessing(Box::new(pending))))
    }
}

impl ServerHalf for SquareServerPending {
    fn advance(self: Box<Self>, received: &[u8], _: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        Ok((Vec::new(), ServerNext::Ready(Box::new(OneRound::Prepared(self.finish(received))))))
    }
}

/// The server between its corrections and the client's.
pub struct SquareServerPending {
    layout: SquareLayout,
    /// `alpha`.
    blinds: Share,
    /// Its share of `2 p alpha`.
    products: Share,
    /// `x_0` and `x_1` of the transfer of the top bit of `p`, above the part used with `alpha`.
    wrap_keys: [Share; 2],
    choices: Zeroizing<Vec<u64>>,
    keys: ReceiverKeys,
}

impl SquareServerPending {
    /// Takes the client's extension rows and gives its own, followed by the corrections for `alpha`.
    ///
    /// # Errors
    /// [`OtError`] if the rows are refused.
    pub fn start(
        layout: SquareLayout,
        transfers: &StepTransfers,
        client_rows: &[u8],
        seed: &Seed,
    ) -> Result<(Self, Vec<u8>), OtError> {
        let SquareLayout { elements, .. } = layout;
        let client_keys = transfers.offer(0, layout.client_transfers(), client_rows)?;
        let choices = random_bits(&seed.derive("square choices", 0), elements);
        let (mut message, keys) = transfers.choose(0, elements, &choices);
        message.reserve(layout.server_correlations_len() - message.len());

        let blinds = Share(seed.derive("square blinds", 0).uniform_u32(elements));
        let mut products = Share::zeros(elements);
        let planes = client_keys.zero.chunks_exact(elements).zip(client_keys.one.chunks_exact(elements));
        for (plane, (zero, one)) in (0..).zip(planes) {
            let corrections = blinds.iter().zip(zero.iter().zip(one));
            let corrections =
                corrections.map(|(blind, (zero, one))| u64::from(*blind).wrapping_sub(one.wrapping_sub(*zero)));
            pack(corrections, SquareLayout::plane_width(plane), &mut message);
            for (product, zero) in products.iter_mut().zip(zero) {
                *product = product.wrapping_sub(shift_left(*zero as u32, plane + 1));
            }
        }
        let top_plane = (layout.planes() as usize - 1) * elements;
        let wrap_keys = [&client_keys.zero, &client_keys.one]
            .map(|keys| Share(keys[top_plane..].iter().map(|key| (key >> layout.wrap_key_shift()) as u32).collect()));
        Ok((Self { layout, blinds, products, wrap_keys, choices, keys }, message))
    }

    /// Takes the client's corrections, which have the length of [`SquareLayout::client_corrections_len`].
    pub fn finish(self, corrections: &[u8]) -> SquareServer {
        let wrap = ServerBitProduct::prepare(&self.choices, &self.keys, self.layout.wrap_width(), corrections);
        let Self { layout, blinds, products, wrap_keys, .. } = self;
        SquareServer { layout, blinds, products, wrap, wrap_keys }
    }
}
