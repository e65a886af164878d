//! The index arithmetic of convolutions, once: which weight joins which input element to which output element.

use tacit_protocol::plan::{LinearShape, Padding, Shape};

/// One weight applied along one output row: for `j < length`, output element `output + j` takes
/// weight `weight` times input element `input + j * step`.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Index of the weight.
    pub weight: usize,
    /// First output element.
    pub output: usize,
    /// First input element.
    pub input: usize,
    /// Output elements.
    pub length: usize,
    /// Input elements from one output element to the next.
    pub step: usize,
}

impl Run {
    /// The pairs `(output element, input element)` of the run.
    pub fn pairs(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.length).map(move |j| (self.output + j, self.input + j * self.step))
    }
}

/// Calls `visit` for every run of a convolution; padded zeros are left out. Output channels come in order.
pub fn for_each_run(shape: &LinearShape, mut visit: impl FnMut(Run)) {
    let (input, output) = (shape.input, shape.output);
    let outputs_per_group = output.channels / shape.groups;
    let rows = reaches(shape, 0, shape.padding.top, input.height, output.height);
    let columns = reaches(shape, 1, shape.padding.left, input.width, output.width);
    let mut weight = 0;
    for output_channel in 0..output.channels {
        let first = output_channel / outputs_per_group * shape.channels_per_group();
        for input_channel in first..first + shape.channels_per_group() {
            for row in &rows {
                for column in &columns {
                    let length = if column.length == 0 { 0 } else { row.length };
                    for position in 0..length {
                        let input_row = input_channel * input.height + row.input + position * shape.stride[0];
                        let output_row = output_channel * output.height + row.output + position;
                        visit(Run {
                            weight,
                            output: output_row * output.width + column.output,
                            input: input_row * input.width + column.input,
                            length: column.length,
                            step: shape.stride[1],
                        });
                    }
                    weight += 1;
                }
            }
        }
    }
}

/// Output positions along one axis at which a tap of the kernel lies inside of the image.
struct Reach {
    /// The first of them, and the input position that it meets.
    output: usize,
    input: usize,
    length: usize,
}

/// The reach of each tap of the kernel along one axis; `before` is the padding in front.
fn reaches(shape: &LinearShape, axis: usize, before: usize, input: usize, output: usize) -> Vec<Reach> {
    let stride = shape.stride[axis];
    let reach = |tap: usize| {
        // Inside is where before <= position * stride + offset < before + input.
        let offset = tap * shape.dilation[axis];
        let first = before.saturating_sub(offset).div_ceil(stride);
        let end = (before + input).saturating_sub(offset).div_ceil(stride).min(output);
        match end.checked_sub(first) {
            None | Some(0) => Reach { output: 0, input: 0, length: 0 },
            Some(length) => Reach { output: first, input: first * stride + offset - before, length },
        }
    };
    (0..shape.kernel[axis]).map(reach).collect()
}

/// A sum pool as the depthwise convolution, all weights one, that it is.
pub fn pool_as_linear(
    input: Shape,
    output: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> LinearShape {
    LinearShape { input, output, groups: input.channels, kernel, stride, padding, dilation: [1, 1] }
}
