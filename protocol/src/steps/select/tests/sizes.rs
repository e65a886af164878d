//! Lengths, counts of transfers, the choice of digits, and wrong calls.

use super::*;
use crate::steps::select::online::client::SelectClient;
use crate::steps::tests::split;

fn per_element(layout: &SelectLayout, bytes: usize) -> f64 {
    bytes as f64 / layout.elements as f64
}

#[test]
fn a_relu_of_14_bits_is_small() {
    let layout = layout(65_536, 29, 14, Selection::Truncated, 2);
    assert_eq!(layout.digits, [4, 4, 3, 3]);
    assert_eq!(layout.rounds(), 2);
    // A transfer for each bit, join and selection, and one for the wrap-around.
    assert_eq!(layout.server_transfers(), layout.elements * (14 + 3 + 1 + 1));
    assert_eq!(layout.client_transfers(), layout.elements * (3 + 1));
    let online = (0..2).map(|round| layout.server_opening_len(round) + layout.client_opening_len(round)).sum();
    let online = per_element(&layout, online);
    assert!(online < 16.0, "{online} bytes online");
    let preprocessing = layout.server_correlations_len() + layout.client_corrections_len();
    let preprocessing = per_element(&layout, preprocessing);
    assert!(preprocessing < 112.0, "{preprocessing} bytes of preprocessing");
    let outcome = run(&layout, &split(&vec![5; layout.elements], 1), None, 200);
    let memory = per_element(&layout, outcome.server_memory);
    assert!(memory < 40.0, "{memory} bytes of memory at the server");
}

#[test]
fn round_trips_follow_from_the_digits() {
    for (digits, rounds) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (8, 3), (9, 3), (16, 3)] {
        let layout = SelectLayout {
            elements: 9,
            bits: digits + 1,
            ignored: 0,
            selection: Selection::Whole,
            digits: vec![1; digits as usize],
            kind: crate::plan::ExtensionKind::DEFAULT,
        };
        assert_eq!(layout.rounds(), rounds, "{digits} digits");
        for past in [rounds, rounds + 1, u32::MAX] {
            assert_eq!(layout.server_opening_len(past) + layout.client_opening_len(past), 0);
        }
    }
}

/// Twice the bits of preprocessing for each element: 22 for each transfer, two transfers for each digit.
fn cost(widths: &[u32]) -> u32 {
    widths.iter().enumerate().map(|(digit, width)| 88 + (width << width) * if digit == 0 { 1 } else { 2 }).sum()
}

/// The least cost of `window` bits in `most` digits or fewer: the best lowest digit, and the best of the rest.
fn least_cost(window: usize, most: usize) -> u32 {
    // Of digits above the lowest, by the bits they hold.
    let mut rest: Vec<Option<u32>> = vec![None; window + 1];
    rest[0] = Some(0);
    for _ in 1..most {
        let with_one_more = |bits: usize| {
            let wider = |width: usize| Some(rest[bits - width]? + cost(&[0, width as u32]) - cost(&[0]));
            (1..=bits.min(6)).filter_map(wider).chain(rest[bits]).min()
        };
        rest = (0..=window).map(with_one_more).collect();
    }
    (1..=window.min(6)).filter_map(|width| Some(rest[window - width]? + cost(&[width as u32]))).min().unwrap()
}

#[test]
fn group_widths_cost_the_least() {
    for window in 1..=30 {
        for rounds in [2, 3] {
            let widths = digit_widths(window, rounds);
            assert_eq!(widths.iter().sum::<u32>(), window);
            let most = if rounds == 2 && window <= 24 { 4 } else { 16 };
            assert_eq!(cost(&widths), least_cost(window as usize, most), "{window}: {widths:?}");
            let layout = layout(1, window + 1, 0, Selection::Whole, rounds);
            assert_eq!(layout.check(), Ok(()));
            assert!(layout.rounds() <= if window > 24 { 3 } else { rounds });
        }
    }
}

fn client(layout: &SelectLayout, rows: &[u8]) -> Result<(SelectClient, Vec<u8>), OtError> {
    let (share, seed) = (Share::zeros(layout.elements), Seed::for_test(1));
    prepare(layout.clone(), &share, None, &share, &TRANSFERS.client(0, 0), rows, &seed)
}

#[test]
fn messages_of_a_wrong_length_are_refused() {
    let transfers = &*TRANSFERS;
    for elements in [5, 5000] {
        let layout = layout(elements, 20, 6, Selection::Truncated, 2);
        let start = || SelectServerPending::start(layout.clone(), &transfers.server(0, 0), &Seed::for_test(2));
        let rows = start().1;
        let (_, corrections) = client(&layout, &rows).unwrap();
        let longer = |bytes: &[u8]| [bytes, &[0]].concat();
        for rows in [&rows[1..], &longer(&rows), &[]] {
            assert!(matches!(client(&layout, rows), Err(OtError::Length { .. })));
        }
        for corrections in [&corrections[1..], &longer(&corrections), &[]] {
            let finished = start().0.finish(&transfers.server(0, 0), corrections);
            assert!(matches!(finished, Err(OtError::Length { .. })));
        }
        assert!(start().0.finish(&transfers.server(0, 0), &corrections).is_ok());
    }
}

#[test]
fn calls_out_of_order_do_not_panic() {
    let transfers = &*TRANSFERS;
    for (bits, rounds) in [(5, 2), (10, 2), (20, 2), (31, 3)] {
        let layout = layout(100, bits, 1, Selection::Truncated, rounds);
        let (pending, rows) = SelectServerPending::start(layout.clone(), &transfers.server(0, 0), &Seed::for_test(2));
        let (mut client, corrections) = client(&layout, &rows).unwrap();
        let mut server = pending.finish(&transfers.server(0, 0), &corrections).unwrap();
        let rounds = [2, 1, 3, u32::MAX, 0, 1, 0, 2, 2, 4];
        for open in [false, true, true] {
            if open {
                server.open(&Share::zeros(100), None);
            }
            for round in rounds {
                client.answer(round, &vec![1; layout.server_opening_len(round)]);
                server.answer(round, &vec![1; layout.client_opening_len(round)]);
                client.answer(round, &[]);
                server.answer(round, &[]);
            }
        }
    }
}
