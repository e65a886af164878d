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

mod layout;
pub(super) mod online;
pub(super) mod preprocess;
mod step;

pub use layout::SquareLayout;
