//! Quantisation: from the merged float graph to the plan's scales and the secret integers.
//!
//! 1. `skeleton`: the steps of the plan with their float weights; truncations where two linear layers meet.
//! 2. `scaling`: which channels of which steps must have the same scale, and which scales are free.
//! 3. `ranges`: how large every channel gets, from calibration samples or from interval analysis.
//! 4. `sensitivity`: how much an error in each channel, or in each weight, moves the logits.
//! 5. `objective` and `search`: the scales and numbers of dropped bits with the least expected error of the logits that fit.
//!    Where values are compared it begins at `start`.
//! 6. `integers`: rounded weights, and biases that cancel the mean of the rounding errors.

mod calibration;
mod error;
pub(crate) mod integers;
pub(crate) mod objective;
pub(crate) mod ranges;
pub(crate) mod scaling;
pub(crate) mod search;
pub(crate) mod sensitivity;
pub(crate) mod skeleton;
mod start;

pub use calibration::{Calibration, CalibrationError};
pub use error::QuantizeError;

/// A tensor that enters a nonlinear step must stay below `2^30` (`docs/protocol.md`, section 6).
pub(crate) const VALUE_BITS: u32 = 30;

/// Most bits dropped, so that `2^(drop+1)` is small against the bound on values.
pub(crate) const MAX_DROPPED: u32 = 24;
