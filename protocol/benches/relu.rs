//! A ReLU layer: both parties' computation, preprocessing and online apart. Run with
//! `cargo bench -p tacit-protocol --bench relu`.

use std::sync::LazyLock;

use divan::{Bencher, counter::ItemsCount};
use tacit_protocol::ot::{BaseReceiver, ExtensionReceiver, ExtensionSender, base_send};
use tacit_protocol::plan::{ExtensionKind, SelectLayout, Selection, digit_widths, padded};
use tacit_protocol::random::Seed;
use tacit_protocol::share::Share;
use tacit_protocol::steps::{
    ClientNext, ClientOnline, ClientView, Interactive, ServerHalf, ServerNext, ServerOnline, ServerProgress,
    ServerView, StepTransfers,
};

const ELEMENTS: usize = 65_536;

/// Bits compared, and round trips: the last needs three.
const CASES: [(u32, u32); 4] = [(6, 2), (14, 2), (24, 2), (28, 3)];

fn main() {
    divan::main();
}

struct Transfers {
    client_receiver: ExtensionReceiver,
    server_sender: ExtensionSender,
    server_receiver: ExtensionReceiver,
    client_sender: ExtensionSender,
}

static TRANSFERS: LazyLock<Transfers> = LazyLock::new(|| {
    let (client_receiver, server_sender) = direction();
    let (server_receiver, client_sender) = direction();
    Transfers { client_receiver, server_sender, server_receiver, client_sender }
});

fn direction() -> (ExtensionReceiver, ExtensionSender) {
    let (base, first) = BaseReceiver::start(ExtensionKind::DEFAULT.tree_height()).expect("system randomness");
    let (receiver, reply) = base_send(ExtensionKind::DEFAULT.tree_height(), &first).expect("a good message");
    (receiver, base.finish(&reply).expect("a good reply"))
}

fn layout((window, rounds): (u32, u32)) -> SelectLayout {
    let bits = 29;
    SelectLayout {
        elements: ELEMENTS,
        bits,
        ignored: bits - 1 - window,
        selection: Selection::Truncated,
        digits: digit_widths(window, rounds),
        kind: ExtensionKind::DEFAULT,
    }
}

fn server_view(seed: &Seed) -> ServerView<'_> {
    let (receiver, sender) = (&TRANSFERS.server_receiver, &TRANSFERS.server_sender);
    ServerView { transfers: StepTransfers { receiver, first_chosen: 0, sender, first_offered: 0 }, seed }
}

fn start(layout: &SelectLayout) -> (Box<dyn ServerHalf>, Vec<u8>) {
    let seed = Seed::random().expect("system randomness");
    match layout.server().advance(&[], &server_view(&seed)).expect("no message") {
        (rows, ServerNext::Preprocessing(half)) => (half, rows),
        (_, ServerNext::Ready(_)) => panic!("corrections are to come"),
    }
}

fn prepare(layout: &SelectLayout, share: &Share, rows: &[u8]) -> (Box<dyn ClientOnline>, Vec<u8>) {
    let seed = &Seed::random().expect("system randomness");
    let (receiver, sender) = (&TRANSFERS.client_receiver, &TRANSFERS.client_sender);
    let transfers = StepTransfers { receiver, first_chosen: 0, sender, first_offered: 0 };
    let view = ClientView { inputs: &[share], next_mask: share, transfers, seed };
    match layout.client().advance(rows, &view).expect("good rows") {
        (corrections, ClientNext::Ready(client)) => (client, corrections),
        (_, ClientNext::Preprocessing(_)) => panic!("the client is ready"),
    }
}

fn preprocess(layout: &SelectLayout, share: &Share) -> (Box<dyn ClientOnline>, Box<dyn ServerOnline>) {
    let (pending, rows) = start(layout);
    let (client, corrections) = prepare(layout, share, &rows);
    let seed = Seed::random().expect("system randomness");
    match pending.advance(&corrections, &server_view(&seed)).expect("good corrections") {
        (_, ServerNext::Ready(server)) => (client, server),
        (_, ServerNext::Preprocessing(_)) => panic!("the server is ready"),
    }
}

fn shares() -> (Share, Share) {
    let [client, server] = [(); 2].map(|()| Share(Seed::random().expect("system randomness").uniform_u32(ELEMENTS)));
    (client, server)
}

fn evaluate(client: &mut dyn ClientOnline, server: &mut dyn ServerOnline, share: &Share) -> Option<Share> {
    let mut opening = server.open(&[share]);
    for round in 0.. {
        match server.answer(round, &client.answer(round, &opening)) {
            ServerProgress::Opening(next) => opening = next,
            ServerProgress::Value(value) => return Some(value),
        }
    }
    None
}

#[divan::bench(args = CASES)]
fn preprocessing_of_both(bencher: Bencher, case: (u32, u32)) {
    let (layout, (share, _)) = (layout(case), shares());
    LazyLock::force(&TRANSFERS);
    bencher.counter(ItemsCount::new(ELEMENTS)).bench_local(|| preprocess(&layout, &share));
}

/// The transfers alone: what preprocessing takes at least.
#[divan::bench(args = CASES)]
fn transfers_of_both(bencher: Bencher, case: (u32, u32)) {
    let layout = layout(case);
    let choices = vec![0x0123_4567_89ab_cdef; padded(layout.server_transfers()) / 64];
    let run = |receiver: &ExtensionReceiver, sender: &ExtensionSender, count: usize| {
        let (rows, keys) = receiver.extend(0, count, &choices);
        (keys, sender.extend(0, count, &rows).expect("good rows"))
    };
    LazyLock::force(&TRANSFERS);
    bencher.counter(ItemsCount::new(ELEMENTS)).bench_local(|| {
        let server = run(&TRANSFERS.server_receiver, &TRANSFERS.client_sender, layout.server_transfers());
        (server, run(&TRANSFERS.client_receiver, &TRANSFERS.server_sender, layout.client_transfers()))
    });
}

#[divan::bench(args = CASES)]
fn online_of_both(bencher: Bencher, case: (u32, u32)) {
    let (layout, (client_share, server_share)) = (layout(case), shares());
    bencher
        .counter(ItemsCount::new(ELEMENTS))
        .with_inputs(|| preprocess(&layout, &client_share))
        .bench_local_refs(|(client, server)| evaluate(&mut **client, &mut **server, &server_share));
}
