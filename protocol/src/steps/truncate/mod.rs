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

mod layout;
pub(super) mod online;
pub(super) mod preprocess;
mod step;

pub use layout::TruncateLayout;
