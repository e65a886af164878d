//! The bundled networks, compiled: plain fixed-point logits against those of onnxruntime.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::File;
use std::path::PathBuf;

use ndarray::Array2;
use ndarray_npy::ReadNpyExt;
use tacit_compiler::quantize::Calibration;
use tacit_compiler::{CompileOptions, CompiledModel, compile, onnx};
use tacit_engine::fixed_point;
use tacit_protocol::plan::Step;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

fn compiled(network: &str, calibration: &str) -> CompiledModel {
    let graph = onnx::load_file(path(&format!("{network}.onnx"))).unwrap();
    let calibration = Calibration::from_file(path(calibration)).unwrap();
    compile(graph, Some(&calibration), &CompileOptions::default()).unwrap()
}

/// Checks classes, logits and the ranges of private inference, and that nothing but squares needs a round trip.
fn check(network: &str, images: &str, calibration: &str, squares: usize) {
    let model = compiled(network, calibration);
    let images = Calibration::from_file(path(images)).unwrap();
    let expected = File::open(path(&format!("expected/{network}.npy"))).unwrap();
    let expected = Array2::<f32>::read_npy(expected).unwrap();
    let mut sum = 0.0;
    for (image, expected) in images.samples().iter().zip(expected.rows()) {
        let input = model.plan.encode_input(image).unwrap();
        let ring = fixed_point::evaluate(&model.plan, &model.parameters, &input);
        let ranges = fixed_point::evaluate_range(&model.plan, &model.parameters, &input);
        for (value, (low, high)) in ring.iter().zip(ranges) {
            assert!((low..=high).contains(&i64::from(*value as i32)), "{network}");
        }
        let logits = model.plan.decode_output(&ring);
        let class = |values: Vec<f32>| (0..10).max_by(|a, b| values[*a].total_cmp(&values[*b]));
        assert_eq!(class(logits.clone()), class(expected.to_vec()), "{network}");
        sum += logits.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).sum::<f32>() / 10.0;
    }
    let mean = sum / images.len() as f32;
    assert!(mean < 0.03, "{network}: {mean}\n{}", model.report);
    assert!(model.report.warnings.is_empty());
    let round_trips = model.plan.nodes.iter().filter(|node| matches!(node.step, Step::Square { .. })).count();
    assert_eq!(round_trips, squares);
    assert!(!model.plan.nodes.iter().any(|node| matches!(node.step, Step::Truncate { .. })));
    assert!(model.report.layers.iter().all(|layer| layer.headroom_bits >= 1.0 && layer.noise_margin_bits >= 0.0));
}

#[test]
fn m2_with_normalisation_and_polynomial_activations() {
    check("m2_minionn_quad", "digits.npz", "digits_calibration.npz", 3);
}

#[test]
fn m4_with_squares() {
    check("m4_cryptonets_square", "digits.npz", "digits_calibration.npz", 2);
}

#[test]
fn f2_with_normalisation_and_polynomial_activations() {
    check("f2_fashion_minionn_quad", "fashion.npz", "fashion_calibration.npz", 3);
}

/// The networks with random weights that the literature measures on: each logit within a hundredth of the largest.
#[test]
fn networks_of_the_literature() {
    let read = |name: &str| ndarray::ArrayD::<f32>::read_npy(File::open(path(name)).unwrap()).unwrap();
    for network in ["A", "Asq", "B", "C20"] {
        let input = format!("expected/{network}_input.npy");
        let model = compiled(network, &input);
        let input: Vec<f32> = read(&input).iter().copied().collect();
        let input = model.plan.encode_input(&input).unwrap();
        let logits = model.plan.decode_output(&fixed_point::evaluate(&model.plan, &model.parameters, &input));
        let expected = read(&format!("expected/{network}.npy"));
        let largest = expected.iter().fold(0f32, |largest, logit| largest.max(logit.abs()));
        for (got, expected) in logits.iter().zip(&expected) {
            assert!((got - expected).abs() < 0.01 * largest, "{network}: {got} {expected}\n{}", model.report);
        }
    }
}

#[test]
fn prepared_weights_take_little_memory() {
    let model = compiled("m2_minionn_quad", "digits_calibration.npz").prepare(usize::MAX).unwrap();
    assert!(model.memory_bytes() < 64 << 20, "{}", model.memory_bytes());
}
