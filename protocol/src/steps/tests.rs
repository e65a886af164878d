//! Client against server for the interactive steps, over real transfers.

use super::interactive::StepTransfers;
use super::square::SquareLayout;
use super::square::preprocess::client::SquareClientPending;
use super::square::preprocess::server::SquareServerPending;
use super::truncate::TruncateLayout;
use super::truncate::preprocess::client::prepare;
use super::truncate::preprocess::server::TruncateServerPending;
use crate::bits::{packed_len, unpack};
use crate::ot::{self, BaseReceiver, ExtensionReceiver, ExtensionSender};
use crate::plan::ExtensionKind;
use crate::random::Seed;
use crate::share::Share;
use crate::uniformity::assert_uniform;
use rand::{Rng, RngExt};
use std::sync::LazyLock;

/// Both directions of transfers between one client and one server.
pub(super) struct Transfers {
    pub(super) client_receiver: ExtensionReceiver,
    pub(super) server_sender: ExtensionSender,
    pub(super) server_receiver: ExtensionReceiver,
    pub(super) client_sender: ExtensionSender,
}

impl Transfers {
    /// The client's side, with the numbers of its first choice and of the server's.
    pub(super) fn client(&self, first_chosen: u64, first_offered: u64) -> StepTransfers<'_> {
        StepTransfers { receiver: &self.client_receiver, first_chosen, sender: &self.client_sender, first_offered }
    }

    /// The server's side, likewise.
    pub(super) fn server(&self, first_chosen: u64, first_offered: u64) -> StepTransfers<'_> {
        StepTransfers { receiver: &self.server_receiver, first_chosen, sender: &self.server_sender, first_offered }
    }
}

pub(super) static TRANSFERS: LazyLock<Transfers> = LazyLock::new(|| {
    let (server_base, first) = BaseReceiver::start(ExtensionKind::DEFAULT.tree_height()).unwrap();
    let (client_receiver, reply) = ot::base_send(ExtensionKind::DEFAULT.tree_height(), &first).unwrap();
    let server_sender = server_base.finish(&reply).unwrap();
    let (client_base, first) = BaseReceiver::start(ExtensionKind::DEFAULT.tree_height()).unwrap();
    let (server_receiver, reply) = ot::base_send(ExtensionKind::DEFAULT.tree_height(), &first).unwrap();
    let client_sender = client_base.finish(&reply).unwrap();
    Transfers { client_receiver, server_sender, server_receiver, client_sender }
});

/// What crossed the wire online, and the value that both parties hold afterwards.
struct Outcome {
    opening: Vec<u8>,
    result: Vec<u8>,
    values: Vec<u32>,
}

pub(super) fn split(values: &[i32], seed: u64) -> (Share, Share) {
    let client = Share(Seed::for_test(seed).uniform_u32(values.len()));
    let server =
        Share(values.iter().zip(client.iter()).map(|(value, own)| (*value as u32).wrapping_sub(*own)).collect());
    (client, server)
}

fn combine(half: &Share, result: &[u8], next_mask: &Share) -> Vec<u32> {
    let result = result.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    half.iter()
        .zip(result)
        .zip(next_mask.iter())
        .map(|((half, other), mask)| half.wrapping_add(other).wrapping_add(*mask))
        .collect()
}

fn run_square((client, server): (Share, Share), drop: u32, seed: u64) -> Outcome {
    let transfers = &*TRANSFERS;
    let layout = SquareLayout { elements: client.len(), drop, kind: ExtensionKind::DEFAULT };
    let next_mask = Share(Seed::for_test(seed + 1).uniform_u32(client.len()));
    let (client_pending, rows) = SquareClientPending::start(layout, &client, &transfers.client(0, 0));
    assert_eq!(rows.len(), layout.share_choices_len());
    let (server_pending, correlations) =
        SquareServerPending::start(layout, &transfers.server(0, 0), &rows, &Seed::for_test(seed + 2)).unwrap();
    assert_eq!(correlations.len(), layout.server_correlations_len());
    let (client_ready, corrections) =
        client_pending.finish(&next_mask, &transfers.client(0, 0), &correlations).unwrap();
    assert_eq!(corrections.len(), layout.client_corrections_len());
    let (opening, half) = server_pending.finish(&corrections).open(&server);
    assert_eq!(opening.len(), layout.opening_len());
    let result = client_ready.answer(&opening);
    assert_eq!(result.len(), layout.result_len());
    let values = combine(&half, &result, &next_mask);
    Outcome { opening, result, values }
}

fn run_truncate((client, server): (Share, Share), drop: u32, seed: u64) -> Outcome {
    let transfers = &*TRANSFERS;
    let layout = TruncateLayout { elements: client.len(), drop, kind: ExtensionKind::DEFAULT };
    let next_mask = Share(Seed::for_test(seed + 1).uniform_u32(client.len()));
    let (pending, rows) = TruncateServerPending::start(layout, &transfers.server(0, 0), &Seed::for_test(seed + 2));
    assert_eq!(rows.len(), layout.server_correlations_len());
    let (client_ready, corrections) = prepare(layout, &client, &next_mask, &transfers.client(0, 0), &rows).unwrap();
    assert_eq!(corrections.len(), layout.client_corrections_len());
    let (opening, half) = pending.finish(&corrections).open(&server);
    assert_eq!(opening.len(), layout.opening_len());
    let result = client_ready.answer(&opening);
    assert_eq!(result.len(), layout.result_len());
    let values = combine(&half, &result, &next_mask);
    Outcome { opening, result, values }
}

/// Edge values and random ones inside the bound of a step that drops `drop` bits.
fn values(drop: u32, count: usize, seed: u64) -> Vec<i32> {
    let limit = (1i32 << 30) - (1 << drop);
    let unit = 1i32 << drop;
    let mut values = vec![0, 1, -1, unit - 1, unit, -unit, 1 - unit, limit, -limit, limit - 1, 1 - limit];
    values.retain(|value| value.abs() <= limit);
    let mut stream = Seed::for_test(seed).stream();
    while values.len() < count {
        let shift = stream.random_range(0..30);
        values.push((stream.next_u32() as i32 >> shift).clamp(-limit, limit));
    }
    values.truncate(count);
    values
}

/// The integers strictly inside one unit of `value / 2^drop`.
fn quotients(value: i32, drop: u32) -> impl Iterator<Item = i32> {
    let floor = value >> drop;
    let exact = value & ((1 << drop) - 1) == 0;
    std::iter::once(floor).chain((!exact).then_some(floor + 1))
}

/// Sharings at the edges: one share all zero, all ones, or with only the top bit.
pub(super) fn edge_sharings(values: &[i32]) -> Vec<(Share, Share)> {
    let with_client = |client: u32| {
        let server = values.iter().map(|value| (*value as u32).wrapping_sub(client)).collect();
        (Share(vec![client; values.len()]), Share(server))
    };
    let with_server = |server: u32| {
        let (server, client) = {
            let client: Vec<u32> = values.iter().map(|value| (*value as u32).wrapping_sub(server)).collect();
            (Share(vec![server; values.len()]), Share(client))
        };
        (client, server)
    };
    let edges = [0, u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 30];
    edges.into_iter().map(with_client).chain(edges.into_iter().map(with_server)).collect()
}

#[test]
fn squares_are_those_of_a_quotient_strictly_inside_one_unit() {
    for drop in 0..=30 {
        for count in [1, 11, 333] {
            let values = values(drop, count, u64::from(drop));
            let mut sharings = edge_sharings(&values);
            sharings.push(split(&values, 7));
            for (index, sharing) in sharings.into_iter().enumerate() {
                let outcome = run_square(sharing, drop, 100 + index as u64);
                for (value, square) in values.iter().zip(outcome.values) {
                    let fits = quotients(*value, drop).any(|quotient| quotient.wrapping_mul(quotient) as u32 == square);
                    assert!(fits, "{value} with {drop} bits dropped gave {square}");
                }
            }
        }
    }
}

#[test]
fn truncation_is_strictly_inside_one_unit() {
    for drop in 1..=30 {
        for count in [1, 11, 333] {
            let values = values(drop, count, u64::from(drop));
            let mut sharings = edge_sharings(&values);
            sharings.push(split(&values, 9));
            for (index, sharing) in sharings.into_iter().enumerate() {
                let outcome = run_truncate(sharing, drop, 200 + index as u64);
                for (value, truncated) in values.iter().zip(outcome.values) {
                    let fits = quotients(*value, drop).any(|quotient| quotient as u32 == truncated);
                    assert!(fits, "{value} with {drop} bits dropped gave {}", truncated as i32);
                }
            }
        }
    }
}

#[test]
fn truncation_has_no_bias() {
    let count = 1 << 15;
    let values = vec![0x1234_5678 >> 3; count];
    let outcome = run_truncate(split(&values, 3), 8, 300);
    let exact = f64::from(values[0]) / 256.0;
    let mean = outcome.values.iter().map(|value| f64::from(*value as i32) - exact).sum::<f64>() / count as f64;
    // The error's standard deviation is below one half, so the mean's is below 0.003.
    assert!(mean.abs() < 0.015, "mean error {mean}");
}

#[test]
fn online_messages_are_uniform_whatever_the_values() {
    let count = 1 << 15;
    for value in [0, 1, -1, (1 << 30) - (1 << 12), -12345] {
        let values = vec![value; count];
        let square = run_square(split(&values, 11), 12, 400);
        let truncate = run_truncate(split(&values, 13), 12, 500);
        for view in [&square.opening, &square.result, &truncate.opening, &truncate.result] {
            assert_uniform(&format!("messages for {value}"), view.iter().copied());
        }
    }
}

#[test]
fn rows_of_a_wrong_length_are_refused() {
    let transfers = &*TRANSFERS;
    let layout = SquareLayout { elements: 5, drop: 9, kind: ExtensionKind::DEFAULT };
    let (client, _) = split(&[0; 5], 1);
    let (_, rows) = SquareClientPending::start(layout, &client, &transfers.client(0, 0));
    let start =
        |rows: &[u8]| SquareServerPending::start(layout, &transfers.server(0, 0), rows, &Seed::for_test(1)).is_ok();
    assert!(start(&rows));
    assert!(!start(&rows[1..]));
    assert!(!start(&[rows.as_slice(), &[0]].concat()));
}

/// The parts of a square that reuse one transfer's key must not share a bit of it: the client could otherwise combine the
/// two corrections with the opened difference, and what cancels would leave a bit of the server's `q`.
#[test]
fn corrections_that_reuse_a_key_do_not_combine_to_a_value() {
    let transfers = &*TRANSFERS;
    for drop in [0, 1, 2, 5] {
        let count = 4096;
        // Fixed shares, so that a combination free of the server's random values would be constant.
        let (client, server) = (Share(vec![5 << 20; count]), Share(vec![0x1234_5677; count]));
        let layout = SquareLayout { elements: count, drop, kind: ExtensionKind::DEFAULT };
        let (client_pending, rows) = SquareClientPending::start(layout, &client, &transfers.client(0, 0));
        let (pending, correlations) =
            SquareServerPending::start(layout, &transfers.server(0, 0), &rows, &Seed::for_test(77)).unwrap();
        let (_, own) = client_pending.finish(&Share::zeros(count), &transfers.client(0, 0), &correlations).unwrap();
        let (opening, _) = pending.finish(&own).open(&server);
        // Lowest bits of the last plane's corrections, of the online corrections, and of the opened differences.
        let planes = (32 - drop).min(31);
        let width = 31 - (planes - 1);
        let last_plane = &correlations[correlations.len() - packed_len(count, width)..];
        let offline = unpack(last_plane, count, width);
        let online = unpack(&opening[4 * count..], count, drop.saturating_sub(1).max(1));
        let differences = opening[..4 * count].as_chunks::<4>().0.iter().map(|word| u64::from(word[0]));
        let ones = offline.zip(online).zip(differences).filter(|((a, b), c)| (a ^ b ^ c) & 1 == 1).count();
        // Standard deviation 32.
        assert!(ones.abs_diff(count / 2) < 200, "{ones} of {count} with {drop} bits dropped");
    }
}
