//! Constants: element types, where they may stand, and folding.

use super::{Model, float, float_tensor, floats, int, integer_tensor, ints, tensor, value_info};
use crate::graph::Operator;
use crate::onnx::schema::{StringStringEntryProto, TensorProto, data_type};

/// The factors by which a model scales its two channels, one of which is not 1.
fn factors(model: &Model) -> Vec<f64> {
    let graph = model.load().unwrap();
    let Operator::Affine { scale, .. } = &graph.layers[1].operator else { panic!("not affine") };
    scale.clone()
}

fn scaled_by(constant: TensorProto) -> Vec<f64> {
    factors(&Model::new(&[-1, 2]).initializer(constant).node("y", "Mul x c", vec![]))
}

fn constant(data_type: i32, fill: impl Fn(&mut TensorProto)) -> TensorProto {
    let mut constant = TensorProto { name: "c".to_owned(), dims: vec![2], data_type, ..TensorProto::default() };
    fill(&mut constant);
    constant
}

#[test]
fn element_types() {
    let expected = vec![1.5, -2.0];
    let words = |words: [u16; 2]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let cases = [
        constant(data_type::FLOAT, |c| c.float_data = vec![1.5, -2.0]),
        constant(data_type::FLOAT, |c| c.raw_data = [1.5_f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        constant(data_type::DOUBLE, |c| c.double_data = vec![1.5, -2.0]),
        constant(data_type::DOUBLE, |c| c.raw_data = [1.5_f64, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        constant(data_type::FLOAT16, |c| c.raw_data = words([0x3e00, 0xc000])),
        constant(data_type::FLOAT16, |c| c.int32_data = vec![0x3e00, 0xc000]),
        constant(data_type::BFLOAT16, |c| c.raw_data = words([0x3fc0, 0xc000])),
        constant(data_type::BFLOAT16, |c| c.int32_data = vec![0x3fc0, 0xc000]),
    ];
    for case in cases {
        assert_eq!(scaled_by(case), expected);
    }
    assert_eq!(scaled_by(constant(data_type::INT32, |c| c.int32_data = vec![3, -4])), [3.0, -4.0]);
    assert_eq!(scaled_by(constant(data_type::INT64, |c| c.int64_data = vec![3, -4])), [3.0, -4.0]);
    assert_eq!(scaled_by(constant(data_type::BOOL, |c| c.raw_data = vec![1, 0])), [1.0, 0.0]);
}

#[test]
fn halves_at_the_ends_of_their_range() {
    let half = |bits: i32| scaled_by(constant(data_type::FLOAT16, |c| c.int32_data = vec![bits, 0x3c00]))[0];
    assert_eq!(half(0x0001), 2.0_f64.powi(-24));
    assert_eq!(half(0x83ff), -1023.0 * 2.0_f64.powi(-24));
    assert_eq!(half(0x0400), 2.0_f64.powi(-14));
    assert_eq!(half(0x7bff), 65504.0);
}

#[test]
fn constant_nodes() {
    let from =
        |attribute| factors(&Model::new(&[-1, 2]).node("c", "Constant", vec![attribute]).node("y", "Mul x c", vec![]));
    assert_eq!(from(tensor("value", float_tensor("", &[2], &[2.0, 3.0]))), [2.0, 3.0]);
    assert_eq!(from(float("value_float", 2.0)), [2.0, 2.0]);
    assert_eq!(from(floats("value_floats", &[2.0, 3.0])), [2.0, 3.0]);
    assert_eq!(from(int("value_int", 3)), [3.0, 3.0]);
    assert_eq!(from(ints("value_ints", &[3, 4])), [3.0, 4.0]);
}

#[test]
fn initializers_that_are_also_inputs() {
    let mut model = Model::new(&[-1, 2]).floats("c", &[2], &[2.0, 3.0]).node("y", "Mul x c", vec![]);
    model.graph().input.insert(0, value_info("c", Some(&[2])));
    assert_eq!(model.run(&[1.0, 1.0]), [2.0, 3.0]);
}

#[test]
fn attributes_without_a_type() {
    let mut attribute = int("axis", 1);
    attribute.kind = 0;
    let model = Model::new(&[-1, 2, 1, 1]).node("y", "Flatten x", vec![attribute]);
    model.assert_error("ONNX graph: output `y` is the input itself, there is nothing to compute");
}

#[test]
fn arithmetic_of_constants() {
    let fold = |arguments| {
        factors(
            &Model::new(&[-1, 2])
                .floats("a", &[2], &[4.0, 9.0])
                .floats("b", &[], &[2.0])
                .integers("i", &[2], &[7, -7])
                .integers("j", &[], &[2])
                .node("c", arguments, vec![])
                .node("y", "Mul x c", vec![]),
        )
    };
    assert_eq!(fold("Add a b"), [6.0, 11.0]);
    assert_eq!(fold("Sub b a"), [-2.0, -7.0]);
    assert_eq!(fold("Mul a a"), [16.0, 81.0]);
    assert_eq!(fold("Div a b"), [2.0, 4.5]);
    assert_eq!(fold("Pow a b"), [16.0, 81.0]);
    assert_eq!(fold("Neg a"), [-4.0, -9.0]);
    assert_eq!(fold("Sqrt a"), [2.0, 3.0]);
    assert_eq!(fold("Reciprocal b"), [0.5, 0.5]);
    assert_eq!(fold("Identity a"), [4.0, 9.0]);
    assert_eq!(fold("Add i j"), [9.0, -5.0]);
    assert_eq!(fold("Sub i j"), [5.0, -9.0]);
    assert_eq!(fold("Mul i j"), [14.0, -14.0]);
    assert_eq!(fold("Div i j"), [3.0, -3.0]);
    assert_eq!(fold("Pow i j"), [49.0, 49.0]);
    assert_eq!(fold("Neg i"), [-7.0, 7.0]);
}

#[test]
fn casts_of_constants() {
    let cast = |to: i32| {
        let model =
            Model::new(&[-1, 2]).floats("a", &[2], &[1.75, -1.75]).node("c", "Cast a", vec![int("to", to.into())]);
        factors(&model.node("y", "Mul x c", vec![]))
    };
    assert_eq!(cast(data_type::FLOAT), [1.75, -1.75]);
    assert_eq!(cast(data_type::DOUBLE), [1.75, -1.75]);
    assert_eq!(cast(data_type::INT32), [1.0, -1.0]);
    assert_eq!(cast(data_type::INT64), [1.0, -1.0]);
}

#[test]
fn transposed_and_gathered_weights() {
    let weights = |operator, attributes| {
        let model = Model::new(&[-1, 2])
            .floats("a", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            .integers("columns", &[3], &[2, 0, -2])
            .node("t", "Transpose a", vec![])
            .node("w", operator, attributes)
            .node("y", "MatMul x w", vec![]);
        [model.run(&[1.0, 0.0]), model.run(&[0.0, 1.0])].concat()
    };
    assert_eq!(weights("Identity t", vec![]), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    assert_eq!(weights("Gather t columns", vec![int("axis", 1)]), [5.0, 1.0, 3.0, 6.0, 2.0, 4.0]);
    assert_eq!(weights("Concat t t", vec![int("axis", 1)]), [1., 3., 5., 1., 3., 5., 2., 4., 6., 2., 4., 6.]);
}

#[test]
fn transposition_of_three_axes() {
    let values: Vec<f32> = (0..24).map(|value| value as f32).collect();
    let model = Model::new(&[-1, 24])
        .floats("a", &[2, 3, 4], &values)
        .node("t", "Transpose a", vec![ints("perm", &[2, 0, 1])])
        .integers("s", &[1], &[24])
        .node("c", "Reshape t s", vec![])
        .node("y", "Mul x c", vec![]);
    let expected = (0..4).flat_map(|k| (0..2).flat_map(move |i| (0..3).map(move |j| f64::from(12 * i + 4 * j + k))));
    assert_eq!(factors(&model), expected.collect::<Vec<_>>());
}

#[test]
fn a_filled_constant() {
    let model = Model::new(&[-1, 2])
        .integers("s", &[1], &[2])
        .node("c", "ConstantOfShape s", vec![tensor("value", float_tensor("", &[1], &[3.0]))])
        .node("y", "Mul x c", vec![]);
    assert_eq!(factors(&model), [3.0, 3.0]);
    let zeros = Model::new(&[-1, 2]).integers("s", &[1], &[2]).node("c", "ConstantOfShape s", vec![]).node(
        "y",
        "Add x c",
        vec![],
    );
    zeros.assert_error("ONNX graph: output `y` is the input itself, there is nothing to compute");
}

#[test]
fn labels_from_metadata() {
    let labels = |key: &str, value: &str| {
        let mut model = Model::new(&[-1, 2]).integers("c", &[], &[2]).node("y", "Mul x c", vec![]);
        model.proto.metadata_props.push(StringStringEntryProto { key: key.to_owned(), value: value.to_owned() });
        model.load().unwrap().labels
    };
    assert_eq!(labels("labels", r#"["cat", "dog"]"#), ["cat", "dog"]);
    assert_eq!(labels("classes", "cat, dog"), ["cat", "dog"]);
    assert_eq!(labels("names", r#"{"1": "dog", "0": "cat"}"#), ["cat", "dog"]);
    assert_eq!(labels("names", r#"{"1": "dog", "2": "cat"}"#), [""; 0]);
    assert_eq!(labels("labels", "cat, dog, bird"), [""; 0]);
    assert_eq!(labels("author", "cat, dog"), [""; 0]);
}

#[test]
fn integer_tensors_as_raw_bytes() {
    let mut target = integer_tensor("s", &[2], &[]);
    target.raw_data = [1_i64, -1].iter().flat_map(|value| value.to_le_bytes()).collect();
    let model =
        Model::new(&[-1, 1, 2, 2]).initializer(target).node("f", "Reshape x s", vec![]).node("y", "Mul f f", vec![]);
    assert_eq!(model.load().unwrap().output_dimensions, [4]);
}
