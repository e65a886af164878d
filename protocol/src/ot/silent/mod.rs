//! Silent extension: random OTs from learning parity with noise, for an eighth of a byte each.
//!
//! After a set-up of one message each way, whose size grows by 0.16 bytes for each transfer, both parties hold
//! *correlated strings* `w_i` (sender) and `v_i = w_i ^ u_i Delta` (receiver, with a pseudorandom bit `u_i`). A batch
//! then costs the receiver `u_i ^ choice_i`, one bit. The strings are not kept: they are computed tree by tree when a
//! batch asks for them, in any order, from two megabytes for each stage.
//!
//! ```text
//! extension receiver                              extension sender
//! base_send(MAX)           <-- first message --   BaseReceiver::start(MAX)
//! SilentSetup::start  ----- reply, request -->   BaseReceiver::finish
//!                                                 silent_answer
//! SilentSetup::finish <--------- reply ------
//! ExtensionReceiver::extend - rows, 1 bit each ->  ExtensionSender::extend
//! ```
//!
//! # Where it comes from
//!
//! - The scheme is Ferret's (Yang, Weng, Lan, Zhang and Wang, CCS 2020, ePrint 2020/924) against semi-honest parties:
//!   primal learning parity with noise, regular noise, a code in which each output is the sum of ten random elements of
//!   the secret, and stages that feed each other.
//! - The trees are the correlated ones of Half-Tree (Guo, Yang, Wang, Zhang, Xie, Liu and Zhao, EUROCRYPT 2023, ePrint
//!   2022/1431): half the ciphers and half the bytes of trees whose levels are not correlated.
//! - The receiver sends nothing for the trees: the places of its errors are not chosen but follow from the random bits
//!   of the strings that the trees are made of, so that the sender can go through all stages alone.
//! - The dimensions are larger than Ferret's, because of attacks found since (below).
//!
//! # Stages
//!
//! A stage has a height `h`, a dimension `k`, and `t` trees. It takes `k + h t` correlated strings of the stage before,
//! the first one takes them of SoftSpokenOT, and it gives `2^h t`:
//!
//! | stage | `h` | `k` | `t` at most | feeds |
//! |---|---|---|---|---|
//! | 0 | 8 | 28,672 | 552 | stage 1, with its outputs in order |
//! | 1, 2, ... | 10 | 131,072 | 1024 | transfers, with its trees 0 to 885; the next stage, with those from 886 on |
//!
//! A stage has only the trees that are needed. Stage `s`, from 1 on, gives the transfers from `907,264 (s - 1)` on,
//! 1024 by each tree: within it, transfer `512 g + 128 b + i` is leaf `512 g + 4 i + b` (`g < 2`, `b < 4`, `i < 128`).
//!
//! # Down to bytes
//!
//! `T` is the transcript of the base OTs ([`ot`](super)), made with `k = 8`. Strings are 16 bytes, a number of
//! 128 bits with the lowest first. `E(label)` is AES-128 under the first 16 bytes of the SHA-256 digest of `"tacit v1
//! ot silent label" | T`.
//!
//! **Delta and the lowest bit.** `Delta` is that of the base OTs with bit 0 set. The lowest bit of a correlated
//! string is 0 at the sender and `u_i` at the receiver. All sums keep that true; leaves and the strings of SoftSpokenOT
//! have theirs replaced.
//!
//! **Request** ([`request_len`]): the extension message of SoftSpokenOT for as many transfers as stage 0 takes, rounded
//! up to a block, from transfer 0 on, with random choices. Their columns are the strings, without the hash.
//!
//! **Answer** ([`answer_len`]): for each stage, for each tree, the `h - 1` corrections of levels 2 to `h`, 16 bytes
//! each.
//!
//! **Strings of a stage**: the first `k` are the vector; then each tree has `h`, `K_1` to `K_h` at the sender and `M_l
//! = K_l ^ r_l Delta` at the receiver.
//!
//! **Trees.** `pi` is AES-128 under the key that `E(tree)` makes of the block `0: u64 | tree: u32 | stage: u32`,
//! `sigma(high
//! | low) = (high ^ low) | high` by halves of 64 bits, and `H(x) = pi(sigma(x)) ^ sigma(x)`. The nodes of level 1 are
//! `K_1` and `K_1 ^ Delta`. Node `p` of level `l`, with value `x`, has the children `p`: `H(x)` and `p + 2^l`: `H(x) ^
//! x`, so that each level sums to `Delta`. The correction of level `l` is `K_l` plus the sum of its left nodes. Adding
//! `M_l` to it, the receiver has the sum of the nodes on side `r_l`. So it knows all nodes but those on the path with
//! the sides `1 - r_l`: bit `l` of the unknown leaf `a` is `1 - r_{l+1}`. As its leaf `a` it takes the sum of all
//! others, which is the sender's plus `Delta`; its lowest bit is 1, that of all other leaves 0.
//!
//! **Code.** Output `p` of a tree is leaf `p` plus ten elements of the vector. The words `10 p` to `10 p + 9` of 32
//! bits, little-endian, of the stream of `E(code)` over the blocks `n: u64 | tree: u32 | stage: u32`, `n = 0, 1, ...`,
//! give their places: `floor(word k / 2^32)`.
//!
//! **Rows** ([`ExtensionKind::extension_len`](super::ExtensionKind::extension_len)): bit `i % 8` of byte `i / 8` is
//! `u_i ^ choice_i =: d_i`. The keys are those of SoftSpokenOT of the strings `v_i`, and `w_i ^ d_i Delta` and `w_i ^
//! (1 - d_i) Delta`, with the number of the transfer, but with `pi = E(hash)`.
//!
//! # Security
//!
//! The sender sees the request and the rows. The choices are hidden by the `u_i`, which are `A s + e`: `s` the bits of
//! the vector, `A` the code, `e` one error in each tree. Their pseudorandomness is the assumption: **learning parity
//! with regular noise for a 10-local code**, with dimension `128 * 2^10` and at most 1024 blocks of `2^10` samples, and
//! dimension `112 * 2^8` and at most 552 blocks of `2^8`. Vectors and errors of later stages are outputs of the one
//! before that are used for nothing else.
//!
//! The receiver sees the answer. The sender's other keys are hidden by `Delta`, of which 127 bits are unknown, if `H`
//! is circular correlation robust, as for an ideal cipher (Guo, Katz, Wang and Yu, IEEE S&P 2020), and the hash of the
//! keys is correlation robust. Each tree has its own key, so that a guess of `Delta` can be checked against one tree
//! only.
//!
//! What the known attacks cost, in bits, by an estimate of our own that errs on the attacker's side (memory is free; it
//! is a test of this module, with its formulas):
//!
//! | attack | `k` = 28,672, `t` = 552 | `k` = 131,072, `t` = 1024 |
//! |---|---|---|
//! | information sets (Prange, Stern), using that the noise is regular | 190 | 215 |
//! | algebraic (Briaud and Øygarden, EUROCRYPT 2023, ePrint 2023/176), hybrid | 203 | 222 |
//! | information sets in the densest part of the sparse code | 144 | 154 |
//!
//! The last one is what a local code costs: a part of the unknowns, about two thirds, can be chosen such that there are
//! as many samples in it alone. The same estimate gives less than 90 bits for the sets that Ferret's authors published
//! with regular noise and millions of samples; newer algebraic attacks (ePrint 2025/1476) are reported to lower them
//! too. That is why there are at most eight samples for each unknown here, and twice Ferret's number of errors in an
//! information set. Statistical decoding costs more than `2^300`. Should better attacks appear, the other kind of
//! extension rests on AES alone.
//!
//! As in the other extension, a party that departs from the protocol is not defended against.

#[cfg(test)]
mod estimate;
mod extend;
pub(super) mod parameters;
pub(super) mod point;
mod stage;

pub(super) use extend::{Prepared, SilentReceiver, SilentSender};
pub(super) use parameters::{TREE, base_transfers, stages};
pub use parameters::{silent_reply_len, silent_request_len};
pub(super) use stage::{Public, Stage};
