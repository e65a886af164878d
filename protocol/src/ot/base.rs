//! The 128 base OTs: endemic oblivious transfer of Masny and Rindal (CCS 2019) on Ristretto255.

use curve25519_dalek::{
    RistrettoPoint, Scalar,
    ristretto::CompressedRistretto,
    traits::{Identity, IsIdentity},
};
use rand::Rng;
use rayon::prelude::*;
use sha2::{Digest, Sha512};
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    error::OtError,
    kind::{ExtensionReceiver, ExtensionSender},
    transcript::{Key, Transcript},
    tree,
};
use crate::plan::{ROWS, TreeHeight};
use crate::random::Seed;

/// Bytes of a point.
pub(super) const POINT: usize = 32;

/// Bytes of the first message of the base OTs.
pub const BASE_FIRST_LEN: usize = ROWS * 2 * POINT;

const FIRST_MESSAGE: &str = "first message of the base OTs";
const REPLY: &str = "reply of the base OTs";

impl TreeHeight {
    /// Bytes of the reply of the base OTs.
    pub const fn base_reply_len(self) -> usize {
        POINT + self.corrections_len()
    }
}

/// Receiver of the base OTs, between its message and the reply. Becomes the [`ExtensionSender`].
///
/// Wiped on drop, redacted in `Debug`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BaseReceiver {
    #[zeroize(skip)]
    height: TreeHeight,
    /// `Delta`: bit `i` is the choice of base OT `i`.
    choices: u128,
    /// `a_i`.
    scalars: Vec<Scalar>,
    /// The transcript's first part. Public.
    #[zeroize(skip)]
    message: Vec<u8>,
}

impl BaseReceiver {
    /// Draws the choices and makes the first message, [`BASE_FIRST_LEN`] bytes. The peer must use trees of the same
    /// height.
    ///
    /// # Errors
    /// [`OtError::Random`] if the system's random generator fails.
    pub fn start(height: TreeHeight) -> Result<(Self, Vec<u8>), OtError> {
        Ok(Self::from_seed(height, &Seed::random()?))
    }

    pub(super) fn from_seed(height: TreeHeight, seed: &Seed) -> (Self, Vec<u8>) {
        let mut stream = seed.stream();
        let choices = u128::from(stream.next_u64()) | u128::from(stream.next_u64()) << 64;
        let scalars: Vec<Scalar> = (0..ROWS).map(|_| Scalar::random(&mut stream)).collect();
        let others: Vec<RistrettoPoint> = (0..ROWS).map(|_| RistrettoPoint::random(&mut stream)).collect();

        let mut message = vec![0; BASE_FIRST_LEN];
        message.par_chunks_exact_mut(2 * POINT).zip(scalars.par_iter().zip(&others)).enumerate().for_each(
            |(index, (points, (scalar, other)))| {
                let side = choice(choices, index);
                let offset = hash_to_point(index, side, other.compress().as_bytes());
                let own = RistrettoPoint::mul_base(scalar) - offset;
                let side = Choice::from(side);
                let (zero, one) = points.split_at_mut(POINT);
                let select =
                    |one: &_, zero: &_| RistrettoPoint::conditional_select(zero, one, side).compress().to_bytes();
                zero.copy_from_slice(&select(other, &own));
                one.copy_from_slice(&select(&own, other));
            },
        );
        let receiver = Self { height, choices, scalars, message: message.clone() };
        (receiver, message)
    }

    #[cfg(test)]
    pub(super) fn choices(&self) -> u128 {
        self.choices
    }

    /// Reads the reply.
    ///
    /// # Errors
    /// [`OtError::Length`], [`OtError::InvalidPoint`] or [`OtError::IdentityPoint`] if the reply is
    /// malformed.
    pub fn finish(self, reply: &[u8]) -> Result<ExtensionSender, OtError> {
        OtError::check_length(REPLY, self.height.base_reply_len(), reply)?;
        let (encoding, corrections) = reply.split_at(POINT);
        let point = decode(REPLY, 0, encoding)?;
        let transcript = Transcript::new(self.height, &self.message, encoding);
        let mut keys = Zeroizing::new([Key::default(); ROWS]);
        keys.par_iter_mut().zip(&self.scalars).enumerate().for_each(|(index, (key, scalar))| {
            let shared = Zeroizing::new((scalar * point).compress().to_bytes());
            *key = transcript.base_key(index, choice(self.choices, index), &*shared);
        });
        let trees = tree::punctured(self.height, &transcript, self.choices, &keys, corrections);
        Ok(ExtensionSender::new(self.height, self.choices, trees, &transcript))
    }
}

impl std::fmt::Debug for BaseReceiver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BaseReceiver(redacted)")
    }
}

/// Sender of the base OTs: answers the first message with [`TreeHeight::base_reply_len`] bytes. The peer must use
/// trees of the same height.
///
/// # Errors
/// [`OtError::Length`], [`OtError::InvalidPoint`] or [`OtError::IdentityPoint`] if the message is malformed,
/// [`OtError::Random`] if the system's random generator fails.
pub fn base_send(height: TreeHeight, first_message: &[u8]) -> Result<(ExtensionReceiver, Vec<u8>), OtError> {
    send_from_seed(height, &Seed::random()?, first_message)
}

pub(super) fn send_from_seed(
    height: TreeHeight,
    seed: &Seed,
    first_message: &[u8],
) -> Result<(ExtensionReceiver, Vec<u8>), OtError> {
    OtError::check_length(FIRST_MESSAGE, BASE_FIRST_LEN, first_message)?;
    let scalar = Zeroizing::new(Scalar::random(&mut seed.stream()));
    let own = RistrettoPoint::mul_base(&scalar).compress().to_bytes();
    let transcript = Transcript::new(height, first_message, &own);

    let mut keys = Zeroizing::new([[Key::default(); 2]; ROWS]);
    keys.par_iter_mut().zip(first_message.par_chunks_exact(2 * POINT)).enumerate().try_for_each(
        |(index, (keys, encodings))| {
            let (zero, one) = encodings.split_at(POINT);
            let points = [decode(FIRST_MESSAGE, 2 * index, zero)?, decode(FIRST_MESSAGE, 2 * index + 1, one)?];
            let offsets = [hash_to_point(index, 0, one), hash_to_point(index, 1, zero)];
            for side in 0..2 {
                let base = points[side] + offsets[side];
                if base.is_identity() {
                    return Err(OtError::IdentityPoint { message: FIRST_MESSAGE, index: 2 * index + side });
                }
                let shared = Zeroizing::new((*scalar * base).compress().to_bytes());
                keys[side] = transcript.base_key(index, side as u8, &*shared);
            }
            Ok(())
        },
    )?;

    let mut reply = Vec::with_capacity(height.base_reply_len());
    reply.extend_from_slice(&own);
    let trees = tree::complete(height, &transcript, &keys, &mut reply);
    Ok((ExtensionReceiver::new(height, trees, &transcript), reply))
}

/// The choice bit of base OT `index`.
fn choice(choices: u128, index: usize) -> u8 {
    (choices >> index) as u8 & 1
}

/// `H1`.
fn hash_to_point(index: usize, side: u8, encoding: &[u8]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(
        &Sha512::new()
            .chain_update(b"tacit v1 ot base point")
            .chain_update((index as u64).to_le_bytes())
            .chain_update([side])
            .chain_update(encoding)
            .finalize()
            .into(),
    )
}

/// A point that is canonically encoded and not the identity.
fn decode(message: &'static str, index: usize, encoding: &[u8]) -> Result<RistrettoPoint, OtError> {
    let point = CompressedRistretto::from_slice(encoding)
        .ok()
        .and_then(|compressed| compressed.decompress())
        .ok_or(OtError::InvalidPoint { message, index })?;
    if point == RistrettoPoint::identity() {
        return Err(OtError::IdentityPoint { message, index });
    }
    Ok(point)
}
