//! Random transfers per second of both sides, for each height of the trees, on one and on two threads.
//! Bytes on the wire are exact: `TreeHeight::extension_len`.

use divan::{Bencher, counter::ItemsCount};
use tacit_protocol::ot::{BaseReceiver, ExtensionReceiver, ExtensionSender, TreeHeight, base_send_with, padded};

const HEIGHTS: [u8; 6] = [2, 4, 5, 6, 7, 8];
const THREADS: [usize; 2] = [1, 2];
const COUNTS: [usize; 3] = [4096, 65_536, 1 << 20];

fn main() {
    divan::main();
}

fn pair(height: u8) -> (ExtensionReceiver, ExtensionSender) {
    let height = TreeHeight::new(height).expect("a height of 1 to 8");
    let (base, first) = BaseReceiver::start_with(height).expect("system randomness");
    let (receiver, reply) = base_send_with(height, &first).expect("a good message");
    (receiver, base.finish(&reply).expect("a good reply"))
}

fn parameters() -> impl Iterator<Item = Parameters> {
    HEIGHTS.into_iter().flat_map(|height| {
        let of = move |threads| COUNTS.map(|count| Parameters { height, threads, count });
        THREADS.into_iter().flat_map(of)
    })
}

#[derive(Clone, Copy)]
struct Parameters {
    height: u8,
    threads: usize,
    count: usize,
}

impl std::fmt::Display for Parameters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "k={} threads={} count={}", self.height, self.threads, self.count)
    }
}

impl Parameters {
    fn pool(self) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().expect("threads")
    }
}

#[divan::bench(args = parameters())]
fn receiver(bencher: Bencher, parameters: Parameters) {
    let (receiver, _) = pair(parameters.height);
    let choices = vec![0x0123_4567_89ab_cdef; padded(parameters.count) / 64];
    let pool = parameters.pool();
    bencher
        .counter(ItemsCount::new(parameters.count))
        .bench_local(|| pool.install(|| receiver.extend(0, parameters.count, &choices)));
}

#[divan::bench(args = parameters())]
fn sender(bencher: Bencher, parameters: Parameters) {
    let (receiver, sender) = pair(parameters.height);
    let choices = vec![0x0123_4567_89ab_cdef; padded(parameters.count) / 64];
    let (message, _) = receiver.extend(0, parameters.count, &choices);
    let pool = parameters.pool();
    bencher
        .counter(ItemsCount::new(parameters.count))
        .bench_local(|| pool.install(|| sender.extend(0, parameters.count, &message)));
}

/// All three messages of the base transfers, one direction.
#[divan::bench(args = HEIGHTS)]
fn base(height: u8) -> (ExtensionReceiver, ExtensionSender) {
    pair(height)
}
