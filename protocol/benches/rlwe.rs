//! Encryption, decryption and server responses, alone. Run with `cargo bench -p tacit-protocol --bench rlwe`, and with
//! `--features concrete-core` for the other backend beside it.

use std::sync::LazyLock;

use divan::{Bencher, counter::ItemsCount};
use tacit_protocol::plan::{LinearShape, LinearStep, Padding, ParameterSet, Shape};
use tacit_protocol::random::Seed;
use tacit_protocol::rlwe::{
    ClientBackend, ClientKeys, LinearRequest, NativeBackend, PreparedLinear, PreparedPublicKey, choose_packing,
};
use tacit_protocol::steps::linear::{client_encrypt, server_respond};

fn main() {
    divan::main();
}

const SETS: [ParameterSet; 2] = ParameterSet::ALL;

fn backends() -> Vec<&'static dyn ClientBackend> {
    vec![
        &NativeBackend,
        #[cfg(feature = "concrete-core")]
        &tacit_protocol::rlwe::ConcreteBackend,
    ]
}

fn client_keys(backend: &str, parameters: ParameterSet) -> Box<dyn ClientKeys> {
    let backend = backends().into_iter().find(|candidate| candidate.name() == backend);
    backend.and_then(|backend| backend.generate(parameters).ok()).expect("a backend of this build")
}

fn cases() -> impl Iterator<Item = String> {
    backends().into_iter().flat_map(|backend| SETS.map(|set| format!("{} {set:?}", backend.name())))
}

fn parse(case: &str) -> (&str, ParameterSet) {
    match case.split_once(' ') {
        Some((backend, "N2048")) => (backend, ParameterSet::N2048),
        Some((backend, _)) => (backend, ParameterSet::N4096),
        None => (case, ParameterSet::N4096),
    }
}

#[divan::bench(args = cases())]
fn encrypt_one_polynomial(bencher: Bencher, case: &str) {
    let (backend, parameters) = parse(case);
    let client_keys = client_keys(backend, parameters);
    let plaintext = [vec![7; parameters.dimension()]];
    bencher.bench(|| client_keys.encrypt(&plaintext));
}

#[divan::bench(args = cases())]
fn decrypt_one_polynomial(bencher: Bencher, case: &str) {
    let (backend, parameters) = parse(case);
    let client_keys = client_keys(backend, parameters);
    let polynomial = vec![0x1234_5678_9abc_def0; parameters.dimension()];
    bencher.bench(|| client_keys.phase(&polynomial, &polynomial));
}

struct Layer {
    name: &'static str,
    plan: LinearStep,
    weights: Vec<i16>,
    held: PreparedLinear,
    made: PreparedLinear,
    key: PreparedPublicKey,
    upload: Vec<u8>,
}

fn convolution(channels: [usize; 2], size: usize, kernel: usize, padding: usize) -> LinearShape {
    let output = size + 2 * padding - kernel + 1;
    LinearShape {
        input: Shape::new(channels[0], size, size),
        output: Shape::new(channels[1], output, output),
        kernel: [kernel, kernel],
        padding: Padding { top: padding, left: padding, bottom: padding, right: padding },
        ..LinearShape::fully_connected(1, 1)
    }
}

static LAYERS: LazyLock<Vec<Layer>> = LazyLock::new(|| {
    let shapes = [
        ("convolution 3x3, 64 to 64, 32x32", convolution([64, 64], 32, 3, 1)),
        ("convolution 5x5, 16 to 16, 12x12", convolution([16, 16], 12, 5, 0)),
        ("convolution 1x1, 64 to 256, 56x56", convolution([64, 256], 56, 1, 0)),
        ("convolution 3x3, 16 to 16, 32x32", convolution([16, 16], 32, 3, 1)),
        ("convolution 3x3, 64 groups, 32x32", LinearShape { groups: 64, ..convolution([64, 64], 32, 3, 1) }),
        ("fully connected, 2048 to 1001", LinearShape::fully_connected(2048, 1001)),
    ];
    let layer = |(name, shape): (&'static str, LinearShape)| {
        let weights: Vec<i16> = (0..shape.weight_count()).map(|index| (index * 7919 % 255) as i16 - 127).collect();
        let packing = choose_packing(&shape, &weights).expect("8-bit weights fit");
        let plan = LinearStep { shape, packing };
        let client_keys = NativeBackend.generate(packing.parameters).expect("system randomness");
        let key = PreparedPublicKey::new(&client_keys.public_key().expect("system randomness")).expect("a sound key");
        let mask = Seed::random().expect("system randomness").uniform_u32(shape.input.elements());
        let upload = client_encrypt(&*client_keys, &plan, &mask).expect("a mask of the right length");
        let prepare = |memory: usize| PreparedLinear::with_memory(&plan, &weights, memory).expect("8-bit weights fit");
        let [held, made] = [usize::MAX, 0].map(prepare);
        Layer { name, plan, weights, held, made, key, upload }
    };
    shapes.into_iter().map(layer).collect()
});

/// Layers whose products use transforms.
fn transformed_layers() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().filter(|layer| PreparedLinear::ntt_bytes(&layer.plan) > 0).map(|layer| layer.name)
}

/// What a layer takes when it is loaded, on one thread. Items are transforms of kernel polynomials, each modulo two primes.
#[divan::bench(args = transformed_layers())]
fn transform_weights(bencher: Bencher, name: &str) {
    let Layer { plan, weights, .. } = layer(name);
    let kernels = PreparedLinear::ntt_bytes(plan) / (2 * size_of::<u64>() * plan.packing.parameters.dimension());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    bencher.counter(ItemsCount::new(kernels)).bench(|| pool.install(|| PreparedLinear::new(plan, weights)));
}

fn layer(name: &str) -> &'static Layer {
    LAYERS.iter().find(|layer| layer.name == name).expect("a layer of this bench")
}

/// A layer, the uploads that are answered together, and threads.
fn responses() -> Vec<String> {
    let names = LAYERS.iter().map(|layer| layer.name);
    let ways = ["1 upload, 1 thread", "1 upload, 2 threads", "4 uploads, 1 thread", "4 uploads, 2 threads"];
    names.flat_map(|name| ways.map(|way| format!("{name}: {way}"))).collect()
}

/// With all transforms of kernels held, where products use transforms.
#[divan::bench(args = responses())]
fn respond(bencher: Bencher, case: &str) {
    respond_with(bencher, case, |layer| &layer.held);
}

/// With kernels transformed for each response, where products use transforms.
#[divan::bench(args = responses())]
fn respond_without_memory(bencher: Bencher, case: &str) {
    respond_with(bencher, case, |layer| &layer.made);
}

fn respond_with(bencher: Bencher, case: &str, prepared: fn(&Layer) -> &PreparedLinear) {
    let (name, way) = case.split_once(": ").expect("a case of this bench");
    let layer = layer(name);
    let seed = Seed::random().expect("system randomness");
    let request = LinearRequest { public_key: &layer.key, upload: &layer.upload, seed: &seed };
    let requests = vec![request; if way.starts_with('4') { 4 } else { 1 }];
    let threads = if way.contains("2 threads") { 2 } else { 1 };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    bencher.bench(|| pool.install(|| server_respond(prepared(layer), &requests)));
}
