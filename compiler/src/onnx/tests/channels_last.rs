//! Transpositions as exporters of frameworks write them that store channels last.

use super::{Model, int, ints, ramp};
use crate::onnx::schema::AttributeProto;

pub(super) const FIRST: [i64; 4] = [0, 3, 1, 2];
const LAST: [i64; 4] = [0, 2, 3, 1];

pub(super) fn perm(axes: [i64; 4]) -> Vec<AttributeProto> {
    vec![ints("perm", &axes)]
}

/// An image of 3x2 with two channels, weights of a 2x2 kernel with three outputs and what else a network needs.
pub(super) fn model(input: &[i64]) -> Model {
    Model::new(input)
        .floats("w", &[3, 2, 2, 2], &ramp(24))
        .floats("point", &[3, 3, 1, 1], &ramp(9))
        .floats("bias", &[3], &[0.5, -1.0, 2.0])
        .floats("gain", &[3], &[2.0, -0.5, 1.0])
        .floats("mean", &[2], &[0.25, -0.5])
        .floats("deviation", &[1, 1, 2], &[0.5, 2.0])
        .floats("half", &[], &[0.5])
        .floats("dense", &[6, 2], &ramp(12))
        .floats("small", &[3, 2], &ramp(6))
        .integers("flat", &[2], &[-1, 6])
}

pub(super) fn first() -> Model {
    model(&[-1, 2, 3, 2])
}

/// `values`, `height x width x channels`, with the channels first.
pub(super) fn channels_first(values: &[f32], channels: usize) -> Vec<f32> {
    (0..channels).flat_map(|channel| values[channel..].iter().step_by(channels).copied()).collect()
}

fn channels_last(values: &[f32], channels: usize) -> Vec<f32> {
    channels_first(values, values.len() / channels)
}

/// The convolution of a 2x3x2 image with `w`: three channels of 2x1.
pub(super) fn convolution(input: &[f32]) -> Vec<f32> {
    first().node("y", "Conv x w bias", vec![]).run(input)
}

#[test]
fn the_reference_for_these_tests() {
    assert_eq!(channels_first(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    assert_eq!(channels_last(&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0], 2), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let (input, weights) = (ramp(12), ramp(24));
    let taps = [0, 1, 2, 3, 6, 7, 8, 9];
    let first: f32 = taps.iter().zip(&weights).map(|(&pixel, weight)| input[pixel] * weight).sum();
    assert!((convolution(&input)[0] - 0.5 - first).abs() < 1e-5);
}

#[test]
fn transpositions_that_cancel_out_are_no_layers() {
    let model = first()
        .node("c", "Conv x w bias", vec![])
        .node("cl", "Transpose c", perm(LAST))
        .node("r", "Relu cl", vec![])
        .node("s", "Add r bias", vec![])
        .node("g", "Mul s gain", vec![])
        .node("gf", "Transpose g", perm(FIRST))
        .node("d", "Conv gf point", vec![])
        .node("dl", "Transpose d", perm(LAST))
        .node("sum", "Add dl g", vec![])
        .node("joined", "Concat sum r", vec![int("axis", -1)])
        .node("y", "Transpose joined", perm(FIRST));
    assert_eq!(model.operators(), ["Linear", "Relu", "Affine", "Linear", "Add", "Concat"]);
    let input = ramp(12);
    let relu: Vec<f32> = convolution(&input).iter().map(|x| x.max(0.0)).collect();
    let (bias, gain, point) = ([0.5, -1.0, 2.0], [2.0, -0.5, 1.0], ramp(9));
    let scaled: Vec<f32> = relu.iter().enumerate().map(|(i, x)| (x + bias[i / 2]) * gain[i / 2]).collect();
    let sum = (0..6).map(|i| scaled[i] + (0..3).map(|c| point[i / 2 * 3 + c] * scaled[2 * c + i % 2]).sum::<f32>());
    model.assert_close(&input, &sum.chain(relu.iter().copied()).collect::<Vec<_>>());
}

#[test]
fn a_flattened_image_with_channels_last_permutes_the_weights() {
    let head = || first().node("c", "Conv x w bias", vec![]).node("cl", "Transpose c", perm(LAST));
    let input = ramp(12);
    let features = channels_last(&convolution(&input), 3);
    let product = |features: &[f32]| -> Vec<f32> {
        (0..2)
            .map(|output| features.iter().zip(ramp(12)[output..].iter().step_by(2)).map(|(x, w)| x * w).sum())
            .collect()
    };
    let model = head().node("f", "Flatten cl", vec![]).node("y", "MatMul f dense", vec![]);
    assert_eq!(model.operators(), ["Linear", "Reshape", "Linear"]);
    model.assert_close(&input, &product(&features));
    let model = head().node("f", "Reshape cl flat", vec![]).node("y", "Gemm f dense", vec![]);
    model.assert_close(&input, &product(&features));
    // With something per element in between.
    let map = ramp(6);
    let model = head()
        .floats("map", &[6], &map)
        .node("f", "Reshape cl flat", vec![])
        .node("a", "Add f map", vec![])
        .node("r", "Relu a", vec![])
        .node("y", "MatMul r dense", vec![]);
    assert_eq!(model.operators(), ["Linear", "AddMap", "Relu", "Reshape", "Linear"]);
    let moved: Vec<f32> = features.iter().zip(map).map(|(x, addend)| (x + addend).max(0.0)).collect();
    model.assert_close(&input, &product(&moved));
}

#[test]
fn a_mean_over_space_with_channels_last() {
    for (operator, keep) in [("ReduceMean", 0), ("ReduceSum", 0), ("ReduceMax", 1)] {
        let model = first()
            .node("c", "Conv x w bias", vec![])
            .node("cl", "Transpose c", perm(LAST))
            .node("m", &format!("{operator} cl"), vec![ints("axes", &[1, 2]), int("keepdims", keep)])
            .node("f", "Flatten m", vec![])
            .node("y", "MatMul f small", vec![]);
        let pooled = convolution(&ramp(12))
            .chunks_exact(2)
            .map(|pair| match operator {
                "ReduceMean" => (pair[0] + pair[1]) / 2.0,
                "ReduceSum" => pair[0] + pair[1],
                _ => pair[0].max(pair[1]),
            })
            .collect::<Vec<_>>();
        let column = |output: usize| pooled.iter().zip(ramp(6)[output..].iter().step_by(2)).map(|(x, w)| x * w).sum();
        model.assert_close(&ramp(12), &[column(0), column(1)]);
    }
    first()
        .node("t", "Transpose x", perm(LAST))
        .node("y", "ReduceMean t", vec![ints("axes", &[1])])
        .assert_error_contains(&["node `y_node` (ReduceMean): runs over axes [1] of dimensions [1, 3, 2, 2]"]);
}

#[test]
fn a_vector_with_channels_last_stays_a_vector() {
    // The head of many networks: a pool whose dimensions of one are kept, then arithmetic per channel.
    let model = first()
        .node("c", "Conv x w bias", vec![])
        .node("p", "GlobalAveragePool c", vec![])
        .node("pl", "Transpose p", perm(LAST))
        .node("g", "Mul pl gain", vec![])
        .node("n", "Neg pl", vec![])
        .node("r", "Relu n", vec![])
        .node("j", "Concat g r", vec![int("axis", 3)])
        .node("k", "Reshape pl ones", vec![])
        .integers("ones", &[4], &[-1, 1, 3, 1])
        .node("kl", "Transpose k", perm([0, 1, 3, 2]))
        .node("jj", "Concat j kl", vec![int("axis", -1)])
        .node("y", "Flatten jj", vec![]);
    assert_eq!(model.operators(), ["Linear", "AveragePool", "Affine", "Relu", "Affine", "Concat", "Concat"]);
    let pooled: Vec<f32> = convolution(&ramp(12)).chunks_exact(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
    let scaled = pooled.iter().zip([2.0, -0.5, 1.0]).map(|(x, gain)| x * gain);
    let negative = pooled.iter().map(|x| (-x).max(0.0));
    model.assert_close(&ramp(12), &scaled.chain(negative).chain(pooled.iter().copied()).collect::<Vec<_>>());
    // An operator on images makes an image of it.
    let image = Model::new(&[-1, 4])
        .integers("ones", &[4], &[-1, 1, 1, 4])
        .node("i", "Reshape x ones", vec![])
        .node("a", "AveragePool i", vec![ints("kernel_shape", &[1, 2]), ints("strides", &[1, 2])])
        .node("m", "MaxPool i", vec![ints("kernel_shape", &[1, 1])])
        .node("s", "Add m i", vec![])
        .node("y", "Conv s w", vec![ints("strides", &[1, 2])])
        .floats("w", &[1, 1, 1, 2], &[1.0, 10.0]);
    assert_eq!(image.operators(), ["Reshape", "MaxPool", "Reshape", "Add", "Linear"]);
    image.assert_close(&[1.0, 2.0, 3.0, 4.0], &[42.0, 86.0]);
}

#[test]
fn channels_that_are_last_are_cut_and_split() {
    let head = || first().node("c", "Conv x w bias", vec![]).node("cl", "Transpose c", perm(LAST));
    let whole = convolution(&ramp(12));
    let model = head()
        .integers("one", &[1], &[1])
        .integers("far", &[1], &[9])
        .integers("axis", &[1], &[-1])
        .node("s", "Slice cl one far axis", vec![])
        .node("y", "Transpose s", perm(FIRST));
    assert_eq!(model.operators(), ["Linear", "Slice"]);
    model.assert_close(&ramp(12), &whole[2..]);
    // A single channel is one of the last dimension still.
    let split = || vec![int("axis", 3), ints("split", &[1, 2])];
    let model = head()
        .node("parts", "Split cl", split())
        .outputs(&["a", "b"])
        .node("r", "Relu a", vec![])
        .node("j", "Concat b r a", vec![int("axis", -1)])
        .node("y", "Transpose j", perm(FIRST));
    assert_eq!(model.operators(), ["Linear", "Slice", "Slice", "Relu", "Concat"]);
    let positive = whole[..2].iter().map(|x| x.max(0.0)).collect::<Vec<_>>();
    model.assert_close(&ramp(12), &[&whole[2..], &positive, &whole[..2]].concat());
    let split = split();
    let model = head().node("parts", "Split cl", split).outputs(&["a", "b"]).node("y", "Flatten a", vec![]);
    model.assert_close(&ramp(12), &whole[..2]);
}

#[test]
fn transpositions_that_stay() {
    first().node("y", "Transpose x", perm(LAST)).assert_error(
        "ONNX graph: output `y` has been transposed; supported are transpositions that cancel out before the end",
    );
    first().node("t", "Transpose x", perm(LAST)).node("y", "MaxPool t", vec![ints("kernel_shape", &[1, 1])]).assert_error(
        "node `y_node` (MaxPool): takes a value of dimensions [1, 3, 2, 2] whose axes a transposition has permuted; \
         supported are transpositions from channels last to channels first, and those that cancel out",
    );
    first().node("y", "Transpose x", perm([1, 0, 2, 3])).assert_error(
        "node `y_node` (Transpose): permutes the axes by [1, 0, 2, 3]; the batch must stay the first dimension",
    );
    let square = Model::new(&[-1, 2, 2, 2]);
    square.node("t", "Transpose x", perm(LAST)).node("y", "Add x t", vec![]).assert_error(
        "node `y_node` (Add): takes two values of which transpositions have permuted one only; supported are \
         transpositions that cancel out",
    );
    let reshaped = first()
        .integers("dims", &[3], &[-1, 4, 3])
        .node("t", "Transpose x", perm(LAST))
        .node("r", "Reshape t dims", vec![])
        .node("y", "Transpose r", vec![ints("perm", &[0, 2, 1])]);
    reshaped.assert_error(
        "node `y_node` (Transpose): permutes the axes of [1, 4, 3], which do not fall on those of an earlier \
         transposition",
    );
}
