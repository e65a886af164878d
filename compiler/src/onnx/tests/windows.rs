//! Convolutions against a direct evaluation of their ONNX definition, and padding.

use proptest::prelude::*;

use super::{Model, int, ints, ramp, string};

/// Attributes of a window over one `height x width` image.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub size: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Geometry {
    pub(super) fn attributes(&self) -> Vec<super::AttributeProto> {
        let signed = |values: &[usize]| values.iter().map(|&value| value as i64).collect::<Vec<_>>();
        vec![
            ints("kernel_shape", &signed(&self.kernel)),
            ints("strides", &signed(&self.stride)),
            ints("dilations", &signed(&self.dilation)),
            ints("pads", &signed(&self.pads)),
        ]
    }

    pub(super) fn padded(&self, axis: usize) -> usize {
        self.size[axis] + self.pads[axis] + self.pads[axis + 2]
    }

    pub(super) fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    fn fits(&self) -> bool {
        (0..2).all(|axis| self.padded(axis) >= self.extent(axis))
    }

    fn outputs(&self, axis: usize) -> usize {
        (self.padded(axis) - self.extent(axis)) / self.stride[axis] + 1
    }

    /// Number of windows of a pool; with `ceil_mode` the last one may be partial, but starts in the image or before it.
    pub(super) fn windows(&self, axis: usize, ceil_mode: bool) -> usize {
        let starts = (0..self.padded(axis)).step_by(self.stride[axis]);
        let whole = |start: &usize| start + self.extent(axis) <= self.padded(axis);
        let partial = |start: &usize| {
            ceil_mode
                && start + self.extent(axis) < self.padded(axis) + self.stride[axis]
                && *start < self.size[axis] + self.pads[axis]
        };
        starts.filter(|start| whole(start) || partial(start)).count()
    }

    /// Index into the image of a tap, or `None` in the padding.
    pub(super) fn tap(&self, output: [usize; 2], tap: [usize; 2]) -> Option<usize> {
        let position = |axis: usize| {
            (output[axis] * self.stride[axis] + tap[axis] * self.dilation[axis])
                .checked_sub(self.pads[axis])
                .filter(|&position| position < self.size[axis])
        };
        Some(position(0)? * self.size[1] + position(1)?)
    }
}

prop_compose! {
    pub(super) fn geometry(max_dilation: usize)(
        size in [1_usize..9, 1_usize..9],
        kernel in [1_usize..5, 1_usize..5],
        stride in [1_usize..5, 1_usize..5],
        dilation in [1..=max_dilation, 1..=max_dilation],
        pads in [0_usize..4, 0_usize..4, 0_usize..4, 0_usize..4],
    ) -> Geometry {
        Geometry { size, kernel, stride, dilation, pads }
    }
}

fn convolve(geometry: &Geometry, groups: usize, channels: [usize; 2], weights: &[f32], input: &[f32]) -> Vec<f64> {
    let [inputs, outputs] = channels;
    let area = geometry.size[0] * geometry.size[1];
    let [kernel_height, kernel_width] = geometry.kernel;
    let mut result = Vec::new();
    for output in 0..outputs * groups {
        let group = output / outputs;
        for row in 0..geometry.outputs(0) {
            for column in 0..geometry.outputs(1) {
                let mut sum = f64::from(output as u32);
                for channel in 0..inputs {
                    for i in 0..kernel_height {
                        for j in 0..kernel_width {
                            let Some(pixel) = geometry.tap([row, column], [i, j]) else {
                                continue;
                            };
                            let weight = weights[((output * inputs + channel) * kernel_height + i) * kernel_width + j];
                            sum += f64::from(weight) * f64::from(input[(group * inputs + channel) * area + pixel]);
                        }
                    }
                }
                result.push(sum);
            }
        }
    }
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn convolution(geometry in geometry(3), groups in 1_usize..4, inputs in 1_usize..3, outputs in 1_usize..3) {
        let [height, width] = geometry.size;
        let all_inputs = groups * inputs;
        let weights = ramp(groups * outputs * inputs * geometry.kernel[0] * geometry.kernel[1]);
        let bias: Vec<f32> = (0..groups * outputs).map(|index| index as f32).collect();
        let dims = [groups * outputs, inputs, geometry.kernel[0], geometry.kernel[1]].map(|dim| dim as i64);
        let mut attributes = geometry.attributes();
        attributes.push(int("group", groups as i64));
        let model = Model::new(&[-1, all_inputs as i64, height as i64, width as i64])
            .floats("w", &dims, &weights)
            .floats("b", &[bias.len() as i64], &bias)
            .node("y", "Conv x w b", attributes);
        if !geometry.fits() {
            model.assert_error_contains(&["node `y_node` (Conv)", "larger than the padded image"]);
            return Ok(());
        }
        let input = ramp(all_inputs * height * width);
        let found = model.run(&input);
        let expected = convolve(&geometry, groups, [inputs, outputs], &weights, &input);
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-4);
        }
    }
}

#[test]
fn automatic_padding() {
    // Five columns, kernel 2, stride 2: three windows, which need one column more.
    let pooled = |auto_pad: &str| {
        Model::new(&[-1, 1, 1, 5])
            .node(
                "y",
                "AveragePool x",
                vec![string("auto_pad", auto_pad), ints("kernel_shape", &[1, 2]), ints("strides", &[1, 2])],
            )
            .run(&[1.0, 2.0, 3.0, 4.0, 5.0])
    };
    assert_eq!(pooled("SAME_UPPER"), [1.5, 3.5, 5.0]);
    assert_eq!(pooled("SAME_LOWER"), [1.0, 2.5, 4.5]);
    assert_eq!(pooled("VALID"), [1.5, 3.5]);
    assert_eq!(pooled("NOTSET"), [1.5, 3.5]);
}

#[test]
fn automatic_padding_that_runtimes_read_in_different_ways() {
    let sampled = |stride: i64| {
        Model::new(&[-1, 1, 1, 6]).floats("w", &[1, 1, 1, 1], &[1.0]).node(
            "y",
            "Conv x w",
            vec![string("auto_pad", "SAME_UPPER"), ints("strides", &[1, stride])],
        )
    };
    assert_eq!(sampled(2).run(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [1.0, 3.0, 5.0]);
    sampled(3).assert_error(
        "node `y_node` (Conv): has auto_pad `SAME_UPPER` and strides that leave out more than one line of the image, \
         which runtimes read in different ways; export it with explicit pads",
    );
}

#[test]
fn automatic_padding_of_a_dilated_convolution() {
    let model = Model::new(&[-1, 1, 1, 4]).floats("w", &[1, 1, 1, 3], &[1.0, 10.0, 100.0]).node(
        "y",
        "Conv x w",
        vec![string("auto_pad", "SAME_UPPER"), ints("dilations", &[1, 2])],
    );
    assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0]), [310.0, 420.0, 31.0, 42.0]);
}

#[test]
fn zero_padding_in_all_its_forms() {
    let expected = [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0];
    let base = || {
        Model::new(&[-1, 1, 2, 2])
            .integers("pads", &[8], &[0, 0, 1, 1, 0, 0, 0, 0])
            .integers("short", &[4], &[1, 1, 0, 0])
            .integers("axes", &[2], &[-2, 3])
            .floats("zero", &[], &[0.0])
    };
    let models = [
        base().node("y", "Pad x", vec![ints("pads", &[0, 0, 1, 1, 0, 0, 0, 0]), string("mode", "constant")]),
        base().node("y", "Pad x pads", vec![]),
        base().node("y", "Pad x pads zero", vec![]),
        base().node("y", "Pad x short zero axes", vec![]),
    ];
    for model in models {
        assert_eq!(model.operators(), ["Pad"]);
        assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0]), expected);
    }
}

#[test]
fn pads_as_exporters_compute_them() {
    // The list of F.pad, last dimension first: filled up with zeros, in pairs, backwards, transposed.
    let model = Model::new(&[-1, 1, 1, 1])
        .integers("list", &[4], &[1, 2, 3, 4])
        .integers("four", &[1], &[4])
        .integers("pairs", &[2], &[-1, 2])
        .integers("flat", &[1], &[-1])
        .integers("last", &[1], &[-1])
        .integers("lowest", &[1], &[i64::MIN + 1])
        .integers("zero", &[1], &[0])
        .node("zeros", "ConstantOfShape four", vec![super::tensor("value", super::integer_tensor("", &[1], &[0]))])
        .node("all", "Concat list zeros", vec![int("axis", 0)])
        .node("rows", "Reshape all pairs", vec![])
        .node("back", "Slice rows last lowest zero last", vec![])
        .node("columns", "Transpose back", vec![ints("perm", &[1, 0])])
        .node("pads", "Reshape columns flat", vec![])
        .node("y", "Pad x pads", vec![]);
    let graph = model.load().unwrap();
    assert_eq!(graph.output_dimensions, [1, 1 + 3 + 4, 1 + 1 + 2]);
    let padded = graph.evaluate(&[5.0]).unwrap();
    assert_eq!(padded.iter().position(|&value| value == 5.0), Some(3 * 4 + 1));
}

#[test]
fn padding_by_nothing_is_no_layer() {
    let model = Model::new(&[-1, 2])
        .integers("pads", &[4], &[0; 4])
        .floats("two", &[], &[2.0])
        .node("p", "Pad x pads", vec![])
        .node("y", "Mul p two", vec![]);
    assert_eq!(model.operators(), ["Affine"]);
}
