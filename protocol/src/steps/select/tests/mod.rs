//! Client against server, over real transfers.

mod messages;
mod sizes;
mod values;

use super::preprocess::client::prepare;
use super::preprocess::server::SelectServerPending;
use crate::ot::OtError;
use crate::plan::{SelectLayout, Selection, digit_widths};
use crate::random::Seed;
use crate::share::Share;
use crate::steps::interactive::{ServerOnline, ServerProgress};
use crate::steps::tests::TRANSFERS;

/// Everything that crossed the wire, in order, and the value that both parties hold afterwards.
struct Outcome {
    rows: Vec<u8>,
    corrections: Vec<u8>,
    server_openings: Vec<Vec<u8>>,
    client_openings: Vec<Vec<u8>>,
    values: Vec<u32>,
    server_memory: usize,
}

fn layout(elements: usize, bits: u32, ignored: u32, selection: Selection, rounds: u32) -> SelectLayout {
    let digits = digit_widths(bits - 1 - ignored, rounds);
    SelectLayout { elements, bits, ignored, selection, digits, kind: crate::plan::ExtensionKind::DEFAULT }
}

/// Runs the step, checking each message's length against the layout.
fn run(layout: &SelectLayout, sharing: &(Share, Share), addend: Option<&(Share, Share)>, seed: u64) -> Outcome {
    let transfers = &*TRANSFERS;
    let (client, server) = sharing;
    let next_mask = Share(Seed::for_test(seed + 1).uniform_u32(layout.elements));
    let (pending, rows) =
        SelectServerPending::start(layout.clone(), &transfers.server(0, 128), &Seed::for_test(seed + 2));
    assert_eq!(rows.len(), layout.server_correlations_len());
    let (mut client, corrections) = prepare(
        layout.clone(),
        client,
        addend.map(|(client, _)| client),
        &next_mask,
        &transfers.client(128, 0),
        &rows,
        &Seed::for_test(seed + 3),
    )
    .unwrap();
    assert_eq!(corrections.len(), layout.client_corrections_len());
    let mut ready = pending.finish(&transfers.server(0, 128), &corrections).unwrap();
    let server_memory = ServerOnline::memory_bytes(&ready);

    let (mut server_openings, mut client_openings) = (vec![], vec![]);
    let mut opening = ready.open(server, addend.map(|(_, server)| server));
    for round in 0..layout.rounds() {
        assert_eq!(opening.len(), layout.server_opening_len(round));
        let answer = client.answer(round, &opening);
        assert_eq!(answer.len(), layout.client_opening_len(round));
        let progress = ready.answer(round, &answer);
        server_openings.push(opening);
        client_openings.push(answer);
        match progress {
            ServerProgress::Opening(next) => opening = next,
            ServerProgress::Value(half) => {
                assert_eq!(round + 1, layout.rounds());
                assert_eq!(half.len(), layout.elements);
                let values = half.iter().zip(next_mask.iter()).map(|(half, mask)| half.wrapping_add(*mask)).collect();
                return Outcome { rows, corrections, server_openings, client_openings, values, server_memory };
            }
        }
    }
    panic!("no value after the last round");
}
