//! The reference evaluator: plain arithmetic in double precision.

use std::ops::Range;

use tacit_protocol::plan::{LinearShape, Padding, Shape};

use super::{Bias, FloatLinear, Graph, GraphError, Operator};

impl Graph {
    /// The network's output for one input of [`Graph::input_dimensions`], row-major.
    ///
    /// The graph must be valid ([`Graph::validate`]).
    ///
    /// # Errors
    /// If the input has the wrong number of elements, or one that is not finite.
    pub fn evaluate(&self, input: &[f32]) -> Result<Vec<f32>, GraphError> {
        let expected = self.layers.first().map_or(0, |layer| layer.shape.elements());
        if input.len() != expected {
            return Err(GraphError::InputLength { expected, found: input.len() });
        }
        if let Some(index) = input.iter().position(|value| !value.is_finite()) {
            return Err(GraphError::InputNotFinite { index });
        }
        let input: Vec<f64> = input.iter().map(|&value| f64::from(value)).collect();
        let values = self.evaluate_layers(&input);
        Ok(values[self.output].iter().map(|&value| value as f32).collect())
    }

    /// The values of all layers for one input, in the order of [`Graph::layers`], each row-major.
    ///
    /// # Panics
    /// If the graph is not valid ([`Graph::validate`]) or the input has the wrong number of elements.
    pub fn evaluate_layers(&self, input: &[f64]) -> Vec<Vec<f64>> {
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let value = match &layer.operator {
                Operator::Input => {
                    assert_eq!(input.len(), layer.shape.elements(), "elements of the input");
                    input.to_vec()
                }
                Operator::Add => {
                    let [left, right] = [0, 1].map(|index| &values[layer.inputs[index]]);
                    left.iter().zip(right).map(|(a, b)| a + b).collect()
                }
                Operator::Subtract => {
                    let [left, right] = [0, 1].map(|index| &values[layer.inputs[index]]);
                    left.iter().zip(right).map(|(a, b)| a - b).collect()
                }
                Operator::Concat => layer.inputs.iter().flat_map(|input| values[*input].iter().copied()).collect(),
                operator => {
                    let source = layer.inputs[0];
                    apply(operator, &values[source], self.layers[source].shape, layer.shape)
                }
            };
            values.push(value);
        }
        values
    }
}

/// The value of a layer with one input.
fn apply(operator: &Operator, input: &[f64], from: Shape, to: Shape) -> Vec<f64> {
    match operator {
        Operator::Linear(linear) => evaluate_linear(linear, input),
        Operator::Affine { scale, shift } => per_channel(input, from, |channel, x| scale[channel] * x + shift[channel]),
        Operator::AddMap(map) => input.iter().zip(map).map(|(x, addend)| x + addend).collect(),
        Operator::Quadratic { square, linear, constant } => {
            per_channel(input, from, |channel, x| (square[channel] * x + linear[channel]) * x + constant[channel])
        }
        Operator::AveragePool { kernel, stride, padding, count_include_pad } => {
            pool(input, from, to, *kernel, *stride, *padding, |sum, counted| {
                let divisor = if *count_include_pad { kernel[0] * kernel[1] } else { counted };
                sum / divisor as f64
            })
        }
        Operator::SumPool { kernel, stride, padding } => {
            pool(input, from, to, *kernel, *stride, *padding, |sum, _| sum)
        }
        Operator::Pad(padding) => pad(input, from, to, *padding),
        Operator::Relu => input.iter().map(|x| x.max(0.0)).collect(),
        Operator::MaxPool { kernel, stride, dilation, padding } => {
            max_pool(input, from, to, *kernel, *stride, *dilation, *padding)
        }
        Operator::Multiply { rows, columns } => {
            let factors =
                rows.iter().flat_map(|row| columns.iter().map(move |column| f64::from(*row) * f64::from(*column)));
            input.iter().zip(factors.cycle()).map(|(x, factor)| x * factor).collect()
        }
        Operator::Slice { start } => input[start * from.height * from.width..][..to.elements()].to_vec(),
        Operator::Reshape | Operator::Input | Operator::Add | Operator::Subtract | Operator::Concat => input.to_vec(),
    }
}

fn per_channel(input: &[f64], shape: Shape, value: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    let planes = input.chunks_exact(shape.height * shape.width).enumerate();
    planes.flat_map(|(channel, plane)| plane.iter().map(move |&x| (channel, x))).map(|(c, x)| value(c, x)).collect()
}

fn evaluate_linear(linear: &FloatLinear, input: &[f64]) -> Vec<f64> {
    let shape = &linear.shape;
    let area = shape.output.height * shape.output.width;
    let mut output = match &linear.bias {
        Bias::PerChannel(bias) => bias.iter().flat_map(|&bias| std::iter::repeat_n(bias, area)).collect(),
        Bias::PerElement(bias) => bias.clone(),
    };
    let weights_per_output = shape.channels_per_group() * shape.kernel[0] * shape.kernel[1];
    let outputs_per_group = shape.output.channels / shape.groups;
    let input_area = shape.input.height * shape.input.width;
    let group_length = shape.channels_per_group() * input_area;
    let planes = output.chunks_exact_mut(area).zip(linear.weights.chunks_exact(weights_per_output));
    for (channel, (plane, weights)) in planes.enumerate() {
        let group = &input[channel / outputs_per_group * group_length..][..group_length];
        if weights.len() == group.len() && area == 1 && shape.padding == Padding::default() {
            plane[0] += weights.iter().zip(group).map(|(weight, x)| weight * x).sum::<f64>();
        } else {
            convolve(shape, weights, group, plane);
        }
    }
    output
}

/// Adds one output channel of a convolution: for each tap, a shifted image times a weight.
fn convolve(shape: &LinearShape, weights: &[f64], group: &[f64], plane: &mut [f64]) {
    let Shape { height, width, .. } = shape.input;
    let [kernel_height, kernel_width] = shape.kernel;
    let out_width = shape.output.width;
    let taps = weights.chunks_exact(kernel_height * kernel_width).zip(group.chunks_exact(height * width));
    for (kernel, image) in taps {
        for (tap, &weight) in kernel.iter().enumerate() {
            let down = tap / kernel_width * shape.dilation[0];
            let across = tap % kernel_width * shape.dilation[1];
            let rows = inside(shape.output.height, shape.stride[0], down, shape.padding.top, height);
            let columns = inside(out_width, shape.stride[1], across, shape.padding.left, width);
            if columns.is_empty() {
                continue;
            }
            for row in rows {
                let source = (row * shape.stride[0] + down - shape.padding.top) * width;
                let first = source + columns.start * shape.stride[1] + across - shape.padding.left;
                let target = &mut plane[row * out_width..][columns.clone()];
                if shape.stride[1] == 1 {
                    let pixels = &image[first..][..target.len()];
                    target.iter_mut().zip(pixels).for_each(|(sum, pixel)| *sum += weight * pixel);
                } else {
                    let pixels = image[first..].iter().step_by(shape.stride[1]);
                    target.iter_mut().zip(pixels).for_each(|(sum, pixel)| *sum += weight * pixel);
                }
            }
        }
    }
}

/// The output positions whose tap at `offset` lies inside of the image, and not in the padding before or after it.
fn inside(outputs: usize, stride: usize, offset: usize, before: usize, size: usize) -> Range<usize> {
    let start = before.saturating_sub(offset).div_ceil(stride);
    let end = (size + before).saturating_sub(offset).div_ceil(stride).min(outputs);
    start.min(end)..end
}

/// Sums windows and maps each sum and its number of elements inside of the image to a value.
fn pool(
    input: &[f64],
    from: Shape,
    to: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    value: impl Fn(f64, usize) -> f64,
) -> Vec<f64> {
    let clip = |position: usize, axis: usize, before: usize, size: usize| {
        let start = position * stride[axis];
        start.saturating_sub(before)..(start + kernel[axis]).saturating_sub(before).min(size)
    };
    let mut output = Vec::with_capacity(to.elements());
    for image in input.chunks_exact(from.height * from.width) {
        for row in 0..to.height {
            let rows = clip(row, 0, padding.top, from.height);
            for column in 0..to.width {
                let columns = clip(column, 1, padding.left, from.width);
                let lines = rows.clone().map(|line| &image[line * from.width..][columns.clone()]);
                let sum = lines.flatten().sum::<f64>();
                output.push(value(sum, rows.len() * columns.len()));
            }
        }
    }
    output
}

/// Largest element of each window inside of the image.
fn max_pool(
    input: &[f64],
    from: Shape,
    to: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Vec<f64> {
    let taps = |position: usize, axis: usize, before: usize, size: usize| {
        let places = (0..kernel[axis]).map(move |tap| position * stride[axis] + tap * dilation[axis]);
        places.filter_map(move |place| place.checked_sub(before).filter(|place| *place < size))
    };
    let mut output = Vec::with_capacity(to.elements());
    for image in input.chunks_exact(from.height * from.width) {
        for row in 0..to.height {
            for column in 0..to.width {
                let rows = taps(row, 0, padding.top, from.height);
                let pixels = rows.flat_map(|line| {
                    taps(column, 1, padding.left, from.width).map(move |place| image[line * from.width + place])
                });
                output.push(pixels.fold(f64::NEG_INFINITY, f64::max));
            }
        }
    }
    output
}

fn pad(input: &[f64], from: Shape, to: Shape, padding: Padding) -> Vec<f64> {
    let mut output = vec![0.0; to.elements()];
    let planes = output.chunks_exact_mut(to.height * to.width).zip(input.chunks_exact(from.height * from.width));
    for (plane, image) in planes {
        for (row, line) in image.chunks_exact(from.width).enumerate() {
            let start = (row + padding.top) * to.width + padding.left;
            plane[start..][..from.width].copy_from_slice(line);
        }
    }
    output
}
