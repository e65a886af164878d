//! `Relu` and what consists of it.

use super::{Model, float, ints, ramp};

/// Three channels of one row with two columns.
fn model() -> Model {
    Model::new(&[-1, 3, 1, 2])
        .floats("slope", &[], &[0.25])
        .floats("channel", &[3, 1, 1], &[0.5, -2.0, 1.0])
        .floats("ones", &[1, 3, 1, 1], &[1.0; 3])
        .floats("zeros", &[1], &[0.0])
        .floats("row", &[2], &[0.5, 0.25])
        .floats("two", &[], &[2.0])
}

const INPUT: [f32; 6] = [1.0, -2.0, 3.0, -0.5, -0.25, 4.0];

#[test]
fn relu() {
    let model = model().node("y", "Relu x", vec![]);
    assert_eq!(model.operators(), ["Relu"]);
    model.assert_elementwise(&INPUT, |x| x.max(0.0));
    let vector = Model::new(&[-1, 3]).node("r", "Relu x", vec![]).node("y", "Relu r", vec![]);
    assert_eq!(vector.run(&[-1.0, 0.0, 2.0]), [0.0, 0.0, 2.0]);
}

#[test]
fn a_polynomial_becomes_a_layer_before_it_is_rectified() {
    let squared = model().node("s", "Mul x x", vec![]).node("d", "Sub s two", vec![]).node("y", "Relu d", vec![]);
    assert_eq!(squared.operators(), ["Quadratic", "Relu"]);
    squared.assert_elementwise(&INPUT, |x| (x * x - 2.0).max(0.0));
    let after = model().node("r", "Relu x", vec![]).node("s", "Mul r r", vec![]).node("y", "Add s two", vec![]);
    assert_eq!(after.operators(), ["Relu", "Quadratic"]);
    after.assert_elementwise(&INPUT, |x| x.max(0.0).powi(2) + 2.0);
    // The difference is used twice, but is one layer.
    let shared = model().node("d", "Sub x two", vec![]).node("r", "Relu d", vec![]).node("y", "Add r d", vec![]);
    assert_eq!(shared.operators(), ["Affine", "Relu", "Add"]);
    shared.assert_elementwise(&INPUT, |x| (x - 2.0).max(0.0) + x - 2.0);
}

#[test]
fn a_residual_block() {
    let weights = ramp(9);
    let model = model()
        .floats("w", &[3, 3, 1, 1], &weights)
        .node("a", "Conv x w", vec![])
        .node("b", "Relu a", vec![])
        .node("c", "Conv b w", vec![])
        .node("d", "Add c x", vec![])
        .node("y", "Relu d", vec![]);
    assert_eq!(model.operators(), ["Linear", "Relu", "Linear", "Add", "Relu"]);
    let convolve = |input: &[f32]| -> Vec<f32> {
        let sum = |index: usize| (0..3).map(|c| weights[index / 2 * 3 + c] * input[2 * c + index % 2]).sum();
        (0..6).map(sum).collect()
    };
    let inner: Vec<f32> = convolve(&INPUT).iter().map(|x| x.max(0.0)).collect();
    let sums = convolve(&inner).into_iter().zip(INPUT);
    model.assert_close(&INPUT, &sums.map(|(c, x)| (c + x).max(0.0)).collect::<Vec<_>>());
}

#[test]
fn leaky_relu_with_any_slope() {
    for slope in [0.1_f32, -0.5, 2.5] {
        let model = model().node("y", "LeakyRelu x", vec![float("alpha", slope)]);
        assert_eq!(model.operators(), ["Relu", "Affine", "Affine", "Add"]);
        model.assert_elementwise(&INPUT, |x| if x > 0.0 { x } else { slope * x });
    }
    let default = model().node("y", "LeakyRelu x", vec![]);
    default.assert_elementwise(&INPUT, |x| if x > 0.0 { x } else { 0.01 * x });
    let zero = model().node("y", "LeakyRelu x", vec![float("alpha", 0.0)]);
    assert_eq!(zero.operators(), ["Relu"]);
    let one = model().node("l", "LeakyRelu x", vec![float("alpha", 1.0)]).node("y", "Neg l", vec![]);
    assert_eq!(one.operators(), ["Affine"]);
}

#[test]
fn leaky_relu_of_a_polynomial() {
    let model = model().node("d", "Sub x two", vec![]).node("y", "LeakyRelu d", vec![float("alpha", 0.5)]);
    assert_eq!(model.operators(), ["Affine", "Relu", "Affine", "Affine", "Add"]);
    model.assert_elementwise(&INPUT, |x| if x > 2.0 { x - 2.0 } else { 0.5 * (x - 2.0) });
}

#[test]
fn parametric_relu() {
    let scalar = model().node("y", "PRelu x slope", vec![]);
    scalar.assert_elementwise(&INPUT, |x| if x > 0.0 { x } else { 0.25 * x });
    let channels = model().node("y", "PRelu x channel", vec![]);
    channels.assert_close(&INPUT, &[1.0, -1.0, 3.0, 1.0, -0.25, 4.0]);
    assert_eq!(model().node("y", "PRelu x zeros", vec![]).operators(), ["Relu"]);
    let one = model().node("p", "PRelu x ones", vec![]).node("y", "Neg p", vec![]);
    assert_eq!(one.operators(), ["Affine"]);
    let vector = Model::new(&[-1, 2]).floats("slope", &[2], &[3.0, -1.0]).node("y", "PRelu x slope", vec![]);
    assert_eq!(vector.run(&[-1.0, -2.0]), [-3.0, 2.0]);
    model().node("y", "PRelu x row", vec![]).assert_error(
        "node `y_node` (PRelu): the slope differs between the elements of a channel; supported are scalars and one \
         value per channel",
    );
    model().node("y", "PRelu x x", vec![]).assert_error(
        "node `y_node` (PRelu): the slope must be a constant; only initializers, Constant nodes and what is computed \
         from them are supported",
    );
}

#[test]
fn extrema_with_constants() {
    let largest = model().node("y", "Max x slope", vec![]);
    assert_eq!(largest.operators(), ["Affine", "Relu", "Affine"]);
    largest.assert_elementwise(&INPUT, |x| x.max(0.25));
    model().node("y", "Min slope x", vec![]).assert_elementwise(&INPUT, |x| x.min(0.25));
    assert_eq!(model().node("y", "Max x zeros", vec![]).operators(), ["Relu"]);
    model().node("y", "Max x channel", vec![]).assert_close(&INPUT, &[1.0, 0.5, 3.0, -0.5, 1.0, 4.0]);
    // Both bounds, one after the other.
    let both = model().node("a", "Max x zeros", vec![]).node("y", "Min a two", vec![]);
    both.assert_elementwise(&INPUT, |x| x.clamp(0.0, 2.0));
    model().node("y", "Max x row", vec![]).assert_error(
        "node `y_node` (Max): a bound differs between the elements of a channel; supported are scalars and one value \
         per channel",
    );
}

#[test]
fn extrema_of_layers() {
    let of = |operator: &str| {
        model().node("n", "Neg x", vec![]).node("m", "Mul x two", vec![]).node(
            "y",
            &format!("{operator} x n m"),
            vec![],
        )
    };
    of("Max").assert_elementwise(&INPUT, |x| x.max(-x).max(2.0 * x));
    of("Min").assert_elementwise(&INPUT, |x| x.min(-x).min(2.0 * x));
    let other = model().node("p", "GlobalMaxPool x", vec![]).node("y", "Max x p", vec![]);
    other.assert_error_contains(&["node `y_node` (Max)", "two layers' values must have the same dimensions"]);
    let alone = model().node("m", "Max x", vec![]).node("y", "Neg m", vec![]);
    alone.assert_elementwise(&INPUT, |x| -x);
}

#[test]
fn rectified_values_after_other_dimensions() {
    let model = model().node("u", "Unsqueeze x", vec![ints("axes", &[1])]).node("y", "Relu u", vec![]);
    assert_eq!(model.load().unwrap().output_dimensions, [1, 3, 1, 2]);
    model.assert_elementwise(&INPUT, |x| x.max(0.0));
}
