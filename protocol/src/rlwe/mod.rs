//! Homomorphic encryption of masks: RLWE over the 64-bit torus (`docs/protocol.md`, section 4).
//!
//! The ciphertext ring is `Z_{2^64}[X]/(X^N + 1)`, the plaintext ring has coefficients modulo `2^32`, `Delta = 2^32`. A
//! ciphertext `(a, b)` of `m` under the binary key `s` has the phase `b - a s = 2^32 m + e`. With a power of two as the
//! modulus, scaling and rounding are shifts, and nothing but the product needs modular reduction.
//!
//! ```text
//! client                                      server
//! pack, encrypt (client_keys) -- r -->        product with kernels, rerandomisation, uniform mask (evaluate)
//! decrypt (client_keys)       <-- W r - s --
//! ```

mod bundle;
mod ciphertext;
mod client_keys;
#[cfg(feature = "concrete-core")]
mod concrete;
mod direct;
mod error;
mod evaluate;
mod gaussian;
mod inputs;
mod kernel_polynomials;
mod keys;
mod masks;
mod noise;
mod ntt;
mod products;
mod public_key;
mod residues;
mod ring;
mod search;

#[cfg(test)]
mod tests;

pub use ciphertext::message_lengths;
pub use client_keys::{ClientBackend, ClientKeys, Encrypted, NativeBackend};
#[cfg(feature = "concrete-core")]
pub use concrete::ConcreteBackend;
pub use error::RlweError;
pub use evaluate::{LinearRequest, LinearResponse, PreparedLinear};
pub use keys::{PublicKey, public_key_len};
pub use masks::{SEED_BYTES, expand_masks};
pub use noise::{NoiseReport, noise_report};
pub use public_key::PreparedPublicKey;
pub use search::choose_packing;

pub(crate) use ciphertext::{read_response, write_bodies};
