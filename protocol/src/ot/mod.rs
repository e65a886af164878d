//! Oblivious transfer: base OTs, extension, and random keys (`docs/protocol.md`, section 5).
//!
//! A *random OT* leaves the receiver, who chose a bit `c`, with a 64-bit key `x_c`, and the sender with
//! `x_0` and `x_1`. The sender learns nothing about `c`, the receiver nothing about `x_{1-c}`. Both parties
//! are semi-honest. What is transferred, and what products are made of it, is up to [`crate::steps`].
//!
//! ```text
//! extension receiver (base sender)                extension sender (base receiver)
//!                                                 BaseReceiver::start
//!                     <------ first message ------
//! base_send
//!                     ---------- reply ---------->
//!                                                 BaseReceiver::finish
//! ExtensionReceiver::extend
//!                     --- extension message(s) -->
//!                                                 ExtensionSender::extend
//! ```
//!
//! # The three layers
//!
//! 1. **Base OTs** ([`BaseReceiver`], [`base_send`]): 128 random OTs on Ristretto255,
//!    by the endemic transfer of Masny and Rindal (CCS 2019, ePrint 2019/706, figure 8), in which
//!    the extension sender's choice bits are its secret `Delta`.
//! 2. **Punctured trees**: the 128 transfers are dealt to trees of height `k` ([`TreeHeight`](crate::plan::TreeHeight); the
//!    last tree takes the rest of the division of 128 by `k`). Each tree gives one party `2^k` leaf
//!    seeds and the other all of them but the one at its `k` bits of `Delta`: the punctured
//!    pseudorandom function of Goldreich, Goldwasser and Micali.
//! 3. **Extension** ([`ExtensionReceiver`], [`ExtensionSender`]): SoftSpokenOT (Roy, CRYPTO 2022,
//!    ePrint 2022/192). The leaves' streams give a vector oblivious linear evaluation from GF(2)
//!    into GF(2^k) for each tree (section 3.1, figure 7); a correction by the receiver's choice
//!    bits makes 128 correlated rows of them (section 3.2, with the repetition code); a hash of the
//!    columns breaks the correlation. Silent OT ([`SilentSetup`]) is another extension behind the same types, with far fewer bytes and
//!    one more assumption ([`ExtensionKind`](crate::plan::ExtensionKind)).
//!
//! # Base OTs, down to bytes
//!
//! Points are 32-byte Ristretto encodings; `G` is the base point; numbers are little-endian; `i` is 0 to 127.
//! `H1(i, b, r)` maps the SHA-512 digest of `"tacit v1 ot base point" | i: u64 | b: u8 | r` to the group.
//! - First message ([`BASE_FIRST_LEN`] bytes): for each `i`, the points `r_{i,0} | r_{i,1}`. The
//!   receiver draws a scalar `a_i` and a uniform point `r_{i,1-c}`, and sets `r_{i,c} = a_i G -
//!   H1(i, c, r_{i,1-c})`. Both points are uniform and independent of `c`.
//! - Reply ([`TreeHeight::base_reply_len`](crate::plan::TreeHeight::base_reply_len) bytes): the point `Y = yG`, then the trees' corrections. The
//!   sender's keys are `K_{i,b} = H2(i, b, y (r_{i,b} + H1(i, b, r_{i,1-b})))`; the receiver's is
//!   `K_{i,c} = H2(i, c, a_i Y)`. `H2(i, b, p)` is the first 16 bytes of the SHA-256 digest of
//!   `"tacit v1 ot base key" | T | i: u64 | b: u8 | p`.
//! - The transcript `T` is the SHA-256 digest of `"tacit v1 ot transcript" | k: u8 | first message | Y`.
//!
//! A point that is not canonically encoded, or is the identity, is refused. Security: the
//! receiver's message is independent of its choices, unconditionally; the other key is a
//! computational Diffie-Hellman value of `Y` and a point whose logarithm the receiver does not
//! know, hashed by a random oracle. One `y` serves all 128 transfers, because the index and the
//! transcript enter the hash.
//!
//! # Trees, down to bytes
//!
//! The tree with rows `s .. s+h` uses base OTs `s .. s+h`; `h` is its height. A leaf is named
//! by `x` in `0 .. 2^h`, and bit `l` of `x` goes with level `l+1` and base OT `s+l`. Node `p`
//! of level `l` has the children `p` (left) and `p + 2^l` (right): `AES-128` under the node's 16
//! bytes, of the block `N: 8 bytes | tree: u16 | l: u16 | child: u8 | 0, 0, 0`. `N` is the first 8
//! bytes of the SHA-256 digest of `"tacit v1 ot nonce" | T`. The nodes of level 1 are `K_{s,1}`,
//! `K_{s,0}`. For each level `l` from 1 to `h-1`, the correction is `K_{s+l,0} ^ R | K_{s+l,1} ^
//! L`: `L` and `R` are the sums (exclusive or) of all left and of all right children of the level's
//! nodes. The receiver, with choice bit `d`, so obtains the sum of the children on side `1-d`, and
//! with it the sibling of the punctured node. Corrections follow each other by tree, then by level:
//! 32 bytes for each.
//!
//! # Extension, down to bytes
//!
//! A batch is `padded(count) / 128` blocks of 128 transfers. Block `B` holds the transfers `128 B`
//! to `128 B + 127` of the connection and direction. A leaf's stream is AES-128 in counter mode
//! under its seed; its 128 bits for block `B` are the cipher of `B: u64 | (N ^ tree): u64`. Bit `t`
//! of a block (bit `t % 8` of byte `t / 8`) goes with transfer `128 B + t`. With `r_x` the stream
//! of leaf `x`, the sum running over all leaves of a tree:
//!
//! ```text
//! receiver:  u = sum r_x      v_l = sum over x with bit l set of r_x      message  e = u ^ choices
//! sender:    w_l = sum over x with bit l of (x ^ delta) set of r_x = v_l ^ delta_l u      q_l = w_l ^ delta_l e
//! so that    q_l = v_l ^ delta_l choices: over all trees, column i has  q_i = v_i ^ c_i Delta
//! ```
//!
//! The extension message holds for each block, in order, `e` of each tree, in order: 16 bytes times
//! the number of trees, that is `16 * ceil(128 / k)` bytes for 128 transfers (2.75 bytes each for `k =
//! 6`, 2 for `k = 8`). Messages of adjacent batches are concatenations: how transfers are cut into
//! batches is not visible in the bytes, or in the keys.
//!
//! Bit `j` of a column is row `j`; a column is a 16-byte block, bit `j` being bit `j % 8` of byte
//! `j / 8`. The keys of transfer `i` are the first 8 bytes, as a `u64`, of `H(q_i, i)` and `H(q_i ^
//! Delta, i)` for the sender, `H(v_i, i)` for the receiver, with `H(x, i) = pi(pi(x) ^ i) ^ pi(x)`:
//! TMMO of Guo, Katz, Wang and Yu (Efficient and secure multiparty computation from fixed-key block
//! ciphers, IEEE S&P 2020), tweakable and correlation robust for a random permutation.
//! `pi` is AES-128 under a public key of the connection and direction: the first 16 bytes of the
//! SHA-256 digest of `"tacit v1 ot hash" | T`.
//!
//! # What is not defended against
//!
//! A party that departs from the protocol: there is no consistency check, and a changed byte in a
//! well-formed message gives wrong keys rather than an error. The transport provides integrity.

mod base;
mod error;
mod expansion;
mod extension;
mod hash;
mod kind;
mod pool;
mod silent;
mod silent_setup;
mod simd;
#[cfg(test)]
mod tests;
mod transcript;
mod tree;

pub use base::{BASE_FIRST_LEN, BaseReceiver, base_send};
pub use error::OtError;
pub use extension::{ReceiverKeys, SenderKeys};
pub use kind::{ExtensionReceiver, ExtensionSender};
pub use silent::{silent_reply_len, silent_request_len};
pub use silent_setup::{SilentSetup, silent_reply};
