//! Linear: preprocessing of a convolution or fully connected layer (section 4 of the specification).
//!
//! ```text
//! client: mask r                                       server: weights W
//! seeded encryptions of r packed into polynomials -->  products, rerandomisations, uniform masks rho
//! u = round(phase / 2^32)                         <--  W r - s encrypted, output coefficients only; s = round(rho / 2^32)
//! ```
//!
//! `u + s = W r + {-1, 0, 1}` modulo `2^32`.

mod client;
mod server;

use crate::plan::LinearStep;
use crate::rlwe::message_lengths;

pub use client::{client_decrypt, client_encrypt};
pub use server::server_respond;

/// A linear step and the sizes of its messages.
pub struct LinearLayout {
    /// Shape and packing.
    pub step: LinearStep,
    /// Bytes of the client's encrypted masks.
    pub upload: usize,
    /// Bytes of the server's response.
    pub response: usize,
}

impl LinearLayout {
    /// The layout of a validated step.
    pub fn new(step: &LinearStep) -> Self {
        let (upload, response) = message_lengths(step);
        Self { step: *step, upload, response }
    }
}
