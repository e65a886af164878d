//! Activations in every form that exporters write them.

use super::{Model, int};
use crate::graph::{Graph, Operator};

/// Three channels of one row with two columns.
fn model() -> Model {
    Model::new(&[-1, 3, 1, 2])
        .floats("a", &[], &[0.5])
        .floats("b", &[1], &[-2.0])
        .floats("c", &[1, 1, 1], &[0.25])
        .floats("channel", &[1, 3, 1, 1], &[1.0, 2.0, -4.0])
        .floats("channel3", &[3, 1, 1], &[0.5, 0.0, -1.0])
        .floats("two", &[], &[2.0])
        .integers("integer_two", &[], &[2])
}

const INPUT: [f32; 6] = [1.0, -2.0, 3.0, 0.5, -0.25, 4.0];

/// Coefficients of the only layer, which must be a quadratic.
fn quadratic(graph: &Graph) -> [Vec<f64>; 3] {
    let [_, layer] = graph.layers.as_slice() else { panic!("{} layers", graph.layers.len()) };
    let Operator::Quadratic { square, linear, constant } = &layer.operator else { panic!("{:?}", layer.operator) };
    [square.clone(), linear.clone(), constant.clone()]
}

#[track_caller]
fn assert_quadratic(model: Model, expected: [[f64; 3]; 3]) {
    let graph = model.load().unwrap();
    assert_eq!(quadratic(&graph), expected.map(|list| list.to_vec()));
    let found = graph.evaluate(&INPUT).unwrap();
    for (index, (&x, found)) in INPUT.iter().zip(found).enumerate() {
        let [a, b, c] = expected.map(|list| list[index / 2] as f32);
        assert!((found - (a * x * x + b * x + c)).abs() < 1e-6);
    }
}

const SQUARE: [[f64; 3]; 3] = [[1.0; 3], [0.0; 3], [0.0; 3]];
const SCALARS: [[f64; 3]; 3] = [[0.5; 3], [-2.0; 3], [0.25; 3]];

#[test]
fn squares() {
    assert_quadratic(model().node("y", "Mul x x", vec![]), SQUARE);
    assert_quadratic(model().node("y", "Pow x two", vec![]), SQUARE);
    assert_quadratic(model().node("y", "Pow x integer_two", vec![]), SQUARE);
    let through_identity = model().node("i", "Identity x", vec![]).node("y", "Mul i x", vec![]);
    assert_quadratic(through_identity, SQUARE);
}

#[test]
fn polynomial_as_products_of_the_scaled_input() {
    let model = model()
        .node("ax", "Mul a x", vec![])
        .node("axx", "Mul ax x", vec![])
        .node("bx", "Mul x b", vec![])
        .node("s", "Add axx bx", vec![])
        .node("y", "Add s c", vec![]);
    assert_quadratic(model, SCALARS);
}

#[test]
fn polynomial_with_power_and_constant_first() {
    let model = model()
        .node("xx", "Pow x two", vec![])
        .node("axx", "Mul xx a", vec![])
        .node("bx", "Mul b x", vec![])
        .node("bxc", "Add c bx", vec![])
        .node("y", "Add bxc axx", vec![]);
    assert_quadratic(model, SCALARS);
}

#[test]
fn polynomial_by_horner() {
    let model = model()
        .node("ax", "Mul a x", vec![])
        .node("axb", "Add ax b", vec![])
        .node("p", "Mul x axb", vec![])
        .node("y", "Add p c", vec![]);
    assert_quadratic(model, SCALARS);
}

#[test]
fn polynomial_as_sum_of_three() {
    let model = model()
        .node("xx", "Mul x x", vec![])
        .node("axx", "Mul a xx", vec![])
        .node("bx", "Mul b x", vec![])
        .node("y", "Sum c axx bx", vec![]);
    assert_quadratic(model, SCALARS);
}

#[test]
fn differences_quotients_and_signs() {
    // y = 0.25 - (2x - x^2 / 2)
    let model = model()
        .node("xx", "Mul x x", vec![])
        .node("half", "Div xx two", vec![])
        .node("n", "Neg x", vec![])
        .node("bx", "Mul n b", vec![])
        .node("d", "Sub bx half", vec![])
        .node("y", "Sub c d", vec![]);
    assert_quadratic(model, SCALARS);
}

#[test]
fn per_channel_coefficients() {
    let model =
        model().node("s", "Add x channel3", vec![]).node("ss", "Mul s s", vec![]).node("y", "Mul channel ss", vec![]);
    // channel * (x + channel3)^2
    assert_quadratic(model, [[1.0, 2.0, -4.0], [1.0, 0.0, 8.0], [0.25, 0.0, -4.0]]);
}

#[test]
fn per_element_constants_that_are_the_same_within_a_channel() {
    let values = [1.0, 1.0, 2.0, 2.0, -4.0, -4.0];
    let model =
        model().floats("full", &[1, 3, 1, 2], &values).node("xx", "Mul x x", vec![]).node("y", "Mul xx full", vec![]);
    assert_quadratic(model, [[1.0, 2.0, -4.0], [0.0; 3], [0.0; 3]]);
}

#[test]
fn features_of_a_vector_are_channels() {
    let model = Model::new(&[-1, 3])
        .floats("w", &[3], &[1.0, 2.0, 3.0])
        .node("xw", "Mul x w", vec![])
        .node("p", "Mul xw x", vec![])
        .node("y", "Sub p w", vec![]);
    let graph = model.load().unwrap();
    assert_eq!(quadratic(&graph), [vec![1.0, 2.0, 3.0], vec![0.0; 3], vec![-1.0, -2.0, -3.0]]);
}

#[test]
fn affine_values_are_one_layer_named_after_the_last_node() {
    let model = model().node("s", "Sub x b", vec![]).node("y", "Div s two", vec![]);
    let graph = model.load().unwrap();
    let [_, layer] = graph.layers.as_slice() else { panic!("more than one layer") };
    assert_eq!(layer.name, "y_node");
    assert_eq!(layer.operator, Operator::Affine { scale: vec![0.5; 3], shift: vec![1.0; 3] });
}

#[test]
fn a_square_of_a_square_is_two_layers() {
    let model = model().node("xx", "Mul x x", vec![]).node("s", "Add xx a", vec![]).node("y", "Mul s s", vec![]);
    assert_eq!(model.operators(), ["Quadratic", "Quadratic"]);
    let expected: Vec<f32> = INPUT.iter().map(|x| (x * x + 0.5) * (x * x + 0.5)).collect();
    assert_eq!(model.run(&INPUT), expected);
}

#[test]
fn a_shared_activation_is_computed_once() {
    let model = model()
        .node("xx", "Mul x x", vec![])
        .floats("w", &[3, 3, 1, 1], &super::ramp(9))
        .node("conv", "Conv xx w", vec![])
        .node("y", "Add conv xx", vec![]);
    assert_eq!(model.operators(), ["Quadratic", "Linear", "Add"]);
}

#[test]
fn arithmetic_of_a_layer_and_its_own_base() {
    // The square has become a layer (the convolution takes it) when it is added to x again.
    let model = model()
        .node("xx", "Mul x x", vec![])
        .floats("w", &[3, 3, 1, 1], &super::ramp(9))
        .node("conv", "Conv xx w", vec![])
        .node("s", "Add xx x", vec![])
        .node("y", "Sub conv s", vec![]);
    assert_eq!(model.operators(), ["Quadratic", "Linear", "Quadratic", "Subtract"]);
    let weights = super::ramp(9);
    let found = model.run(&INPUT);
    for index in 0..6 {
        let (channel, column) = (index / 2, index % 2);
        let conv: f32 = (0..3).map(|c| weights[channel * 3 + c] * INPUT[c * 2 + column].powi(2)).sum();
        let expected = conv - INPUT[index] * INPUT[index] - INPUT[index];
        assert!((found[index] - expected).abs() < 1e-5);
    }
}

#[test]
fn activations_after_other_dimensions() {
    let model = model().node("f", "Flatten x", vec![int("axis", 1)]).node("ff", "Mul f f", vec![]).node(
        "y",
        "Mul a ff",
        vec![],
    );
    assert_eq!(model.operators(), ["Reshape", "Quadratic"]);
    assert_eq!(model.run(&INPUT), INPUT.map(|x| 0.5 * x * x));
}
