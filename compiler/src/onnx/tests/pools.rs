//! Pools and reductions against a direct evaluation of their ONNX definition.

use proptest::prelude::*;

use super::windows::{Geometry, geometry};
use super::{Model, int, ints, ramp, string};

/// The largest element of each window that has one, of one image.
fn maxima(geometry: &Geometry, ceil_mode: bool, image: &[f32]) -> Vec<Option<f32>> {
    let mut result = Vec::new();
    for row in 0..geometry.windows(0, ceil_mode) {
        for column in 0..geometry.windows(1, ceil_mode) {
            let taps = (0..geometry.kernel[0]).flat_map(|i| (0..geometry.kernel[1]).map(move |j| [i, j]));
            let pixels = taps.filter_map(|tap| geometry.tap([row, column], tap)).map(|pixel| image[pixel]);
            result.push(pixels.reduce(f32::max));
        }
    }
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn average_pool(geometry in geometry(1), count_include_pad: bool, ceil_mode: bool, channels in 1_usize..3) {
        let [height, width] = geometry.size;
        let mut attributes = geometry.attributes();
        attributes.push(int("count_include_pad", i64::from(count_include_pad)));
        attributes.push(int("ceil_mode", i64::from(ceil_mode)));
        let dims = [1, channels as i64, height as i64, width as i64];
        let model = Model::new(&dims).node("y", "AveragePool x", attributes);
        if (0..2).any(|axis| geometry.windows(axis, ceil_mode) == 0) {
            model.assert_error_contains(&["node `y_node` (AveragePool)", "larger than the padded image"]);
            return Ok(());
        }
        if (0..4).any(|side| geometry.pads[side] >= geometry.kernel[side % 2]) {
            model.assert_error_contains(&["node `y_node` (AveragePool)", "pads as large as its kernel"]);
            return Ok(());
        }
        let input = ramp(channels * height * width);
        let found = model.run(&input);
        let mut expected = Vec::new();
        for image in input.chunks_exact(height * width) {
            for row in 0..geometry.windows(0, ceil_mode) {
                for column in 0..geometry.windows(1, ceil_mode) {
                    let mut sum = 0.0;
                    let mut divisor = 0;
                    for i in 0..geometry.kernel[0] {
                        for j in 0..geometry.kernel[1] {
                            let down = row * geometry.stride[0] + i;
                            let across = column * geometry.stride[1] + j;
                            if let Some(pixel) = geometry.tap([row, column], [i, j]) {
                                sum += image[pixel];
                                divisor += 1;
                            } else if count_include_pad && down < geometry.padded(0) && across < geometry.padded(1) {
                                divisor += 1;
                            }
                        }
                    }
                    expected.push(sum / divisor as f32);
                }
            }
        }
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            prop_assert!((found - expected).abs() < 1e-5, "{} differs from {}", found, expected);
        }
    }

    #[test]
    fn max_pool(geometry in geometry(3), ceil_mode: bool, channels in 1_usize..3) {
        let [height, width] = geometry.size;
        let mut attributes = geometry.attributes();
        attributes.extend([int("ceil_mode", i64::from(ceil_mode)), int("storage_order", 0)]);
        let dims = [1, channels as i64, height as i64, width as i64];
        let model = Model::new(&dims).node("y", "MaxPool x", attributes);
        if (0..2).any(|axis| geometry.windows(axis, ceil_mode) == 0) {
            model.assert_error_contains(&["node `y_node` (MaxPool)", "larger than the padded image"]);
            return Ok(());
        }
        // Negative everywhere, so that a zero from the padding would win.
        let input: Vec<f32> = ramp(channels * height * width).iter().map(|value| value - 2.0).collect();
        let expected: Vec<Option<f32>> =
            input.chunks_exact(height * width).flat_map(|image| maxima(&geometry, ceil_mode, image)).collect();
        match expected.into_iter().collect::<Option<Vec<f32>>>() {
            Some(expected) => prop_assert_eq!(model.run(&input), expected),
            None => model.assert_error_contains(&["layer `y_node`", "holds whole windows of the kernel"]),
        }
    }
}

#[test]
fn automatic_padding_of_a_maximum() {
    let pooled = |auto_pad: &str| {
        let window = vec![string("auto_pad", auto_pad), ints("kernel_shape", &[1, 2]), ints("strides", &[1, 2])];
        Model::new(&[-1, 1, 1, 5]).node("y", "MaxPool x", window).run(&[-1.0, -2.0, -3.0, -4.0, -5.0])
    };
    assert_eq!(pooled("SAME_UPPER"), [-1.0, -3.0, -5.0]);
    assert_eq!(pooled("SAME_LOWER"), [-1.0, -2.0, -4.0]);
    assert_eq!(pooled("VALID"), [-1.0, -3.0]);
}

#[test]
fn indices_of_a_maximum() {
    let mut model = Model::new(&[-1, 1, 2, 2]).node("m", "MaxPool x", vec![ints("kernel_shape", &[2, 2])]).node(
        "y",
        "Relu m",
        vec![],
    );
    model.graph().node[0].output.push("indices".to_owned());
    assert_eq!(model.run(&[1.0, 2.0, 4.0, 3.0]), [4.0]);
    model.graph().node[1].input[0] = "indices".to_owned();
    model.assert_error(
        "node `y_node` (Relu): takes the output `indices` of node `m_node` (MaxPool), which is not supported",
    );
    let order = vec![ints("kernel_shape", &[2, 2]), int("storage_order", 1)];
    Model::new(&[-1, 1, 2, 2])
        .node("y", "MaxPool x", order)
        .assert_error("node `y_node` (MaxPool): has storage_order 1; only 0 is supported");
}

#[test]
fn the_last_partial_window_with_counted_padding() {
    // Padded: 0 1 2 3 4 0; windows of 3 with stride 2 and ceil_mode: [0 1 2] [2 3 4] [4 0].
    let model = Model::new(&[-1, 1, 1, 4]).node(
        "y",
        "AveragePool x",
        vec![
            ints("kernel_shape", &[1, 3]),
            ints("strides", &[1, 2]),
            ints("pads", &[0, 1, 0, 1]),
            int("ceil_mode", 1),
            int("count_include_pad", 1),
        ],
    );
    assert_eq!(model.operators(), ["Pad", "AveragePool"]);
    assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0]), [1.0, 3.0, 2.0]);
}

#[test]
fn global_average() {
    let model = Model::new(&[-1, 2, 2, 2]).node("y", "GlobalAveragePool x", vec![]);
    let graph = model.load().unwrap();
    assert_eq!(graph.output_dimensions, [2, 1, 1]);
    assert_eq!(graph.evaluate(&[1.0, 2.0, 3.0, 6.0, 0.0, 0.0, 4.0, 0.0]).unwrap(), [3.0, 1.0]);
}

#[test]
fn global_maximum() {
    let model = Model::new(&[-1, 2, 2, 2]).node("y", "GlobalMaxPool x", vec![]);
    assert_eq!(model.load().unwrap().output_dimensions, [2, 1, 1]);
    assert_eq!(model.run(&[-1.0, -2.0, -3.0, -6.0, 0.0, 0.5, 4.0, 0.0]), [-1.0, 4.0]);
}

/// A reduction of a 2x2x3 image, with the axes as an attribute (older operator sets) or as an input.
fn reduced(operator: &str, axes: &[i64], keep: i64, as_input: bool) -> Model {
    let model = Model::new(&[-1, 2, 2, 3]).integers("axes", &[axes.len() as i64], axes);
    if as_input {
        return model.node("y", &format!("{operator} x axes"), vec![int("keepdims", keep)]);
    }
    model.node("y", &format!("{operator} x"), vec![ints("axes", axes), int("keepdims", keep)])
}

#[test]
fn reductions_over_space() {
    let input: [f32; 12] = std::array::from_fn(|index| if index == 4 { 9.0 } else { index as f32 });
    let cases: [(&str, &[i64], &[f32]); 9] = [
        ("ReduceMean", &[2, 3], &[20.0 / 6.0, 8.5]),
        ("ReduceSum", &[-1, -2], &[20.0, 51.0]),
        ("ReduceMax", &[3, 2], &[9.0, 11.0]),
        ("ReduceMean", &[2], &[1.5, 5.0, 3.5, 7.5, 8.5, 9.5]),
        ("ReduceSum", &[2], &[3.0, 10.0, 7.0, 15.0, 17.0, 19.0]),
        ("ReduceMax", &[2], &[3.0, 9.0, 5.0, 9.0, 10.0, 11.0]),
        ("ReduceMean", &[-1], &[1.0, 17.0 / 3.0, 7.0, 10.0]),
        ("ReduceSum", &[3], &[3.0, 17.0, 21.0, 30.0]),
        ("ReduceMax", &[3], &[2.0, 9.0, 8.0, 11.0]),
    ];
    for (operator, axes, expected) in cases {
        for (keep, as_input) in [(0, false), (1, false), (0, true), (1, true)] {
            let model = reduced(operator, axes, keep, as_input);
            let dimensions = model.load().unwrap().output_dimensions;
            assert_eq!(dimensions.len(), if keep == 1 { 3 } else { 3 - axes.len() });
            for (found, expected) in model.run(&input).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{operator} over {axes:?}: {found}, not {expected}");
            }
        }
    }
    assert_eq!(reduced("ReduceMean", &[2, 3], 0, true).operators(), ["AveragePool"]);
    assert_eq!(reduced("ReduceSum", &[2, 3], 0, true).operators(), ["SumPool"]);
    assert_eq!(reduced("ReduceMax", &[2, 3], 1, true).operators(), ["MaxPool"]);
}

#[test]
fn a_mean_over_the_width_and_then_over_the_height() {
    let model = Model::new(&[-1, 2, 2, 3])
        .node("row", "ReduceMean x", vec![ints("axes", &[3]), int("keepdims", 0)])
        .node("y", "ReduceMean row", vec![ints("axes", &[2]), int("keepdims", 0)]);
    assert_eq!(model.run(&std::array::from_fn::<f32, 12, _>(|index| index as f32)), [2.5, 8.5]);
}

#[test]
fn reductions_without_axes() {
    let nothing = vec![int("noop_with_empty_axes", 1)];
    let model = Model::new(&[-1, 2, 1, 3]).node("m", "ReduceSum x", nothing).node("y", "Neg m", vec![]);
    assert_eq!(model.run(&ramp(6)), ramp(6).iter().map(|value| -value).collect::<Vec<_>>());
    Model::new(&[-1, 2, 1, 3]).node("y", "ReduceSum x", vec![]).assert_error(
        "node `y_node` (ReduceSum): runs over axes [0, 1, 2, 3] of dimensions [1, 2, 1, 3]; supported are height and \
         width, of one or of both",
    );
}

#[test]
fn reductions_over_other_axes() {
    for axes in [vec![1], vec![1, 2, 3], vec![0], vec![1, 3]] {
        for operator in ["ReduceMean", "ReduceSum", "ReduceMax"] {
            reduced(operator, &axes, 1, true).assert_error(&format!(
                "node `y_node` ({operator}): runs over axes {axes:?} of dimensions [1, 2, 2, 3]; supported are height \
                 and width, of one or of both"
            ));
        }
    }
}
