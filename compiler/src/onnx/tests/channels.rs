//! `Concat`, `Slice` and `Split` along channels.

use super::{Model, int, ints, ramp};
use crate::onnx::schema::AttributeProto;

/// Five channels of 2x1, and bounds for slices.
fn model() -> Model {
    Model::new(&[-1, 5, 2, 1])
        .integers("one", &[1], &[1])
        .integers("minus", &[1], &[-1])
        .integers("far", &[1], &[i64::MAX])
        .integers("lowest", &[1], &[i64::MIN])
        .integers("zero", &[1], &[0])
        .integers("two", &[1], &[2])
        .integers("sizes", &[3], &[1, 3, 1])
        .integers("twice", &[3], &[1, 2, -3])
        .floats("image", &[1, 1, 2, 1], &[1.0, 2.0])
}

const INPUT: [f32; 10] = [1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0, 9.0, -10.0];

#[test]
fn concatenation() {
    for axis in [1, -3] {
        let model = model().node("r", "Relu x", vec![]).node("y", "Concat r x r", vec![int("axis", axis)]);
        assert_eq!(model.operators(), ["Relu", "Concat"]);
        assert_eq!(model.load().unwrap().output_dimensions, [15, 2, 1]);
        let positive = INPUT.map(|x| x.max(0.0));
        assert_eq!(model.run(&INPUT), [positive, INPUT, positive].concat());
    }
    let alone = model().node("c", "Concat x", vec![int("axis", 2)]).node("y", "Relu c", vec![]);
    assert_eq!(alone.operators(), ["Relu"]);
}

#[test]
fn concatenation_of_single_channels_and_of_vectors() {
    let gray = Model::new(&[-1, 1, 2, 2]).node("n", "Neg x", vec![]).node("y", "Concat n x", vec![int("axis", 1)]);
    assert_eq!(gray.run(&[1.0, 2.0, 3.0, 4.0]), [-1.0, -2.0, -3.0, -4.0, 1.0, 2.0, 3.0, 4.0]);
    for (dims, axis) in [(vec![-1, 2], -1), (vec![-1, 2, 1, 1], 1), (vec![-1, 1, 2], 2)] {
        let vector = Model::new(&dims).node("n", "Neg x", vec![]).node("y", "Concat n x", vec![int("axis", axis)]);
        assert_eq!(vector.run(&[1.0, 2.0]), [-1.0, -2.0, 1.0, 2.0]);
    }
}

#[test]
fn concatenation_along_other_axes() {
    let other = |arguments: &str, axis| {
        let model = model().node("p", "GlobalMaxPool x", vec![]).node("i", "Relu x", vec![]);
        model.node("y", arguments, vec![int("axis", axis)])
    };
    other("Concat x i", 2).assert_error(
        "node `y_node` (Concat): joins axis 2 (the height) of dimensions [1, 5, 2, 1]; supported is the axis of the \
         channels",
    );
    other("Concat x i", 0).assert_error(
        "node `y_node` (Concat): gives dimensions [2, 5, 2, 1]; the batch of 1 must stay the first dimension",
    );
    other("Concat x p", 1)
        .assert_error("node `y_node` (Concat): joins dimensions [1, 5, 2, 1] and [1, 5, 1, 1] along axis 1");
    other("Concat x image", 1).assert_error(
        "node `y_node` (Concat): joins a layer's value and a constant; supported are layers' values only",
    );
}

#[test]
fn slices_with_attributes_and_with_inputs() {
    let attributes = |start, end, axis: &[i64]| {
        let list = vec![ints("starts", &[start]), ints("ends", &[end])];
        let axes: Vec<AttributeProto> = if axis.is_empty() { vec![] } else { vec![ints("axes", axis)] };
        model().node("y", "Slice x", [list, axes].concat()).opset(9)
    };
    assert_eq!(attributes(1, 3, &[1]).operators(), ["Slice"]);
    assert_eq!(attributes(1, 3, &[1]).load().unwrap().output_dimensions, [2, 2, 1]);
    assert_eq!(attributes(1, 3, &[1]).run(&INPUT), INPUT[2..6]);
    assert_eq!(attributes(-2, i64::MAX, &[-3]).run(&INPUT), INPUT[6..]);
    let inputs = |bounds: &str| model().node("y", &format!("Slice x {bounds}"), vec![]);
    assert_eq!(inputs("one minus one").run(&INPUT), INPUT[2..8]);
    assert_eq!(inputs("lowest one one one").run(&INPUT), INPUT[..2]);
    // All of the batch, without axes.
    let all = model().node("s", "Slice x zero far", vec![]).node("y", "Relu s", vec![]);
    assert_eq!(all.operators(), ["Relu"]);
}

#[test]
fn several_axes_of_which_only_the_channels_are_cut() {
    let model = Model::new(&[-1, 3, 2, 2])
        .integers("starts", &[3], &[0, -2, 0])
        .integers("ends", &[3], &[2, i64::MAX, 1 << 40])
        .integers("axes", &[3], &[2, 1, -1])
        .node("y", "Slice x starts ends axes", vec![]);
    assert_eq!(model.operators(), ["Slice"]);
    assert_eq!(model.run(&ramp(12)), ramp(12)[4..]);
}

#[test]
fn slices_that_are_refused() {
    let slice = |bounds: &str| model().node("y", &format!("Slice x {bounds}"), vec![]);
    slice("one far two").assert_error(
        "node `y_node` (Slice): takes a part of axis 2 (the height) of dimensions [1, 5, 2, 1]; supported is the axis \
         of the channels",
    );
    slice("one far zero").assert_error("node `y_node` (Slice): takes nothing of axis 0 of dimensions [1, 5, 2, 1]");
    slice("two one one").assert_error("node `y_node` (Slice): takes nothing of axis 1 of dimensions [1, 5, 2, 1]");
    let steps = |axis: usize, step: i64| {
        format!(
            "node `y_node` (Slice): takes axis {axis} in steps of {step}; supported are steps of 1 and, over a whole \
             height or width from the start, larger ones"
        )
    };
    slice("zero far one two").assert_error(&steps(1, 2));
    slice("one far two two").assert_error(&steps(2, 2));
    slice("minus lowest one minus").assert_error(&steps(1, -1));
    slice("zero far one zero").assert_error("node `y_node` (Slice): takes axis 1 in steps of 0");
    slice("sizes sizes twice").assert_error("node `y_node` (Slice): cuts axis 1 twice");
    slice("sizes far one").assert_error("node `y_node` (Slice): has starts, ends, axes and steps of different lengths");
    slice("x far").assert_error_contains(&["node `y_node` (Slice): starts must be a constant"]);
}

/// The parts a, b, c in the order c, a, b.
fn split(arguments: &str, attributes: Vec<AttributeProto>) -> Model {
    model().node("parts", arguments, attributes).outputs(&["a", "b", "c"]).node(
        "y",
        "Concat c a b",
        vec![int("axis", 1)],
    )
}

#[test]
fn splits_with_sizes() {
    let expected = [&INPUT[8..], &INPUT[..8]].concat();
    let as_attribute = split("Split x", vec![int("axis", 1), ints("split", &[1, 3, 1])]).opset(11);
    assert_eq!(as_attribute.operators(), ["Slice", "Slice", "Slice", "Concat"]);
    assert_eq!(as_attribute.run(&INPUT), expected);
    assert_eq!(split("Split x sizes", vec![int("axis", -3)]).run(&INPUT), expected);
}

#[test]
fn splits_into_equal_parts() {
    let parts = |count: i64| vec![int("axis", 1), int("num_outputs", count)];
    // Two, two and the rest of one.
    assert_eq!(split("Split x", parts(3)).run(&INPUT), [&INPUT[8..], &INPUT[..8]].concat());
    let halves = Model::new(&[-1, 4]).node("parts", "Split x", vec![int("axis", 1)]).outputs(&["a", "b"]);
    let difference = halves.node("y", "Sub b a", vec![]);
    assert_eq!(difference.run(&[1.0, 2.0, 10.0, 20.0]), [9.0, 18.0]);
    // One part is all; an output without a name is not used.
    let one = model().node("a", "Split x", vec![int("axis", 2)]).node("y", "Relu a", vec![]);
    assert_eq!(one.operators(), ["Relu"]);
    let some = model().node("parts", "Split x sizes", vec![int("axis", 1)]).outputs(&["", "b", ""]);
    assert_eq!(some.node("y", "Neg b", vec![]).operators(), ["Slice", "Affine"]);
}

#[test]
fn splits_that_are_refused() {
    let two = vec![int("axis", 1), int("num_outputs", 2)];
    split("Split x", two).assert_error("node `parts_node` (Split): has 3 outputs, not num_outputs");
    for sizes in [[1, 3, 2], [0, 4, 1], [-1, 5, 1]] {
        let attributes = vec![int("axis", 1), ints("split", &sizes)];
        split("Split x", attributes)
            .assert_error_contains(&["node `parts_node` (Split): splits a length of 5 into 3 parts of ["]);
    }
    let height = model().node("parts", "Split x", vec![int("axis", 2)]).outputs(&["a", "b"]);
    height.node("y", "Sub a b", vec![]).assert_error(
        "node `parts_node` (Split): takes a part of axis 2 (the height) of dimensions [1, 5, 2, 1]; supported is the \
         axis of the channels",
    );
}

#[test]
fn every_other_row_and_column() {
    let sampled = |bounds: [&[i64]; 4]| {
        let mut model = Model::new(&[-1, 2, 3, 4]);
        for (name, values) in ["starts", "ends", "axes", "steps"].into_iter().zip(bounds) {
            model = model.integers(name, &[values.len() as i64], values);
        }
        model.node("y", "Slice x starts ends axes steps", vec![])
    };
    let input: [f32; 24] = std::array::from_fn(|index| index as f32);
    let both = sampled([&[0, 0], &[i64::MAX, 4], &[2, -1], &[2, 3]]);
    assert_eq!(both.operators(), ["SumPool", "SumPool"]);
    assert_eq!(both.run(&input), [0.0, 3.0, 8.0, 11.0, 12.0, 15.0, 20.0, 23.0]);
    let first = sampled([&[0], &[3], &[2], &[i64::MAX]]);
    assert_eq!(first.run(&input), [0.0, 1.0, 2.0, 3.0, 12.0, 13.0, 14.0, 15.0]);
}

#[test]
fn channels_of_zeros() {
    let padded = |before: i64, after: i64, bottom: i64| {
        Model::new(&[-1, 2, 1, 2]).node("y", "Pad x", vec![ints("pads", &[0, before, 0, 0, 0, after, bottom, 0])])
    };
    let image = [1.0, 2.0, 3.0, 4.0];
    let expected = |before: usize, after: usize| [vec![0.0; 2 * before], image.to_vec(), vec![0.0; 2 * after]].concat();
    assert_eq!(padded(1, 0, 0).operators(), ["Slice", "Subtract", "Concat"]);
    assert_eq!(padded(2, 2, 0).operators(), ["Subtract", "Concat"]);
    for (before, after) in [(1, 0), (0, 2), (1, 1), (2, 1), (5, 3)] {
        let model = padded(before, after, 0);
        let (before, after) = (before as usize, after as usize);
        assert_eq!(model.load().unwrap().output_dimensions, [2 + before + after, 1, 2]);
        assert_eq!(model.run(&image), expected(before, after));
    }
    assert_eq!(padded(1, 0, 1).run(&image), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0]);
    padded(-1, 0, 0).assert_error_contains(&["node `y_node` (Pad): has pads [-1, 0]"]);
}

#[test]
fn a_shortcut_without_weights() {
    // Every other pixel and channels of zeros, as in residual networks without projections.
    let model = Model::new(&[-1, 2, 3, 3])
        .integers("starts", &[2], &[0, 0])
        .integers("ends", &[2], &[i64::MAX, i64::MAX])
        .integers("axes", &[2], &[2, 3])
        .integers("steps", &[2], &[2, 2])
        .integers("pads", &[8], &[0, 1, 0, 0, 0, 1, 0, 0])
        .floats("w", &[4, 2, 3, 3], &ramp(72))
        .node("c", "Conv x w", vec![ints("pads", &[1; 4]), ints("strides", &[2, 2])])
        .node("s", "Slice x starts ends axes steps", vec![])
        .node("p", "Pad s pads", vec![])
        .node("y", "Add c p", vec![]);
    let input = ramp(18);
    let convolution = Model::new(&[-1, 2, 3, 3])
        .floats("w", &[4, 2, 3, 3], &ramp(72))
        .node("y", "Conv x w", vec![ints("pads", &[1; 4]), ints("strides", &[2, 2])])
        .run(&input);
    let corners = [0, 2, 6, 8, 9, 11, 15, 17].map(|pixel| input[pixel]);
    let shortcut = [vec![0.0; 4], corners.to_vec(), vec![0.0; 4]].concat();
    model.assert_close(&input, &convolution.iter().zip(shortcut).map(|(a, b)| a + b).collect::<Vec<_>>());
}
