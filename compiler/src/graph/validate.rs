//! Checks that a graph is consistent and of bounded size.

use tacit_protocol::plan::{LinearShape, Padding, Shape};

use super::{Bias, FloatLinear, Graph, Layer, Operator};

/// Most layers of a graph.
pub const MAX_LAYERS: usize = 10_000;

/// Most elements of one layer's value, padding included.
pub const MAX_LAYER_ELEMENTS: usize = 1 << 24;

/// Largest kernel, stride, dilation or padding in one dimension.
const MAX_EXTENT: usize = 1 << 16;

/// Largest factor of [`Operator::Multiply`].
const MAX_FACTOR: u32 = 1 << 12;

/// Why a graph cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A layer breaks a rule.
    #[error("layer `{name}` (number {index}): {reason}")]
    Layer {
        /// Index of the layer.
        index: usize,
        /// Its name.
        name: String,
        /// The broken rule.
        reason: String,
    },
    /// The graph as a whole breaks a rule.
    #[error("graph: {0}")]
    Whole(String),
    /// An input has the wrong number of elements.
    #[error("the input has {found} elements, the network needs {expected}")]
    InputLength {
        /// Elements of the network's input.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// An input has an element that is not a finite number.
    #[error("element {index} of the input is not a finite number")]
    InputNotFinite {
        /// Index of the element.
        index: usize,
    },
}

impl Graph {
    /// Checks the order of layers, their shapes, the lengths of weights, sizes, and that all numbers are finite.
    ///
    /// # Errors
    /// Names the first layer that breaks a rule, and the rule.
    pub fn validate(&self) -> Result<(), GraphError> {
        let whole = |reason: String| Err(GraphError::Whole(reason));
        if self.layers.len() > MAX_LAYERS {
            return whole(format!("{} layers; at most {MAX_LAYERS} are supported", self.layers.len()));
        }
        for (index, layer) in self.layers.iter().enumerate() {
            self.check_layer(index, layer).map_err(|reason| GraphError::Layer {
                index,
                name: layer.name.clone(),
                reason,
            })?;
        }
        let (Some(input), Some(output)) = (self.layers.first(), self.layers.get(self.output)) else {
            return whole("the output is not one of the layers".to_owned());
        };
        let ends = [("input", &self.input_dimensions, input), ("output", &self.output_dimensions, output)];
        for (end, dimensions, layer) in ends {
            let count = dimensions.iter().try_fold(1_usize, |count, &dimension| count.checked_mul(dimension));
            if count != Some(layer.shape.elements()) {
                return whole(format!("{end} dimensions {dimensions:?} do not have the elements of {}", layer.shape));
            }
        }
        if !self.labels.is_empty() && self.labels.len() != output.shape.elements() {
            return whole(format!("{} labels for {} outputs", self.labels.len(), output.shape.elements()));
        }
        Ok(())
    }

    fn check_layer(&self, index: usize, layer: &Layer) -> Result<(), String> {
        check_size(layer.shape)?;
        let mut shapes = Vec::with_capacity(layer.inputs.len());
        for &input in &layer.inputs {
            if input >= index {
                return Err(format!("takes the value of layer {input}, which does not come before it"));
            }
            shapes.push(self.layers[input].shape);
        }
        let input = match (&layer.operator, shapes.as_slice()) {
            (Operator::Input, []) if index == 0 => return Ok(()),
            (Operator::Input, _) => return Err("only the first layer is the input".to_owned()),
            _ if index == 0 => return Err("the first layer must be the input".to_owned()),
            (Operator::Add | Operator::Subtract, &[left, right]) if left == layer.shape && right == layer.shape => {
                return Ok(());
            }
            (Operator::Add | Operator::Subtract, shapes) => return Err(format!("adds values of shapes {shapes:?}")),
            (Operator::Concat, shapes) => return check_concat(shapes, layer.shape),
            (_, &[input]) => input,
            (_, shapes) => return Err(format!("takes {} values, not one", shapes.len())),
        };
        let expected = match &layer.operator {
            Operator::Linear(linear) => {
                check_linear(linear, input)?;
                linear.shape.output
            }
            Operator::Affine { scale, shift } => {
                check_numbers("scale", scale, input.channels)?;
                check_numbers("shift", shift, input.channels)?;
                input
            }
            Operator::AddMap(map) => {
                check_numbers("map", map, input.elements())?;
                input
            }
            Operator::Quadratic { square, linear, constant } => {
                check_numbers("square coefficients", square, input.channels)?;
                check_numbers("linear coefficients", linear, input.channels)?;
                check_numbers("constants", constant, input.channels)?;
                input
            }
            Operator::AveragePool { kernel, stride, padding, .. } | Operator::SumPool { kernel, stride, padding } => {
                if padding.top.max(padding.bottom) >= kernel[0] || padding.left.max(padding.right) >= kernel[1] {
                    return Err(format!("padding {padding:?} is not smaller than the kernel {kernel:?}"));
                }
                windows(input, *padding, *kernel, *stride, [1, 1])?
            }
            Operator::Pad(padding) => padded(input, *padding)?,
            Operator::Reshape if input.elements() == layer.shape.elements() => layer.shape,
            Operator::Reshape => {
                return Err(format!("reshapes {input}, of another number of elements"));
            }
            Operator::Relu => input,
            Operator::MaxPool { kernel, stride, dilation, padding } => {
                let output = windows(input, *padding, *kernel, *stride, *dilation)?;
                let axes = [(input.height, padding.top, output.height), (input.width, padding.left, output.width)];
                for (axis, (size, before, count)) in axes.into_iter().enumerate() {
                    let mut starts = (0..count).map(|window| window * stride[axis]);
                    if !starts.all(|start| meets_image(start, kernel[axis], dilation[axis], before, size)) {
                        return Err(format!("padding {padding:?} holds whole windows of the kernel {kernel:?}"));
                    }
                }
                output
            }
            Operator::Multiply { rows, columns } => {
                if (rows.len(), columns.len()) != (input.height, input.width) {
                    return Err(format!("has {} and {} factors for {input}", rows.len(), columns.len()));
                }
                if rows.iter().chain(columns).any(|factor| !(1..=MAX_FACTOR).contains(factor)) {
                    return Err(format!("factors must be 1 to {MAX_FACTOR}"));
                }
                input
            }
            Operator::Slice { start } => {
                if start.checked_add(layer.shape.channels).is_none_or(|end| end > input.channels) {
                    return Err(format!("takes {} channels from {start} of {input}", layer.shape.channels));
                }
                Shape::new(layer.shape.channels, input.height, input.width)
            }
            Operator::Input | Operator::Add | Operator::Subtract | Operator::Concat => layer.shape,
        };
        if expected != layer.shape {
            return Err(format!("has shape {}, but computes {expected} from {input}", layer.shape));
        }
        Ok(())
    }
}

/// Checks that the channels of all inputs make up those of a concatenation.
fn check_concat(shapes: &[Shape], to: Shape) -> Result<(), String> {
    let same_image = shapes.iter().all(|shape| (shape.height, shape.width) == (to.height, to.width));
    let channels = shapes.iter().try_fold(0usize, |sum, shape| sum.checked_add(shape.channels));
    if same_image && channels == Some(to.channels) {
        Ok(())
    } else {
        Err(format!("joins values of shapes {shapes:?} to {to}"))
    }
}

/// Checks that a shape is not empty and of bounded size.
fn check_size(shape: Shape) -> Result<(), String> {
    let elements = shape.channels.checked_mul(shape.height).and_then(|area| area.checked_mul(shape.width));
    match elements {
        Some(1..=MAX_LAYER_ELEMENTS) => Ok(()),
        _ => Err(format!("shape {shape} must have 1 to {MAX_LAYER_ELEMENTS} elements")),
    }
}

/// Checks the length of a list of coefficients, and that they are finite. Does not print them.
fn check_numbers(what: &str, numbers: &[f64], expected: usize) -> Result<(), String> {
    if numbers.len() != expected {
        return Err(format!("{what}: {} numbers where {expected} are needed", numbers.len()));
    }
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(position) => Err(format!("{what}: number {position} is not finite")),
        None => Ok(()),
    }
}

/// Whether one of the elements `start`, `start + dilation`, ... of a window lies behind the padding before an image of
/// the given size and not in that after it.
fn meets_image(start: usize, kernel: usize, dilation: usize, before: usize, size: usize) -> bool {
    let skipped = before.saturating_sub(start).div_ceil(dilation);
    skipped < kernel && start + skipped * dilation < before + size
}

fn check_linear(linear: &FloatLinear, input: Shape) -> Result<(), String> {
    let LinearShape { input: declared, output, groups, kernel, stride, padding, dilation } = linear.shape;
    if declared != input {
        return Err(format!("is built for an input of {declared}, but takes {input}"));
    }
    check_size(output)?;
    let divisible = groups > 0 && input.channels.is_multiple_of(groups) && output.channels.is_multiple_of(groups);
    if !divisible {
        return Err(format!("{groups} groups for {} and {} channels", input.channels, output.channels));
    }
    let computed = windows(input, padding, kernel, stride, dilation)?;
    if (computed.height, computed.width) != (output.height, output.width) {
        return Err(format!("computes {}x{} values per channel, not {output}", computed.height, computed.width));
    }
    let weights = output
        .channels
        .checked_mul(linear.shape.channels_per_group())
        .and_then(|count| count.checked_mul(kernel[0] * kernel[1]))
        .ok_or("has too many weights")?;
    check_numbers("weights", &linear.weights, weights)?;
    match &linear.bias {
        Bias::PerChannel(bias) => check_numbers("bias", bias, output.channels),
        Bias::PerElement(bias) => check_numbers("bias", bias, output.elements()),
    }
}

/// Shape of an image with zeros around it.
fn padded(input: Shape, padding: Padding) -> Result<Shape, String> {
    let Padding { top, left, bottom, right } = padding;
    if [top, left, bottom, right].iter().any(|&amount| amount > MAX_EXTENT) {
        return Err(format!("padding {padding:?} is larger than {MAX_EXTENT}"));
    }
    let shape = Shape::new(input.channels, input.height + top + bottom, input.width + left + right);
    check_size(shape)?;
    Ok(shape)
}

/// Shape of what sliding windows compute, one value per window and input channel.
fn windows(
    input: Shape,
    padding: Padding,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Result<Shape, String> {
    let image = padded(input, padding)?;
    let extents = kernel.iter().chain(&stride).chain(&dilation);
    if extents.into_iter().any(|extent| !(1..=MAX_EXTENT).contains(extent)) {
        return Err(format!("kernel {kernel:?}, stride {stride:?}, dilation {dilation:?} must be 1 to {MAX_EXTENT}"));
    }
    let count = |size: usize, axis: usize| {
        let extent = (kernel[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1);
        let room = size.checked_sub(extent).ok_or_else(|| {
            format!("kernel {kernel:?} with dilation {dilation:?} is larger than the padded image {image}")
        })?;
        Ok::<_, String>(room / stride[axis] + 1)
    };
    Ok(Shape::new(input.channels, count(image.height, 0)?, count(image.width, 1)?))
}
