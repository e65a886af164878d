//! Random transfers per second of both sides of the silent extension on one and on two threads, next to the other
//! extension with few and with many bytes. Bytes on the wire are exact and part of the names.

use divan::{Bencher, counter::ItemsCount};
use tacit_protocol::ot::{
    BaseReceiver, ExtensionKind, ExtensionReceiver, ExtensionSender, TreeHeight, base_send_with, padded,
    silent::{SilentPreparation, answer_len, request_len, silent_answer},
};

const THREADS: [usize; 2] = [1, 2];
const COUNTS: [usize; 3] = [4096, 200_000, 907_264];

fn main() {
    divan::main();
}

fn base(kind: ExtensionKind) -> (ExtensionReceiver, ExtensionSender) {
    let (base, first) = BaseReceiver::start_with(kind.tree_height()).expect("system randomness");
    let (receiver, reply) = base_send_with(kind.tree_height(), &first).expect("a good message");
    (receiver, base.finish(&reply).expect("a good reply"))
}

fn prepared(kind: ExtensionKind, count: usize) -> (ExtensionReceiver, ExtensionSender) {
    let (receiver, sender) = base(kind);
    if kind != ExtensionKind::Silent {
        return (receiver, sender);
    }
    let (preparation, request) = SilentPreparation::start(receiver, count as u64).expect("system randomness");
    let (sender, answer) = silent_answer(sender, count as u64, &request).expect("a good request");
    (preparation.finish(&answer).expect("a good answer"), sender)
}

fn parameters() -> impl Iterator<Item = Parameters> {
    let soft = [4, 8].into_iter().filter_map(TreeHeight::new).map(ExtensionKind::SoftSpoken);
    soft.chain([ExtensionKind::Silent]).flat_map(|kind| {
        let of = move |threads| COUNTS.map(|count| Parameters { kind, threads, count });
        THREADS.into_iter().flat_map(of)
    })
}

#[derive(Clone, Copy)]
struct Parameters {
    kind: ExtensionKind,
    threads: usize,
    count: usize,
}

impl std::fmt::Display for Parameters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, threads, count } = self;
        let bytes = kind.extension_len(*count);
        match kind {
            ExtensionKind::SoftSpoken(height) => write!(formatter, "{height:?}")?,
            ExtensionKind::Silent => write!(formatter, "Silent")?,
        }
        write!(formatter, " threads={threads} count={count} bytes={bytes}")
    }
}

impl Parameters {
    fn pool(self) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().expect("threads")
    }
}

#[divan::bench(args = parameters())]
fn receiver(bencher: Bencher, parameters: Parameters) {
    let (receiver, _) = prepared(parameters.kind, parameters.count);
    let choices = vec![0x0123_4567_89ab_cdef; padded(parameters.count) / 64];
    let pool = parameters.pool();
    bencher
        .counter(ItemsCount::new(parameters.count))
        .bench_local(|| pool.install(|| receiver.extend(0, parameters.count, &choices)));
}

#[divan::bench(args = parameters())]
fn sender(bencher: Bencher, parameters: Parameters) {
    let (receiver, sender) = prepared(parameters.kind, parameters.count);
    let choices = vec![0x0123_4567_89ab_cdef; padded(parameters.count) / 64];
    let (message, _) = receiver.extend(0, parameters.count, &choices);
    let pool = parameters.pool();
    bencher
        .counter(ItemsCount::new(parameters.count))
        .bench_local(|| pool.install(|| sender.extend(0, parameters.count, &message)));
}

/// The silent extension from the answer (receiver) or the request (sender) to the last pad.
#[divan::bench(args = preparations())]
fn receiver_with_preparation(bencher: Bencher, whole: Whole) {
    let choices = vec![0x0123_4567_89ab_cdef; padded(whole.0) / 64];
    let transfers = whole.0 as u64;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("threads");
    bencher
        .counter(ItemsCount::new(whole.0))
        .with_inputs(|| {
            pool.install(|| {
                let (receiver, sender) = base(ExtensionKind::Silent);
                let (preparation, request) = SilentPreparation::start(receiver, transfers).expect("system randomness");
                (preparation, silent_answer(sender, transfers, &request).expect("a good request").1)
            })
        })
        .bench_local_values(|(preparation, answer)| {
            pool.install(|| preparation.finish(&answer).expect("a good answer").extend(0, whole.0, &choices))
        });
}

#[divan::bench(args = preparations())]
fn sender_with_preparation(bencher: Bencher, whole: Whole) {
    let transfers = whole.0 as u64;
    let message = vec![0x5a; padded(whole.0) / 8];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("threads");
    bencher
        .counter(ItemsCount::new(whole.0))
        .with_inputs(|| {
            pool.install(|| {
                let (receiver, sender) = base(ExtensionKind::Silent);
                (sender, SilentPreparation::start(receiver, transfers).expect("system randomness").1)
            })
        })
        .bench_local_values(|(sender, request)| {
            pool.install(|| {
                let (sender, answer) = silent_answer(sender, transfers, &request).expect("a good request");
                (sender.extend(0, whole.0, &message), answer)
            })
        });
}

fn preparations() -> impl Iterator<Item = Whole> {
    [65_536, 200_000, 907_264, 3_000_000, 6_000_000].into_iter().map(Whole)
}

/// This many transfers.
#[derive(Clone, Copy)]
struct Whole(usize);

impl std::fmt::Display for Whole {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transfers = self.0 as u64;
        let request = request_len(ExtensionKind::Silent.tree_height(), transfers);
        let (answer, rows) = (answer_len(transfers), ExtensionKind::Silent.extension_len(self.0));
        let each = (request + answer + rows) as f64 / transfers as f64;
        write!(formatter, "{transfers}: {request} + {answer} + {rows} bytes, {each:.3} each")
    }
}
