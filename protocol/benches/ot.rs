//! Random OTs per second of both sides, for each kind of extension on one and on two threads, and what the base
//! OTs and the set-up of silent OT take. Bytes on the wire are exact and part of the names.

use divan::{Bencher, counter::ItemsCount};
use tacit_protocol::ot::{
    BaseReceiver, ExtensionReceiver, ExtensionSender, SilentSetup, base_send, silent_reply, silent_reply_len,
    silent_request_len,
};
use tacit_protocol::plan::{ExtensionKind, TreeHeight, padded};

const HEIGHTS: [u8; 5] = [4, 5, 6, 7, 8];
const THREADS: [usize; 2] = [1, 2];
const COUNTS: [usize; 3] = [4096, 200_000, 907_264];
const PREPARED: [usize; 4] = [65_536, 907_264, 3_000_000, 6_000_000];

fn main() {
    divan::main();
}

fn base(kind: ExtensionKind) -> (ExtensionReceiver, ExtensionSender) {
    let (base, first) = BaseReceiver::start(kind.tree_height()).expect("system randomness");
    let (receiver, reply) = base_send(kind.tree_height(), &first).expect("a good message");
    (receiver, base.finish(&reply).expect("a good reply"))
}

fn choices(count: usize) -> Vec<u64> {
    vec![0x0123_4567_89ab_cdef; padded(count) / 64]
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

/// A number of transfers, made on so many threads.
#[derive(Clone, Copy)]
struct Batch {
    kind: ExtensionKind,
    threads: usize,
    count: usize,
}

impl Batch {
    fn all() -> impl Iterator<Item = Self> {
        let soft_spoken = HEIGHTS.into_iter().filter_map(TreeHeight::new).map(ExtensionKind::SoftSpoken);
        soft_spoken.chain([ExtensionKind::Silent]).flat_map(|kind| {
            let of = move |threads| COUNTS.map(|count| Self { kind, threads, count });
            THREADS.into_iter().flat_map(of)
        })
    }

    /// Both sides, ready to extend.
    fn parties(self) -> (ExtensionReceiver, ExtensionSender) {
        let (receiver, sender) = base(self.kind);
        if self.kind != ExtensionKind::Silent {
            return (receiver, sender);
        }
        let transfers = self.count as u64;
        let (setup, request) = SilentSetup::start(receiver, transfers).expect("system randomness");
        let (sender, answer) = silent_reply(sender, transfers, &request).expect("a good request");
        (setup.finish(&answer).expect("a good answer"), sender)
    }
}

impl std::fmt::Display for Batch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, threads, count } = self;
        match kind {
            ExtensionKind::SoftSpoken(height) => write!(formatter, "k={}", height.get())?,
            ExtensionKind::Silent => write!(formatter, "silent")?,
        }
        write!(formatter, " threads={threads} count={count} bytes={}", kind.extension_len(*count))
    }
}

#[divan::bench(args = Batch::all())]
fn receiver(bencher: Bencher, batch: Batch) {
    let (receiver, _) = batch.parties();
    let choices = choices(batch.count);
    let pool = pool(batch.threads);
    bencher
        .counter(ItemsCount::new(batch.count))
        .bench_local(|| pool.install(|| receiver.extend(0, batch.count, &choices)));
}

#[divan::bench(args = Batch::all())]
fn sender(bencher: Bencher, batch: Batch) {
    let (receiver, sender) = batch.parties();
    let (message, _) = receiver.extend(0, batch.count, &choices(batch.count));
    let pool = pool(batch.threads);
    bencher
        .counter(ItemsCount::new(batch.count))
        .bench_local(|| pool.install(|| sender.extend(0, batch.count, &message)));
}

/// All three messages of the base OTs, one direction.
#[divan::bench(name = "base", args = HEIGHTS)]
fn base_transfers(height: u8) -> (ExtensionReceiver, ExtensionSender) {
    base(ExtensionKind::SoftSpoken(TreeHeight::new(height).expect("a height of 1 to 8")))
}

/// So many silent transfers, prepared and made on one thread.
#[derive(Clone, Copy)]
struct Prepared(usize);

impl std::fmt::Display for Prepared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transfers = self.0 as u64;
        let request = silent_request_len(ExtensionKind::Silent.tree_height(), transfers);
        let (answer, rows) = (silent_reply_len(transfers), ExtensionKind::Silent.extension_len(self.0));
        let each = (request + answer + rows) as f64 / transfers as f64;
        write!(formatter, "{transfers}: {request} + {answer} + {rows} bytes, {each:.3} each")
    }
}

/// From the answer to the last key.
#[divan::bench(args = PREPARED.map(Prepared))]
fn silent_receiver_with_setup(bencher: Bencher, Prepared(count): Prepared) {
    let choices = choices(count);
    let pool = pool(1);
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            pool.install(|| {
                let (receiver, sender) = base(ExtensionKind::Silent);
                let (setup, request) = SilentSetup::start(receiver, count as u64).expect("system randomness");
                (setup, silent_reply(sender, count as u64, &request).expect("a good request").1)
            })
        })
        .bench_local_values(|(setup, answer)| {
            pool.install(|| setup.finish(&answer).expect("a good answer").extend(0, count, &choices))
        });
}

/// From the request to the last key.
#[divan::bench(args = PREPARED.map(Prepared))]
fn silent_sender_with_setup(bencher: Bencher, Prepared(count): Prepared) {
    let message = vec![0x5a; padded(count) / 8];
    let pool = pool(1);
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            pool.install(|| {
                let (receiver, sender) = base(ExtensionKind::Silent);
                (sender, SilentSetup::start(receiver, count as u64).expect("system randomness").1)
            })
        })
        .bench_local_values(|(sender, request)| {
            pool.install(|| {
                let (sender, answer) = silent_reply(sender, count as u64, &request).expect("a good request");
                (sender.extend(0, count, &message), answer)
            })
        });
}
