//! What a server needs at run time: kernels of the online phase, weights prepared for both phases, and the plain
//! fixed-point reference that private inference must match.

pub mod fixed_point;
pub mod kernels;
mod parameters;
pub mod prepared;
pub mod runs;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;

pub use parameters::{LinearParameters, Parameters, RingBias};
pub use prepared::PrepareError;
