//! What the chosen packings of known networks cost in bytes, without the encryption.
//!
//! `cargo test -p tacit-protocol packings_of -- --nocapture` prints them.

use super::*;

/// A convolution, padded so that a stride of 1 keeps the size; its groups are 1.
fn convolution(channels: [usize; 2], size: usize, kernel: usize, stride: usize) -> LinearShape {
    let around = kernel / 2;
    let output = (size + 2 * around - kernel) / stride + 1;
    LinearShape {
        input: Shape::new(channels[0], size, size),
        output: Shape::new(channels[1], output, output),
        kernel: [kernel, kernel],
        stride: [stride, stride],
        padding: Padding { top: around, left: around, bottom: around, right: around },
        ..LinearShape::fully_connected(1, 1)
    }
}

/// MiniONN's network for CIFAR-10: how often, and which layer.
fn minionn() -> Vec<(usize, LinearShape)> {
    vec![
        (1, convolution([3, 64], 32, 3, 1)),
        (1, convolution([64, 64], 32, 3, 1)),
        (2, convolution([64, 64], 16, 3, 1)),
        (1, convolution([64, 64], 8, 3, 1)),
        (1, convolution([64, 64], 8, 1, 1)),
        (1, convolution([64, 16], 8, 1, 1)),
        (1, LinearShape::fully_connected(1024, 10)),
    ]
}

/// ResNet-20 for CIFAR-10, with convolutions as shortcuts.
fn resnet20() -> Vec<(usize, LinearShape)> {
    vec![
        (1, convolution([3, 16], 32, 3, 1)),
        (6, convolution([16, 16], 32, 3, 1)),
        (1, convolution([16, 32], 32, 3, 2)),
        (1, convolution([16, 32], 32, 1, 2)),
        (5, convolution([32, 32], 16, 3, 1)),
        (1, convolution([32, 64], 16, 3, 2)),
        (1, convolution([32, 64], 16, 1, 2)),
        (5, convolution([64, 64], 8, 3, 1)),
        (1, LinearShape::fully_connected(64, 10)),
    ]
}

/// Bytes of traffic that take as long, at 1 Gbit/s, as switching the key of a ciphertext: 50 microseconds, of 12 transforms.
const SWITCH_COST: usize = 6250;

/// Bytes of both directions, and switches of keys, if `2^k` input channels lay side by side in the lowest places, so that
/// outputs are `2^k` apart and as many ciphertexts of outputs were merged into one.
fn merged(plan: &LinearStep) -> (usize, usize) {
    let (kernel, phases) = packing::phases(&plan.shape);
    let LinearStep { shape, packing } = *plan;
    let dimension = ParameterSet::N4096.dimension();
    let channels = shape.channels_per_group() * phases.len();
    let mut best = (usize::MAX, 0);
    for parts in 1..=8 {
        for bits in 0..=12 {
            let rows = shape.output.height.div_ceil(parts);
            let area = (rows + kernel[0] - 1) * (shape.output.width + kernel[1] - 1);
            if area << bits > dimension || channels >> bits == 0 {
                continue;
            }
            let products = parts * shape.output.channels;
            let (uploaded, returned) = (parts * channels.div_ceil(1 << bits), products.div_ceil(1 << bits));
            // Each merging doubles the message, so that it has to be encrypted with as many bits less above the noise.
            let bytes = uploaded * packed_len(dimension, packing.upload_bits + bits)
                + returned * packed_len(dimension, packing.response_mask_bits)
                + packed_len(shape.output.elements(), packing.response_body_bits);
            let switches = products - returned;
            if bytes + switches * SWITCH_COST < best.0.saturating_add(best.1 * SWITCH_COST) {
                best = (bytes, switches);
            }
        }
    }
    best
}

/// Bytes of all uploads and of all responses.
fn bytes(name: &str, layers: Vec<(usize, LinearShape)>) -> [usize; 2] {
    let mut sums = [0; 2];
    let (mut merged_bytes, mut all_switches) = (0, 0);
    println!(
        "{name}: times, layer: ciphertexts up, down; bytes up, down; outputs among returned coefficients; if merged"
    );
    for (times, shape) in layers {
        // Weights of 12 bits with the norms that trained ones have.
        let weights = random_weights(shape.weight_count(), 900, 1);
        let plan = LinearStep { shape, packing: choose_packing(&shape, &weights).unwrap() };
        let (upload, response) = message_lengths(&plan);
        let geometry = Geometry::new(&plan);
        let [inputs, outputs] = [geometry.input_ciphertexts(), geometry.output_ciphertexts()];
        let share = 100 * shape.output.elements() / (outputs * plan.packing.parameters.dimension());
        let (bytes, switches) = merged(&plan);
        let cheaper = bytes + switches * SWITCH_COST < upload + response;
        let (bytes, switches) = if cheaper { (bytes, switches) } else { (upload + response, 0) };
        println!(
            "  {times} {} to {}, {}x{} / {}: {inputs} {outputs}; {upload} {response}; {share} %; {bytes}, {switches} switches",
            shape.input, shape.output, shape.kernel[0], shape.kernel[1], shape.stride[0],
        );
        sums = [sums[0] + times * upload, sums[1] + times * response];
        (merged_bytes, all_switches) = (merged_bytes + times * bytes, all_switches + times * switches);
    }
    println!("  in all {} up, {} down; if merged {merged_bytes}, {all_switches} switches", sums[0], sums[1]);
    sums
}

#[test]
fn packings_of_known_networks_take_no_more_bytes_than_they_did() {
    let [upload, response] = bytes("MiniONN", minionn());
    assert!(upload < 2_000_000 && response < 4_200_000);
    let [upload, response] = bytes("ResNet-20", resnet20());
    assert!(upload < 3_900_000 && response < 6_600_000);
}
