//! `Clip` and what consists of it.

use super::{Model, float};
use crate::onnx::schema::AttributeProto;

/// Two channels of one row with three columns.
fn model() -> Model {
    Model::new(&[-1, 2, 1, 3])
        .floats("zero", &[], &[0.0])
        .floats("one", &[], &[1.0])
        .floats("three", &[1], &[3.0])
        .floats("six", &[], &[6.0])
        .floats("minus", &[], &[-1.5])
        .floats("infinity", &[], &[f32::INFINITY])
        .floats("lowest", &[], &[f32::MIN])
        .floats("sixth", &[], &[1.0 / 6.0])
        .floats("pair", &[2], &[0.0, 1.0])
        .floats("channel", &[2, 1, 1], &[2.0, -3.0])
}

const INPUT: [f32; 6] = [1.0, -2.0, 7.0, -3.5, 2.5, 4.0];

fn clip(arguments: &str, attributes: Vec<AttributeProto>) -> Model {
    model().node("y", &format!("Clip {arguments}"), attributes)
}

#[test]
fn both_bounds_take_one_layer_of_relu() {
    for model in [clip("x zero six", vec![]), clip("x", vec![float("min", 0.0), float("max", 6.0)]).opset(9)] {
        assert_eq!(model.operators(), ["Affine", "Concat", "Relu", "Slice", "Slice", "Subtract"]);
        model.assert_elementwise(&INPUT, |x| x.clamp(0.0, 6.0));
    }
    let shifted = clip("x minus three", vec![]);
    assert_eq!(shifted.operators(), ["Affine", "Affine", "Concat", "Relu", "Slice", "Slice", "Subtract", "Affine"]);
    shifted.assert_elementwise(&INPUT, |x| x.clamp(-1.5, 3.0));
    clip("x one one", vec![]).assert_elementwise(&INPUT, |_| 1.0);
}

#[test]
fn one_bound() {
    for model in
        [clip("x minus", vec![]), clip("x minus infinity", vec![]), clip("x", vec![float("min", -1.5)]).opset(10)]
    {
        assert_eq!(model.operators(), ["Affine", "Relu", "Affine"]);
        model.assert_elementwise(&INPUT, |x| x.max(-1.5));
    }
    assert_eq!(clip("x zero", vec![]).operators(), ["Relu"]);
    for model in [clip("x _ three", vec![]), clip("x lowest three", vec![]), clip("x", vec![float("max", 3.0)])] {
        assert_eq!(model.operators(), ["Affine", "Relu", "Affine"]);
        model.assert_elementwise(&INPUT, |x| x.min(3.0));
    }
}

#[test]
fn no_bound() {
    for arguments in ["Clip x", "Clip x lowest", "Clip x _ infinity"] {
        let model = model().node("c", arguments, vec![]).node("y", "Neg c", vec![]);
        assert_eq!(model.operators(), ["Affine"]);
    }
}

#[test]
fn bounds_that_are_none() {
    clip("x six zero", vec![]).assert_error("node `y_node` (Clip): has a lower bound above the upper one");
    clip("x pair", vec![]).assert_error("node `y_node` (Clip): has a bound that is not a scalar");
    clip("x infinity", vec![]).assert_error("node `y_node` (Clip): has a bound that is not a finite number");
    let nan = vec![float("max", f32::NAN)];
    clip("x", nan).assert_error("node `y_node` (Clip): has a bound that is not a finite number");
    clip("x x", vec![]).assert_error_contains(&["node `y_node` (Clip): a bound must be a constant"]);
}

#[test]
fn a_clipped_polynomial() {
    let model =
        model().node("s", "Mul x x", vec![]).node("t", "Mul s sixth", vec![]).node("y", "Clip t one six", vec![]);
    assert_eq!(model.operators(), ["Quadratic", "Quadratic", "Concat", "Relu", "Slice", "Slice", "Subtract", "Affine"]);
    model.assert_elementwise(&INPUT, |x| (x * x / 6.0).clamp(1.0, 6.0));
}

#[test]
fn hard_sigmoid() {
    model().node("y", "HardSigmoid x", vec![]).assert_elementwise(&INPUT, |x| (0.2 * x + 0.5).clamp(0.0, 1.0));
    for (alpha, beta) in [(1.0 / 6.0, 0.5), (-0.25, 0.75), (0.0, 0.25)] {
        let model = model().node("y", "HardSigmoid x", vec![float("alpha", alpha), float("beta", beta)]);
        model.assert_elementwise(&INPUT, |x| (alpha * x + beta).clamp(0.0, 1.0));
    }
}

fn swish(x: f32) -> f32 {
    x * (x + 3.0).clamp(0.0, 6.0) / 6.0
}

#[test]
fn hard_swish() {
    let direct = model().node("y", "HardSwish x", vec![]).opset(14);
    direct.assert_elementwise(&INPUT, swish);
    let relus = direct.operators().iter().filter(|&&operator| operator == "Relu").count();
    assert_eq!(relus, 1);
    let squared = model().node("s", "Mul x x", vec![]).node("y", "HardSwish s", vec![]);
    squared.assert_elementwise(&INPUT, |x| swish(x * x));
    let shifted = model().node("s", "Mul x channel", vec![]).node("y", "HardSwish s", vec![]);
    let expected: Vec<f32> = INPUT.iter().enumerate().map(|(i, x)| swish(x * [2.0, -3.0][i / 3])).collect();
    shifted.assert_close(&INPUT, &expected);
}

#[test]
fn hard_swish_as_older_exporters_write_it() {
    let sigmoid = || vec![float("alpha", 1.0 / 6.0)];
    model().node("h", "HardSigmoid x", sigmoid()).node("y", "Mul x h", vec![]).assert_elementwise(&INPUT, swish);
    let clipped = || model().node("a", "Add x three", vec![]).node("c", "Clip a zero six", vec![]);
    clipped().node("m", "Mul c x", vec![]).node("y", "Div m six", vec![]).assert_elementwise(&INPUT, swish);
    clipped().node("d", "Mul c sixth", vec![]).node("y", "Mul x d", vec![]).assert_elementwise(&INPUT, swish);
}

#[test]
fn other_products_with_a_clipped_value() {
    // (x * channel + 1) * (2 * clip(3 - x) - 1.5)
    let model = model()
        .node("u", "Sub three x", vec![])
        .node("c", "Clip u zero one", vec![])
        .node("cc", "Add c c", vec![])
        .node("right", "Add cc minus", vec![])
        .node("s", "Mul x channel", vec![])
        .node("left", "Add s one", vec![])
        .node("y", "Mul left right", vec![]);
    let expected = INPUT.iter().enumerate().map(|(index, x)| {
        let channel = [2.0, -3.0][index / 3];
        (x * channel + 1.0) * (2.0 * (3.0 - x).clamp(0.0, 1.0) - 1.5)
    });
    model.assert_close(&INPUT, &expected.collect::<Vec<_>>());
}

#[test]
fn products_that_are_none_of_a_clipped_value_and_its_argument() {
    let secrets = "node `y_node` (Mul): multiplies two values that both depend on the input; supported are constants \
                   and, as the product of two secrets, the square of one value";
    let other = model().node("r", "Relu x", vec![]).node("h", "HardSigmoid x", vec![]).node("y", "Mul r h", vec![]);
    other.assert_error(secrets);
    let squared = model().node("s", "Mul x x", vec![]).node("h", "HardSigmoid x", vec![]).node("y", "Mul s h", vec![]);
    squared.assert_error(secrets);
    let from_one = model().node("c", "Clip x one six", vec![]).node("y", "Mul x c", vec![]);
    from_one.assert_error(secrets);
    let constant = vec![float("alpha", 0.0)];
    model().node("h", "HardSigmoid x", constant).node("y", "Mul x h", vec![]).assert_error(secrets);
}
