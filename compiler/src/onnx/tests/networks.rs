//! The bundled networks give the logits that onnxruntime gives.

use std::fs::File;
use std::path::PathBuf;

use ndarray::{Array2, Array4, ArrayD};
use ndarray_npy::NpzReader;

use super::operator_name;
use crate::onnx::load_file;

const TOLERANCE: f32 = 1e-4;

fn models() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn assert_logits(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= TOLERANCE, "{found} differs from {expected}");
    }
}

fn check(network: &str, images: &str, operators: &[&str]) {
    let graph = load_file(models().join(network).with_extension("onnx")).unwrap();
    graph.validate().unwrap();
    assert_eq!(graph.input_name, "input");
    assert_eq!(graph.input_dimensions, [1, 28, 28]);
    assert_eq!(graph.output_name, "logits");
    assert_eq!(graph.output_dimensions, [10]);
    assert_eq!(graph.layers.iter().map(operator_name).collect::<Vec<_>>(), operators);

    let mut samples = NpzReader::new(File::open(models().join(images)).unwrap()).unwrap();
    let pixels: Array4<u8> = samples.by_name("x").unwrap();
    let expected = models().join("expected").join(network).with_extension("npy");
    let expected: Array2<f32> = ndarray_npy::read_npy(expected).unwrap();
    assert_eq!(pixels.shape(), [20, 1, 28, 28]);
    for (image, expected) in pixels.outer_iter().zip(expected.outer_iter()) {
        let image: Vec<f32> = image.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        assert_logits(&graph.evaluate(&image).unwrap(), expected.as_slice().unwrap());
    }
}

const MINIONN: [&str; 13] = [
    "Input",
    "Linear",
    "Affine",
    "Quadratic",
    "AveragePool",
    "Linear",
    "Affine",
    "Quadratic",
    "AveragePool",
    "Reshape",
    "Linear",
    "Quadratic",
    "Linear",
];

#[test]
fn minionn_on_digits() {
    check("m2_minionn_quad", "digits.npz", &MINIONN);
}

#[test]
fn minionn_on_fashion() {
    check("f2_fashion_minionn_quad", "fashion.npz", &MINIONN);
}

#[test]
fn cryptonets_on_digits() {
    let operators = ["Input", "Linear", "Quadratic", "Reshape", "Linear", "Quadratic", "Linear"];
    check("m4_cryptonets_square", "digits.npz", &operators);
}

#[test]
fn nodes_without_names() {
    let graph = load_file(models().join("Asq.onnx")).unwrap();
    assert!(graph.layers.iter().all(|layer| !layer.name.is_empty()));
    let input: ArrayD<f32> = ndarray_npy::read_npy(models().join("expected/Asq_input.npy")).unwrap();
    let expected: ArrayD<f32> = ndarray_npy::read_npy(models().join("expected/Asq.npy")).unwrap();
    assert_logits(&graph.evaluate(input.as_slice().unwrap()).unwrap(), expected.as_slice().unwrap());
}
