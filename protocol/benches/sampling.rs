//! What one ciphertext and one product cost, in time: `cargo bench -p tacit-protocol --bench sampling`.
//!
//! Encryption of a polynomial is one mask expanded, one product and one polynomial of Gaussian noise; decryption one product.
//! The server's response is measured for layers of 1 and 33 ciphertexts in each direction. With `t(i, o)` for `i` uploaded and
//! `o` returned ones, a product takes `(t(33, 33) - t(33, 1) - t(1, 33) + t(1, 1)) / 1024`, an uploaded ciphertext
//! `(t(33, 1) - t(1, 1)) / 32` less a product, and a returned one `(t(1, 33) - t(1, 1)) / 32` less a product. With encryption and
//! decryption added these are the costs by which packings are chosen (`he/search.rs`).

use divan::Bencher;
use tacit_protocol::plan::{LinearShape, LinearStep, Packing, ParameterSet};
use tacit_protocol::random::Seed;
use tacit_protocol::rlwe::{
    ClientBackend, ClientKeys, LinearRequest, NativeBackend, PreparedLinear, PreparedPublicKey,
};
use tacit_protocol::steps::linear::{client_encrypt, server_respond};

fn main() {
    divan::main();
}

const SETS: [ParameterSet; 2] = ParameterSet::ALL;

/// Uploaded and returned ciphertexts.
const LAYERS: [[usize; 2]; 4] = [[1, 1], [33, 1], [1, 33], [33, 33]];

fn client_keys(parameters: ParameterSet) -> Box<dyn ClientKeys> {
    NativeBackend.generate(parameters).expect("system randomness")
}

/// Eight polynomials in one upload.
#[divan::bench(args = SETS)]
fn encrypt_eight(bencher: Bencher, parameters: ParameterSet) {
    let client_keys = client_keys(parameters);
    let plaintexts = vec![vec![7; parameters.dimension()]; 8];
    bencher.bench(|| client_keys.encrypt(&plaintexts));
}

#[divan::bench(args = SETS)]
fn decrypt_one(bencher: Bencher, parameters: ParameterSet) {
    let client_keys = client_keys(parameters);
    let polynomial = vec![0x1234_5678_9abc_def0; parameters.dimension()];
    bencher.bench(|| client_keys.phase(&polynomial, &polynomial));
}

/// One thread, so that the times are those of a core.
fn respond(bencher: Bencher, parameters: ParameterSet, [inputs, outputs]: [usize; 2]) {
    let tile = parameters.dimension().ilog2() as usize / 2;
    let [channel_tile, output_tile] = [1 << tile, parameters.dimension() >> tile];
    let shape = LinearShape::fully_connected(inputs * channel_tile, outputs * output_tile);
    let packing = Packing {
        parameters,
        group_tile: 1,
        channel_tile,
        output_tile,
        window: [1, 1],
        upload_bits: 56,
        response_mask_bits: 44,
        response_body_bits: 36,
    };
    let plan = LinearStep { shape, packing };
    let prepared = PreparedLinear::new(&plan, &vec![1; shape.weight_count()]).expect("small weights fit");
    let client_keys = client_keys(parameters);
    let key = PreparedPublicKey::new(&client_keys.public_key().expect("system randomness")).expect("a sound key");
    let mask = Seed::random().expect("system randomness").uniform_u32(shape.input.elements());
    let upload = client_encrypt(&*client_keys, &plan, &mask).expect("a mask of the right length");
    let seed = Seed::random().expect("system randomness");
    let request = LinearRequest { public_key: &key, upload: &upload, seed: &seed };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    bencher.bench(|| pool.install(|| server_respond(&prepared, &[request])));
}

#[divan::bench(args = LAYERS)]
fn respond_n4096(bencher: Bencher, [inputs, outputs]: [usize; 2]) {
    respond(bencher, ParameterSet::N4096, [inputs, outputs]);
}

#[divan::bench(args = LAYERS)]
fn respond_n2048(bencher: Bencher, [inputs, outputs]: [usize; 2]) {
    respond(bencher, ParameterSet::N2048, [inputs, outputs]);
}
