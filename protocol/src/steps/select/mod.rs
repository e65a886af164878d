//! Comparison and selection: ReLU, and the maximum of two values, exactly (section 8 of the specification).
//!
//! The parties hold additive shares `u` (client, known in preprocessing) and `v` (server, known online) of values
//! `-2^t <= y <= 2^t - 2^f` modulo `2^32`: `t = bits - 1`, and `f = ignored` is the number of low bits left out of the
//! comparison. They obtain shares of `d * y` (plus an addend of which they have shares), where `d = [y >= 0]`, save
//! that for `-2^f < y < 0` it may be either. [`Selection`](crate::plan::Selection) is about the ignored bits:
//!
//! - `Truncated`: they are dropped from the result, which is strictly inside one unit of `max(0, y) / 2^f`, exact where
//!   `y` is a multiple of `2^f`, and never negative.
//! - `Whole`: nothing is dropped. The result is `max(0, y)`, or possibly `y` for `-2^f < y < 0`. With `y = a - b` and
//!   the addend `b`, it is the maximum of `a` and `b`.
//!
//! # Sign
//!
//! The server adds `2^f - 1` to its share: `v' = v + 2^f - 1`. Then `(u >> f) + (v' >> f)` is `y / 2^f` rounded up or
//! down, and no other integer, for what is lost of both shares is between 0 and `2 (2^f - 1)`. Its sign is
//! `u_t + v'_t + carry` over GF(2), where `carry` goes out of adding the *window* of both shares: bits `f` to `t - 1`,
//! `w = t - f` of them. The window is cut into *digits*, numbered from the lowest, and
//!
//! - each digit's bits give shares of *generate* `G` (its sum overflows) and *propagate* `P` (its sum is all ones): the
//!   *leaves*, which take only bits that the server sends;
//! - a tree of `L = ceil(log2(digits))` levels combines neighbours,
//!   `(G, P)_high o (G, P)_low = (G_high + P_high G_low, P_high P_low)`. Level `l` joins nodes `0, 1`, nodes `2, 3` and
//!   so on, and an odd last one passes through. The lowest node has no `P`: nothing comes from below.
//!
//! All sums and shares of bits are over GF(2). The shares of `d` are `u_t + G` for the client and `1 + v'_t + G` for
//! the server, with their shares of the last `G`.
//!
//! # Transfers
//!
//! With `n` elements (number `i`), `g` digits, and numbers relative to the step's first transfer of the direction:
//!
//! | server chooses | number | | client chooses | number |
//! |---|---|---|---|---|
//! | window bit `b` | `i w + b` | | | |
//! | join `j` | `n w + j n + i` | | join `j` | `j n + i` |
//! | selection | `n (w + g - 1) + i` | | selection | `n (g - 1) + i` |
//! | wrap-around (`Truncated`, `f > 0`) | `n (w + g) + i` | | | |
//!
//! Joins are numbered level by level, from the lowest nodes up: `g - 1` of them. All choices are random. `x_0`, `x_1`
//! are a transfer's keys, `c` is its choice.
//!
//! **Leaves.** For a digit of `k` bits, in which the client's are the number `a`, the tables over the server's `x` are
//! `G[x] = [a + x >= 2^k]` and `P[x] = [a + x = 2^k - 1]`: `2^k` bits each, bit `x` being entry `x`. The parties share
//! both tables with positions permuted by the digit's choices `beta` (a number of `k` bits), `T'[x] = T[x ^ beta]`, and
//! the lowest digit does so without `P`. The client begins with `C = T`, the server with `S = 0`. For each bit `j` of
//! the digit, lowest first, with that bit's transfer:
//!
//! - `D` is `C[x] + C[x ^ 2^j]` at positions `x` whose bit `j` is 0, in order, without gaps: `2^(k-1)` bits, those of
//!   `P` behind those of `G`. The client sends `kappa = D + x_0 + x_1` (the low `2^k` bits of the keys, `2^(k-1)` in
//!   the lowest digit).
//! - The client adds `x_0`, spread to the positions of `D`, to both entries `x` and `x ^ 2^j`.
//! - The server exchanges entries `x` and `x ^ 2^j` of `S` if `beta_j = 1`, then adds `x_c + beta_j kappa` in the same
//!   way.
//!
//! Online the server sends its window plus `beta`: both look this up in their tables. So one transfer for each bit is
//! enough, and the client has nothing to answer.
//!
//! **Joins** are products by triples: random shared bits `a`, `b`, `c` and the shares of `a b`, `a c`, for `a` with
//! `P_high`, `b` with `G_low`, `c` with `P_low`. A party's `a` is its choice bit in the transfer where it chooses. Its
//! `b` and `c` are bits 0 and 1 of `x_0 + x_1` in the other, and its shares of `a b` and `a c` are the products of its
//! own bits, plus bits 0 and 1 of `x_c` of the first and of `x_0` of the second transfer. No correction is sent. Online
//! each party opens its shares of `A = P_high + a`, `B = G_low + b` and `C = P_low + c` (not for the lowest join of a
//! level, which has no `P` to make). Its share of `P_high G_low` is `A b + B a + a b`, and the client adds `A B` as
//! well. Likewise with `C`.
//!
//! **Values.** In `Truncated`, with `T = 2^(32-f)`, `bc = 1 - msb(u)`, `bs = 1 - msb(v')`, the shared value is
//! `Y_c = (u >> f) + T <bc bs>`, `Y_s = (v' >> f) - T + T <bc bs>`: exact where `y + 2^f - 1` is not negative, and
//! otherwise `d = 0`. The product `bc bs` is shared modulo `2^f` as in [`truncate`](super::truncate). In `Whole`, or
//! with `f = 0`, `Y_c = u` and `Y_s = v`.
//!
//! **Selection.** `d Y` is the sum, for both parties, of `d Y` of its own shares, and of the other's share of `d` times
//! its `D = (1 - 2 d) Y`. For a bit `d` of one party and the `D` of the other, in the transfer where the former
//! chooses: it sends `e = d + c`, and the other `kappa = D - (x_1 - x_0)`, modulo `2^32`. The share of the product is
//! `(1 - 2e) (x_c + c kappa)` for the one, `e D - (1 - 2e) x_0` for the other.
//!
//! # Messages
//!
//! ```text
//! preprocessing  client  <--------  server   extension rows of the server's choices
//!                        -------->           extension rows of the client's choices, leaf and wrap corrections
//! online         message 0, from the server, then in turns; the last is the client's
//! ```
//!
//! - *Leaf corrections*: for each element, each digit, each bit of it: `kappa`. Packed without gaps ([`crate::bits`]).
//! - *Wrap corrections*: `f` bits for each element, packed.
//! - *Online message `m`* has what its sender opens in levels `m` and `m + 1`, as far as these exist: levels 1 to `L`
//!   are the tree's and level `L + 1` is the selection. Message 0 begins with the masked windows, `w` bits for each
//!   element, and the masked `bs`, 1 bit for each. The last message ends with the client's share of the result less the
//!   next mask `r'`, 4 bytes for each element, little-endian. `r'` becomes the client's share, and the server adds what
//!   it was sent to its own.
//! - *Level of the tree*: for each block of 64 elements (the last may be shorter), each join, the opened `A`, `B`, `C`:
//!   each a row of bits, element `i` of the block being bit `i % 8` of byte `i / 8`.
//! - *Selection*: `e`, 1 bit for each element, packed, then `kappa`, 4 bytes for each.
//!
//! Whatever is packed begins at a byte, and bits that fill the last byte are zero. `L = 0` takes one round trip,
//! `L <= 2` (4 digits) two, `L <= 4` (16 digits) three; with `L = 1` or `3`, the last message is the result alone.
//!
//! # What is seen
//!
//! All that a party receives is masked by keys or choices of its peer that are used for this only, so that it is
//! uniform and independent of the values, given all that the party has itself.

mod evaluation;
pub(super) mod online;
mod operand;
mod planes;
pub(super) mod preprocess;
mod product;
mod step;
mod tables;
#[cfg(test)]
mod tests;
mod tree;
