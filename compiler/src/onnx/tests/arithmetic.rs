//! Linear layers, normalisation, and arithmetic that becomes layers.

use super::{Model, float, int, ramp};
use crate::graph::{Bias, Operator};

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} differs from {expected}");
    }
}

/// `rows x inner` times `inner x columns`.
fn product(left: &[f32], right: &[f32], inner: usize, columns: usize) -> Vec<f32> {
    let entry = |row: &[f32], column: usize| (0..inner).map(|k| row[k] * right[k * columns + column]).sum();
    left.chunks_exact(inner).flat_map(|row| (0..columns).map(move |column| entry(row, column))).collect()
}

#[test]
fn gemm_with_factors_in_both_layouts() {
    let (input, matrix) = (ramp(4), ramp(12));
    let mut transposed = vec![0.0; 12];
    for (index, value) in matrix.iter().enumerate() {
        transposed[index % 3 * 4 + index / 3] = *value;
    }
    let addend = [1.0, -2.0, 0.5];
    let expected: Vec<f32> =
        product(&input, &matrix, 4, 3).iter().zip(addend).map(|(product, c)| 0.5 * product + 3.0 * c).collect();
    let factors = || vec![float("alpha", 0.5), float("beta", 3.0)];
    let plain = Model::new(&[-1, 4]).floats("b", &[4, 3], &matrix).floats("c", &[3], &addend).node(
        "y",
        "Gemm x b c",
        factors(),
    );
    assert_close(&plain.run(&input), &expected);
    let transposed = Model::new(&[-1, 4]).floats("b", &[3, 4], &transposed).floats("c", &[1, 3], &addend).node(
        "y",
        "Gemm x b c",
        [factors(), vec![int("transB", 1), int("transA", 0)]].concat(),
    );
    assert_close(&transposed.run(&input), &expected);
    assert_eq!(plain.load().unwrap().layers, transposed.load().unwrap().layers);
}

#[test]
fn gemm_addend_is_optional_and_may_be_a_scalar() {
    let gemm = |arguments| {
        Model::new(&[1, 2]).floats("b", &[2, 2], &[1.0, 0.0, 0.0, 1.0]).floats("c", &[], &[5.0]).node(
            "y",
            arguments,
            vec![],
        )
    };
    assert_eq!(gemm("Gemm x b").run(&[1.0, 2.0]), [1.0, 2.0]);
    assert_eq!(gemm("Gemm x b _").run(&[1.0, 2.0]), [1.0, 2.0]);
    assert_eq!(gemm("Gemm x b c").run(&[1.0, 2.0]), [6.0, 7.0]);
}

#[test]
fn matrix_product_with_a_bias_behind_it() {
    let (input, matrix) = (ramp(5), ramp(10));
    let model = Model::new(&[-1, 5])
        .floats("w", &[5, 2], &matrix)
        .floats("b", &[2], &[1.0, -1.0])
        .node("p", "MatMul x w", vec![])
        .node("y", "Add p b", vec![]);
    assert_eq!(model.operators(), ["Linear", "Affine"]);
    let expected = product(&input, &matrix, 5, 2);
    assert_close(&model.run(&input), &[expected[0] + 1.0, expected[1] - 1.0]);
}

#[test]
fn matrix_product_keeps_dimensions_of_one() {
    let model = Model::new(&[-1, 1, 5]).floats("w", &[5, 2], &ramp(10)).node("y", "MatMul x w", vec![]);
    let graph = model.load().unwrap();
    assert_eq!(graph.output_dimensions, [1, 2]);
    assert_close(&graph.evaluate(&ramp(5)).unwrap(), &product(&ramp(5), &ramp(10), 5, 2));
    let image = Model::new(&[-1, 1, 1, 5]).floats("w", &[5, 2], &ramp(10)).node("y", "MatMul x w", vec![]);
    assert_eq!(image.operators(), ["Reshape", "Linear"]);
    assert_close(&image.run(&ramp(5)), &product(&ramp(5), &ramp(10), 5, 2));
}

#[test]
fn batch_normalization_is_an_affine_layer() {
    let model = Model::new(&[-1, 2, 1, 2])
        .floats("gain", &[2], &[2.0, -1.0])
        .floats("bias", &[2], &[0.5, 0.0])
        .floats("mean", &[2], &[1.0, -3.0])
        .floats("variance", &[2], &[3.0, 0.0])
        .node(
            "y",
            "BatchNormalization x gain bias mean variance",
            vec![float("epsilon", 1.0), float("momentum", 0.9), int("training_mode", 0)],
        );
    let graph = model.load().unwrap();
    assert_eq!(graph.layers[1].operator, Operator::Affine { scale: vec![1.0, -1.0], shift: vec![-0.5, -3.0] });
    assert_eq!(graph.evaluate(&[1.0, 2.0, 3.0, 4.0]).unwrap(), [0.5, 1.5, -6.0, -7.0]);
}

#[test]
fn batch_normalization_of_a_vector_with_the_default_epsilon() {
    let model = Model::new(&[-1, 1]).floats("one", &[1], &[1.0]).floats("zero", &[1], &[0.0]).node(
        "y",
        "BatchNormalization x one zero zero one",
        vec![],
    );
    assert_close(&model.run(&[2.0]), &[2.0 / 1.00001_f32.sqrt()]);
}

#[test]
fn constants_of_full_shape_are_added_as_a_map() {
    let map = [1.0, 2.0, 3.0, 4.0];
    let model = |arguments| Model::new(&[-1, 1, 2, 2]).floats("m", &[2, 2], &map).node("y", arguments, vec![]);
    let input = [10.0, 20.0, 30.0, 40.0];
    assert_eq!(model("Add x m").operators(), ["AddMap"]);
    assert_eq!(model("Add m x").run(&input), [11.0, 22.0, 33.0, 44.0]);
    assert_eq!(model("Sub x m").run(&input), [9.0, 18.0, 27.0, 36.0]);
    assert_eq!(model("Sub m x").run(&input), [-9.0, -18.0, -27.0, -36.0]);
    assert_eq!(model("Sub m x").operators(), ["Affine", "AddMap"]);
    assert_eq!(model("Sum x m x").run(&input), [21.0, 42.0, 63.0, 84.0]);
}

#[test]
fn a_row_is_broadcast_over_channels_and_rows() {
    let model = Model::new(&[-1, 2, 2, 2]).floats("r", &[2], &[1.0, 2.0]).node("y", "Add x r", vec![]);
    assert_eq!(model.run(&[0.0; 8]), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
}

#[test]
fn a_residual_connection() {
    let model = Model::new(&[-1, 2, 3, 3])
        .floats("w", &[2, 2, 1, 1], &[1.0, 2.0, 3.0, 4.0])
        .node("conv", "Conv x w", vec![])
        .node("y", "Add conv x", vec![]);
    assert_eq!(model.operators(), ["Linear", "Add"]);
    let input = ramp(18);
    let found = model.run(&input);
    for pixel in 0..9 {
        let (a, b) = (input[pixel], input[9 + pixel]);
        assert_close(&[found[pixel], found[9 + pixel]], &[2.0 * a + 2.0 * b, 3.0 * a + 5.0 * b]);
    }
}

#[test]
fn a_difference_of_layers() {
    let model = Model::new(&[-1, 1])
        .floats("w", &[1, 1], &[3.0])
        .node("p", "MatMul x w", vec![])
        .node("q", "MatMul x w", vec![])
        .node("y", "Sub p q", vec![]);
    assert_eq!(model.operators(), ["Linear", "Linear", "Subtract"]);
    assert_eq!(model.run(&[2.0]), [0.0]);
}

#[test]
fn a_bias_may_be_left_out() {
    let model = |arguments| Model::new(&[-1, 1, 1, 1]).floats("w", &[1, 1, 1, 1], &[2.0]).node("y", arguments, vec![]);
    for arguments in ["Conv x w", "Conv x w _"] {
        let graph = model(arguments).load().unwrap();
        let Operator::Linear(linear) = &graph.layers[1].operator else { panic!("not linear") };
        assert_eq!(linear.bias, Bias::PerChannel(vec![0.0]));
    }
}

#[test]
fn identity_and_dropout_pass_on() {
    let model = Model::new(&[-1, 2])
        .floats("ratio", &[], &[0.5])
        .floats("two", &[], &[2.0])
        .node("i", "Identity x", vec![])
        .node("d", "Dropout i ratio", vec![])
        .node("e", "Dropout d", vec![float("ratio", 0.3)])
        .node("y", "Mul e two", vec![]);
    assert_eq!(model.run(&[1.0, 2.0]), [2.0, 4.0]);
}
