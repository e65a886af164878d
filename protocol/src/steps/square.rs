//! Square: drop `f` low bits of a shared value, then square it (section 7 of the specification). One round trip.
//!
//! With `p = u >> f` (client, known beforehand), `q = (v >> f) - T - (B >> f)` (server, online), `T = 2^(32-f)`:
//!
//! ```text
//! z = (p + q + T bc bs)^2 = p^2 + q^2 + 2 p alpha + 2 p (q - alpha) + 2T (p + T/2) bc bs + 2T bc (q bs)   (mod 2^32)
//!
//!                client: u, p, bc = 1 - msb(u)             server: v (offset added), q, bs = 1 - msb(v)
//! preprocessing  rows for the bits of p        -------->   random alpha, random bits beta
//!                                              <--------   rows for beta; per bit i of p: alpha - (x_1 - x_0), 31-i bits
//!                (p + T/2) bc - (x_1 - x_0)    -------->   (f-1 bits each)
//! online                                       <--------   q - alpha (31 bits), bs xor beta (1 bit),
//!                                                          q bs - (x_0 - x_1) (f-1 bits)
//!                z_c - r'                      -------->   v' = z_s + z_c - r'
//! ```
//!
//! `2T bc (q bs)` reuses the transfer of the top bit of `p`, whose choice is `1 - bc`: its 64-bit key is cut into a low
//! part for `alpha` (`f` bits) and a part above it for `q bs`.

use super::online_bit::{ClientBitProduct, ServerBitProduct};
use super::ring::{OFFSET, dropping_offset, low_bits, random_bits, shift_left};
use crate::bits::{pack, packed_len, unpack};
use crate::ot::{ExtensionReceiver, ExtensionSender, OtError, ReceiverKeys};
use crate::plan::{ExtensionKind, padded};
use crate::random::Seed;
use crate::share::Share;
use zeroize::Zeroizing;

/// Size of one square step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SquareLayout {
    /// Number of elements.
    pub elements: usize,
    /// Low bits dropped before squaring, 0 to 30.
    pub drop: u32,
    /// How the transfers are made.
    pub kind: ExtensionKind,
}

impl SquareLayout {
    /// Bits of `p` that reach the result: `2 p alpha` is taken modulo `2^32`.
    fn planes(&self) -> u32 {
        (32 - self.drop).min(31)
    }

    /// Bits of `alpha` that matter next to bit `plane` of `p`.
    fn plane_width(plane: u32) -> u32 {
        31 - plane
    }

    /// Bits of the factors of `2T`. Where `2T` vanishes (`drop < 2`) one idle bit keeps the messages uniform.
    fn wrap_width(&self) -> u32 {
        self.drop.saturating_sub(1).max(1)
    }

    /// Low bits of the top plane's key that `alpha` uses; no bit of a key is used twice.
    fn wrap_key_shift(&self) -> u32 {
        Self::plane_width(self.planes() - 1)
    }

    /// Transfers in which the client chooses.
    pub fn client_transfers(&self) -> usize {
        self.elements * self.planes() as usize
    }

    /// Bytes of the client's extension rows.
    pub fn share_choices_len(&self) -> usize {
        self.kind.extension_len(self.client_transfers())
    }

    /// Bytes of the server's extension rows and corrections.
    pub fn server_correlations_len(&self) -> usize {
        let corrections = (0..self.planes()).map(|plane| packed_len(self.elements, Self::plane_width(plane)));
        self.kind.extension_len(self.elements) + corrections.sum::<usize>()
    }

    /// Bytes of the client's corrections.
    pub fn client_corrections_len(&self) -> usize {
        packed_len(self.elements, self.wrap_width())
    }

    /// Bytes of the server's online message.
    pub fn opening_len(&self) -> usize {
        4 * self.elements + packed_len(self.elements, self.wrap_width())
    }

    /// Bytes of the client's online answer.
    pub fn result_len(&self) -> usize {
        4 * self.elements
    }
}

/// The client between its extension rows and the server's corrections.
pub struct SquareClientPending {
    layout: SquareLayout,
    /// `p`.
    quotients: Share,
    keys: ReceiverKeys,
}

impl SquareClientPending {
    /// Gives the extension rows for the bits of `p`. `share` is `u`.
    pub fn start(
        layout: SquareLayout,
        share: &Share,
        receiver: &ExtensionReceiver,
        first_transfer: u64,
    ) -> (Self, Vec<u8>) {
        let quotients = Share(share.iter().map(|own| own >> layout.drop).collect());
        let count = layout.client_transfers();
        let mut choices = Zeroizing::new(vec![0u64; padded(count) / 64]);
        for plane in 0..layout.planes() {
            let start = plane as usize * layout.elements;
            for (index, quotient) in quotients.iter().enumerate() {
                let position = start + index;
                choices[position / 64] |= u64::from(quotient >> plane & 1) << (position % 64);
            }
        }
        let (rows, keys) = receiver.extend(first_transfer, count, &choices);
        (Self { layout, quotients, keys }, rows)
    }

    /// Takes the server's message, which has the length of [`SquareLayout::server_correlations_len`], and gives the
    /// corrections. `next_mask` is `r'`.
    ///
    /// # Errors
    /// [`OtError`] if the extension rows are refused.
    pub fn finish(
        self,
        next_mask: &Share,
        sender: &ExtensionSender,
        first_transfer: u64,
        message: &[u8],
    ) -> Result<(SquareClient, Vec<u8>), OtError> {
        let Self { layout, quotients, keys } = self;
        let SquareLayout { elements, drop, .. } = layout;
        let (rows, mut corrections) = message.split_at(layout.kind.extension_len(elements));
        let server_keys = sender.extend(first_transfer, elements, rows)?;

        let mut constant: Vec<u32> =
            quotients.iter().zip(next_mask.iter()).map(|(p, mask)| p.wrapping_mul(*p).wrapping_sub(*mask)).collect();
        for (plane, keys) in (0..).zip(keys.chosen.chunks_exact(elements)) {
            let width = SquareLayout::plane_width(plane);
            let (own, rest) = corrections.split_at(packed_len(elements, width));
            corrections = rest;
            let terms = quotients.iter().zip(keys).zip(unpack(own, elements, width));
            for (sum, ((p, key), correction)) in constant.iter_mut().zip(terms) {
                let chosen = (p >> plane & 1).wrapping_neg();
                let share = (*key as u32).wrapping_add(correction as u32 & chosen);
                *sum = sum.wrapping_add(shift_left(share, plane + 1));
            }
        }

        let half = shift_left(1, 31 - drop);
        let positive = |p: &u32| (p >> (31 - drop) & 1).wrapping_sub(1);
        let values = quotients.iter().map(|p| p.wrapping_add(half) & positive(p) & low_bits(layout.wrap_width()));
        let mut own_corrections = Vec::with_capacity(layout.client_corrections_len());
        let wrap =
            ClientBitProduct::prepare(Share(values.collect()), &server_keys, layout.wrap_width(), &mut own_corrections);
        let top_plane = (layout.planes() as usize - 1) * elements;
        let wrap_keys = keys.chosen[top_plane..].iter().map(|key| (key >> layout.wrap_key_shift()) as u32).collect();
        let client = SquareClient { layout, quotients, constant: Share(constant), wrap, wrap_keys: Share(wrap_keys) };
        Ok((client, own_corrections))
    }
}

/// The client after preprocessing.
pub struct SquareClient {
    layout: SquareLayout,
    /// `p`.
    quotients: Share,
    /// `p^2`, plus its share of `2 p alpha`, less the next mask.
    constant: Share,
    /// `(p + T/2) bc` times the server's bit.
    wrap: ClientBitProduct,
    /// Pads of the transfer whose choice is `1 - bc`, for `bc` times the server's `q bs`.
    wrap_keys: Share,
}

impl SquareClient {
    /// Answers the server's online message, which has the length of [`SquareLayout::opening_len`].
    pub fn answer(&self, opening: &[u8]) -> Vec<u8> {
        let SquareLayout { elements, drop, .. } = self.layout;
        let (words, corrections) = opening.split_at(4 * elements);
        let corrections = unpack(corrections, elements, self.layout.wrap_width());
        let mut result = Vec::with_capacity(self.layout.result_len());
        for (index, (word, correction)) in words.as_chunks::<4>().0.iter().zip(corrections).enumerate() {
            let word = u32::from_le_bytes(*word);
            let p = self.quotients[index];
            let positive = (p >> (31 - drop) & 1).wrapping_sub(1);
            // Bit 31 of the word is the flip; doubling shifts it out of the difference below it.
            let cross = p.wrapping_mul(word << 1);
            let wrapped = self
                .wrap
                .share(index, word >> 31)
                .wrapping_add(self.wrap_keys[index])
                .wrapping_add(correction as u32 & positive);
            let sum = self.constant[index].wrapping_add(cross).wrapping_add(shift_left(wrapped, 33 - drop));
            result.extend_from_slice(&sum.to_le_bytes());
        }
        result
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
        sender: &ExtensionSender,
        first_client_transfer: u64,
        client_rows: &[u8],
        receiver: &ExtensionReceiver,
        first_server_transfer: u64,
        seed: &Seed,
    ) -> Result<(Self, Vec<u8>), OtError> {
        let SquareLayout { elements, .. } = layout;
        let client_keys = sender.extend(first_client_transfer, layout.client_transfers(), client_rows)?;
        let choices = random_bits(&seed.derive("square choices", 0), elements);
        let (mut message, keys) = receiver.extend(first_server_transfer, elements, &choices);
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

/// The server after preprocessing.
pub struct SquareServer {
    layout: SquareLayout,
    blinds: Share,
    products: Share,
    wrap: ServerBitProduct,
    wrap_keys: [Share; 2],
}

impl SquareServer {
    /// Opens the blinded values for `share` (`v`, without the offset). Gives the message and `z_s`.
    pub fn open(self, share: &Share) -> (Vec<u8>, Share) {
        let SquareLayout { elements, drop, .. } = self.layout;
        let constant = shift_left(1, 32 - drop).wrapping_add(OFFSET >> drop);
        let mut opening = Vec::with_capacity(self.layout.opening_len());
        let mut corrections = Vec::with_capacity(elements);
        let mut results = Share::zeros(elements);
        for (index, element) in share.iter().enumerate() {
            let shifted = element.wrapping_add(dropping_offset(drop));
            let q = (shifted >> drop).wrapping_sub(constant);
            let positive = 1 - (shifted >> 31);
            let (flip, wrapped) = self.wrap.open(index, positive);
            let difference = q.wrapping_sub(self.blinds[index]) & low_bits(31);
            opening.extend_from_slice(&(difference | flip << 31).to_le_bytes());
            let (zero, one) = (self.wrap_keys[0][index], self.wrap_keys[1][index]);
            let value = q & positive.wrapping_neg();
            corrections.push(u64::from(value.wrapping_sub(zero.wrapping_sub(one))));
            let wrapped = shift_left(wrapped.wrapping_sub(one), 33 - drop);
            results[index] = q.wrapping_mul(q).wrapping_add(self.products[index]).wrapping_add(wrapped);
        }
        pack(corrections, self.layout.wrap_width(), &mut opening);
        (opening, results)
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        16 * self.layout.elements + self.wrap.memory_bytes()
    }
}
