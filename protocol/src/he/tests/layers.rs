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

/// Bytes of all uploads and of all responses, and of the responses' masks alone.
fn bytes(name: &str, layers: Vec<(usize, LinearShape)>) -> [usize; 3] {
    let mut sums = [0; 3];
    println!(
        "{name}: times, layer, ciphertexts up and down, bytes up and down, coefficients returned that are outputs"
    );
    for (times, shape) in layers {
        // Weights of 12 bits with the norms that trained ones have.
        let weights = random_weights(shape.weight_count(), 900, 1);
        let plan = LinearPlan { shape, packing: choose_packing(&shape, &weights).unwrap() };
        let (upload, response) = message_lengths(&plan);
        let geometry = Geometry::new(&plan);
        let ciphertexts = [geometry.input_ciphertexts(), geometry.output_ciphertexts()];
        let dimension = plan.packing.parameters.dimension();
        let masks = ciphertexts[1] * packed_len(dimension, plan.packing.response_mask_bits);
        let share = 100.0 * shape.output.elements() as f64 / (ciphertexts[1] * dimension) as f64;
        println!(
            "  {times} {} to {}, {} of {}: {ciphertexts:?}, {upload} {response}, {share:.0} %, {:?}",
            shape.input, shape.output, shape.kernel[0], shape.stride[0], plan.packing
        );
        for (sum, bytes) in sums.iter_mut().zip([upload, response, masks]) {
            *sum += times * bytes;
        }
    }
    println!("  in all: {} up, {} down, of which masks {}", sums[0], sums[1], sums[2]);
    sums
}

#[test]
fn packings_of_known_networks_take_no_more_bytes_than_they_did() {
    let [upload, response, _] = bytes("MiniONN", minionn());
    assert!(upload < 2_000_000 && response < 4_200_000);
    let [upload, response, _] = bytes("ResNet-20", resnet20());
    assert!(upload < 3_900_000 && response < 6_600_000);
}
