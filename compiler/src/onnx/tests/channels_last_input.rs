//! Networks whose input has its channels last.

use super::channels_last::{FIRST, channels_first, convolution, first, model, perm};
use super::{Model, int, ints, ramp, string};
use crate::onnx::schema::AttributeProto;

#[test]
fn an_input_with_channels_last() {
    let model = model(&[-1, 3, 2, 2]).node("xf", "Transpose x", perm(FIRST)).node("y", "Conv xf w bias", vec![]);
    let graph = model.load().unwrap();
    assert_eq!((graph.input_dimensions, graph.output_dimensions), (vec![3, 2, 2], vec![3, 2, 1]));
    // The image is read as it is: no layer moves its elements.
    assert_eq!(model.operators(), ["Reshape", "Linear"]);
    model.assert_close(&ramp(12), &convolution(&channels_first(&ramp(12), 2)));
}

#[test]
fn convolutions_of_an_input_with_channels_last() {
    let cases: [Vec<AttributeProto>; 4] = [
        vec![ints("pads", &[1, 0, 2, 1]), ints("strides", &[2, 1])],
        vec![string("auto_pad", "SAME_UPPER"), ints("strides", &[1, 2])],
        vec![ints("dilations", &[2, 1])],
        vec![ints("pads", &[0, 1, 0, 0]), ints("dilations", &[1, 2])],
    ];
    for (index, attributes) in cases.into_iter().enumerate() {
        let reference = first().node("y", "Conv x w bias", attributes.clone());
        let model =
            model(&[-1, 3, 2, 2]).node("xf", "Transpose x", perm(FIRST)).node("y", "Conv xf w bias", attributes);
        // A dilated row would have gaps in the middle of a pixel's channels.
        let moved: &[&str] = if index == 3 { &["Reshape", "Linear", "Linear"] } else { &["Reshape", "Linear"] };
        assert_eq!(model.operators(), moved);
        model.assert_close(&ramp(12), &reference.run(&channels_first(&ramp(12), 2)));
    }
    let depthwise = |input: &[i64]| Model::new(input).floats("w", &[2, 1, 2, 2], &ramp(8));
    let groups = || vec![int("group", 2)];
    let reference = depthwise(&[-1, 2, 3, 2]).node("y", "Conv x w", groups());
    let model = depthwise(&[-1, 3, 2, 2]).node("xf", "Transpose x", perm(FIRST)).node("y", "Conv xf w", groups());
    model.assert_close(&ramp(12), &reference.run(&channels_first(&ramp(12), 2)));
}

#[test]
fn normalisation_of_an_input_with_channels_last() {
    let normalised = |operator: &str| {
        model(&[-1, 3, 2, 2])
            .node("s", "Sub x mean", vec![])
            .node("d", &format!("{operator} s deviation"), vec![])
            .node("h", "Add d half", vec![])
            .node("f", "Transpose h", perm(FIRST))
            .node("y", "Conv f w bias", vec![ints("pads", &[1, 1, 1, 1])])
    };
    assert_eq!(normalised("Div").operators(), ["AddMap", "Reshape", "AddMap", "Linear"]);
    let padded = first().node("y", "Conv x w bias", vec![ints("pads", &[1, 1, 1, 1])]);
    for operator in ["Div", "Mul"] {
        let values: Vec<f32> = ramp(12)
            .iter()
            .enumerate()
            .map(|(index, x)| {
                let (mean, deviation) = ([0.25, -0.5][index % 2], [0.5_f32, 2.0][index % 2]);
                (x - mean) * if operator == "Div" { 1.0 / deviation } else { deviation } + 0.5
            })
            .collect();
        normalised(operator).assert_close(&ramp(12), &padded.run(&channels_first(&values, 2)));
    }
}

#[test]
fn an_input_with_channels_last_for_several_operators() {
    let model = model(&[-1, 3, 2, 2])
        .node("t", "Transpose x", perm(FIRST))
        .node("m", "MaxPool t", vec![ints("kernel_shape", &[2, 2])])
        .node("n", "BatchNormalization t mean mean mean unit", vec![])
        .floats("unit", &[2], &[1.0 - 1e-5; 2])
        .node("a", "AveragePool n", vec![ints("kernel_shape", &[2, 2])])
        .node("y", "Sub m a", vec![]);
    // The channels are moved once.
    assert_eq!(model.operators(), ["Reshape", "Linear", "MaxPool", "Affine", "AveragePool", "Subtract"]);
    let input = ramp(12);
    let image = channels_first(&input, 2);
    let mean = [0.25, -0.5];
    let expected = [0, 1, 2, 3].map(|index| {
        let (channel, row) = (index / 2, index % 2);
        let window = &image[channel * 6 + row * 2..][..4];
        let average = window.iter().map(|x| (x - mean[channel]) * mean[channel] + mean[channel]).sum::<f32>() / 4.0;
        window.iter().copied().fold(f32::MIN, f32::max) - average
    });
    model.assert_close(&input, &expected);
}
