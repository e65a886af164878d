//! Truncate: drop `f` low bits of a shared value, exactly to within one unit (section 6 of the specification).
//!
//! ```text
//!                client: u, bc = 1 - msb(u)                server: v (offset added), bs = 1 - msb(v)
//! preprocessing                                <--------   extension rows for its random bits beta
//!                kappa (f bits each)           -------->
//! online                                       <--------   e = bs xor beta (1 bit each)
//!                z_c - r'                      -------->   v' = z_s + z_c - r'
//! ```
//!
//! The next mask `r'` becomes the client's share of the result.

use super::online_bit::{ClientBitProduct, ServerBitProduct};
use super::ring::{OFFSET, append, dropping_offset, shift_left};
use crate::bits::packed_len;
use crate::ot::{ExtensionReceiver, ExtensionSender, OtError, ReceiverKeys};
use crate::plan::ExtensionKind;
use crate::random::Seed;
use crate::share::Share;
use zeroize::Zeroizing;

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

/// The client after preprocessing.
pub struct TruncateClient {
    layout: TruncateLayout,
    /// Its share of the result but for the wrap-around term, less the next mask.
    constant: Share,
    wrap: ClientBitProduct,
}

impl TruncateClient {
    /// Takes the server's extension rows and gives the corrections. `share` is `u`, `next_mask` is `r'`.
    ///
    /// # Errors
    /// [`OtError`] if the rows have a wrong length.
    pub fn prepare(
        layout: TruncateLayout,
        share: &Share,
        next_mask: &Share,
        sender: &ExtensionSender,
        first_transfer: u64,
        rows: &[u8],
    ) -> Result<(Self, Vec<u8>), OtError> {
        let keys = sender.extend(first_transfer, layout.elements, rows)?;
        let mut corrections = Vec::with_capacity(layout.client_corrections_len());
        let positive = Share(share.iter().map(|own| 1 - (own >> 31)).collect());
        let wrap = ClientBitProduct::prepare(positive, &keys, layout.drop, &mut corrections);
        let constant = share.iter().zip(next_mask.iter()).map(|(own, mask)| (own >> layout.drop).wrapping_sub(*mask));
        Ok((Self { layout, constant: Share(constant.collect()), wrap }, corrections))
    }

    /// Answers the server's online message, which has the length of [`TruncateLayout::opening_len`].
    pub fn answer(&self, opening: &[u8]) -> Vec<u8> {
        let mut result = Vec::with_capacity(self.layout.result_len());
        let elements = self.constant.iter().enumerate().map(|(index, constant)| {
            let flip = u32::from(opening[index / 8] >> (index % 8)) & 1;
            let wrapped = shift_left(self.wrap.share(index, flip), 32 - self.layout.drop);
            constant.wrapping_add(wrapped)
        });
        append(elements, &mut result);
        result
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
    pub fn start(
        layout: TruncateLayout,
        receiver: &ExtensionReceiver,
        first_transfer: u64,
        seed: &Seed,
    ) -> (Self, Vec<u8>) {
        let choices = super::ring::random_bits(seed, layout.elements);
        let (rows, keys) = receiver.extend(first_transfer, layout.elements, &choices);
        (Self { layout, choices, keys }, rows)
    }

    /// Takes the client's corrections, which have the length of [`TruncateLayout::client_corrections_len`].
    pub fn finish(self, corrections: &[u8]) -> TruncateServer {
        let wrap = ServerBitProduct::prepare(&self.choices, &self.keys, self.layout.drop, corrections);
        TruncateServer { layout: self.layout, wrap }
    }
}

/// The server after preprocessing.
pub struct TruncateServer {
    layout: TruncateLayout,
    wrap: ServerBitProduct,
}

impl TruncateServer {
    /// Opens the wrap-around bits of `share` (`v`, without the offset). Gives the message and `z_s`.
    pub fn open(self, share: &Share) -> (Vec<u8>, Share) {
        let drop = self.layout.drop;
        let constant = shift_left(1, 32 - drop).wrapping_add(OFFSET >> drop);
        let mut flips = vec![0u64; self.layout.elements.div_ceil(64)];
        let results = share.iter().enumerate().map(|(index, element)| {
            let shifted = element.wrapping_add(dropping_offset(drop));
            let (flip, wrapped) = self.wrap.open(index, 1 - (shifted >> 31));
            flips[index / 64] |= u64::from(flip) << (index % 64);
            (shifted >> drop).wrapping_sub(constant).wrapping_add(shift_left(wrapped, 32 - drop))
        });
        let results = Share(results.collect());
        let mut opening = Vec::with_capacity(self.layout.opening_len());
        opening.extend(flips.iter().flat_map(|word| word.to_le_bytes()).take(self.layout.opening_len()));
        (opening, results)
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.wrap.memory_bytes()
    }
}
