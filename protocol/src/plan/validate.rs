//! Checks on a plan that came from a peer: after [`Plan::validate`], sizes are bounded, indices are in range and
//! shapes fit each other, so that the rest of the crate computes with them without overflow.

use super::comparison::SelectLayout;
use super::graph::{Node, Plan, Step};
use super::linear::LinearShape;
use super::packing::check_packing;
use super::shape::{Axis, Padding, Shape};

/// Most nodes in a plan.
pub const MAX_NODES: usize = 4096;
/// Most elements of one value.
pub const MAX_ELEMENTS: usize = 1 << 22;
/// Most elements of all values together: bounds a session's memory, and the union over which noise may fail.
pub const MAX_TOTAL_ELEMENTS: u64 = 1 << 23;
/// Most terms of all sum pools together: bounds the time that local steps take.
const MAX_POOLED: u64 = 1 << 34;
/// Most values that a node takes.
pub const MAX_INPUTS: usize = 64;
/// Most bits of a class: no value has more elements.
pub const MAX_CLASS_BITS: u32 = 22;
/// Most bytes of preprocessing of all comparing steps together: bounds a session's memory.
const MAX_COMPARED: u64 = 1 << 30;
/// Largest kernel side, stride, dilation, factor or padding.
const MAX_EXTENT: usize = 1 << 12;
/// Most bytes of a name or label.
const MAX_TEXT: usize = 256;
/// Most dimensions of the input or output tensor.
const MAX_RANK: usize = 8;

/// Why a plan cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A node breaks a rule of the plan.
    #[error("node {node} of the plan: {reason}")]
    Node {
        /// Index of the node.
        node: usize,
        /// The broken rule.
        reason: String,
    },
    /// The plan as a whole breaks a rule.
    #[error("plan: {0}")]
    Whole(String),
}

impl Plan {
    /// Checks every rule of a plan.
    ///
    /// # Errors
    /// [`PlanError`] names the node and the broken rule.
    pub fn validate(&self) -> Result<(), PlanError> {
        let whole = |reason: &str| Err(PlanError::Whole(reason.to_string()));
        if self.nodes.len() < 2 || self.nodes.len() > MAX_NODES {
            return whole("between 2 and 4096 nodes are needed");
        }
        for (index, node) in self.nodes.iter().enumerate() {
            self.validate_node(index, node).map_err(|reason| PlanError::Node { node: index, reason })?;
        }
        if self.nodes.iter().map(|node| node.shape.elements() as u64).sum::<u64>() > MAX_TOTAL_ELEMENTS {
            return whole("all values together have more than 2^23 elements");
        }
        let pooled = self.nodes.iter().map(|node| match node.step {
            Step::SumPool { kernel: [height, width], .. } => {
                [node.shape.elements(), height, width].into_iter().map(|size| size as u64).product()
            }
            _ => 0,
        });
        if pooled.sum::<u64>() > MAX_POOLED {
            return whole("all sum pools together have more than 2^34 terms");
        }
        let compared = self
            .nodes
            .iter()
            .filter_map(|node| SelectLayout::of_node(self, node))
            .map(|layout| layout.server_correlations_len() as u64 + layout.client_corrections_len() as u64);
        if compared.sum::<u64>() > MAX_COMPARED {
            return whole("all comparing steps together need more than 2^30 bytes of preprocessing");
        }
        if !self.nodes.iter().any(|node| matches!(node.step, Step::Linear(_))) {
            return whole("there is no linear step, so nothing to compute");
        }
        if !dimensions_match(&self.input.dimensions, self.input_shape()) {
            return whole("the input dimensions do not match the input node");
        }
        let outputs = match &self.nodes[self.nodes.len() - 1].step {
            // The logits that the class is chosen from are not revealed, so no node has their shape.
            Step::Class { bits } => {
                let classes = self.output.dimensions.iter().try_fold(1usize, |all, size| all.checked_mul(*size));
                classes.filter(|classes| (1..=1 << bits).contains(classes)).map(Shape::vector)
            }
            _ => Some(self.output_shape()),
        };
        let Some(outputs) = outputs.filter(|outputs| dimensions_match(&self.output.dimensions, *outputs)) else {
            return whole("the output dimensions do not match the output node");
        };
        let labels = &self.output.labels;
        if !labels.is_empty() && labels.len() != outputs.elements() {
            return whole("there must be one label for each output, or none");
        }
        let mut texts = labels.iter().chain([&self.input.name, &self.output.name]);
        if texts.any(|text| text.len() > MAX_TEXT) {
            return whole("a name or label is longer than 256 bytes");
        }
        self.validate_range()
    }

    /// The input range must be finite, not empty, and fit the input node's bits.
    fn validate_range(&self) -> Result<(), PlanError> {
        let (low, high) = (f64::from(self.input.low), f64::from(self.input.high));
        let input = &self.nodes[0];
        let limit = 2f64.powi(input.bits as i32 - 1 - input.fraction_bits);
        if !(low.is_finite() && high.is_finite() && low < high && low > -limit && high < limit) {
            return Err(PlanError::Whole("the input range is empty or does not fit its bits".to_string()));
        }
        Ok(())
    }

    fn validate_node(&self, index: usize, node: &Node) -> Result<(), String> {
        check(node.inputs.iter().all(|input| *input < index), "an input does not come before the node")?;
        check(elements(node.shape).is_some(), "the shape is empty or too large")?;
        check((-64..=64).contains(&node.fraction_bits), "fraction bits must be from -64 to 64")?;
        check((1..=31).contains(&node.bits), "bits must be from 1 to 31")?;
        let is_last = index + 1 == self.nodes.len();
        let is_output = matches!(node.step, Step::Output { .. } | Step::Class { .. });
        check(is_last == is_output, "the output must be the last node, and only that")?;
        check((index == 0) == (node.step == Step::Input), "the input must be the first node, and only that")?;
        let arity = match node.step {
            Step::Input => return check(node.inputs.is_empty(), "the input takes no value"),
            Step::Add | Step::Subtract | Step::Maximum { .. } => 2..=2,
            Step::Concat => 1..=MAX_INPUTS,
            _ => 1..=1,
        };
        check(arity.contains(&node.inputs.len()), "wrong number of inputs")?;
        self.validate_step(node, &self.nodes[node.inputs[0]])
    }

    /// Rules between a node and its (first) input.
    fn validate_step(&self, node: &Node, input: &Node) -> Result<(), String> {
        let same_shape = || check(node.shape == input.shape, "the shape differs from the input's");
        let fraction = |bits: i64| {
            check(i64::from(node.fraction_bits) == bits, "the fraction bits do not follow from the input's")
        };
        let input_fraction = i64::from(input.fraction_bits);
        match &node.step {
            Step::Input => Ok(()),
            Step::Linear(linear) => {
                check(linear.shape.input == input.shape, "the layer's input shape differs from its input's")?;
                check(linear.shape.output == node.shape, "the layer's output shape differs from the node's")?;
                validate_linear_shape(&linear.shape)?;
                check_packing(&linear.shape, &linear.packing).map_err(str::to_string)
            }
            Step::Square { drop } => {
                check(*drop <= 30, "at most 30 bits can be dropped")?;
                same_shape()?;
                fraction(2 * (input_fraction - i64::from(*drop)))
            }
            Step::Truncate { drop } => {
                check((1..=30).contains(drop), "1 to 30 bits can be dropped")?;
                same_shape()?;
                fraction(input_fraction - i64::from(*drop))
            }
            Step::SumPool { kernel, stride, padding } => {
                check(node.shape.channels == input.shape.channels, "pooling keeps the channels")?;
                let expected = windows(input.shape, *kernel, *stride, [1, 1], *padding);
                check(expected == Some([node.shape.height, node.shape.width]), "the pooled shape is wrong")?;
                fraction(input_fraction)
            }
            Step::Relu { drop, .. } => {
                check(*drop <= 29, "at most 29 bits can be dropped")?;
                same_shape()?;
                self.validate_comparison(node)?;
                fraction(input_fraction - i64::from(*drop))
            }
            Step::Maximum { ignored, .. } => {
                self.second_term(node, input)?;
                check(*ignored <= 29, "at most 29 bits can be ignored")?;
                same_shape()?;
                self.validate_comparison(node)?;
                fraction(input_fraction)
            }
            Step::Add | Step::Subtract => {
                self.second_term(node, input)?;
                same_shape()?;
                fraction(input_fraction)
            }
            Step::Offset => {
                same_shape()?;
                fraction(input_fraction)
            }
            Step::Multiply { rows, columns } => {
                same_shape()?;
                let lengths = (rows.len(), columns.len()) == (input.shape.height, input.shape.width);
                check(lengths, "there must be one factor for each row and column")?;
                let mut factors = rows.iter().chain(columns);
                check(factors.all(|factor| (1..=MAX_EXTENT as u32).contains(factor)), "a factor is out of range")?;
                fraction(input_fraction)
            }
            Step::Concat => self.validate_concat(node, input),
            Step::Slice { axis, start, step, spacing } => {
                let in_range = |size: &u32| (1..=MAX_EXTENT as u32).contains(size);
                check(in_range(step) && in_range(spacing), "the step of a slice is out of range")?;
                check(start.unsigned_abs() as usize <= MAX_ELEMENTS, "a slice starts too far outside")?;
                let mut expected = input.shape;
                match axis {
                    Axis::Channels => expected.channels = node.shape.channels,
                    Axis::Rows => expected.height = node.shape.height,
                    Axis::Columns => expected.width = node.shape.width,
                }
                check(node.shape == expected, "a slice changes the sizes of other axes")?;
                fraction(input_fraction)
            }
            Step::ShiftLeft { amount } => {
                check((1..=30).contains(amount), "a shift is by 1 to 30 bits")?;
                same_shape()?;
                fraction(input_fraction + i64::from(*amount))
            }
            Step::Reshape => {
                check(node.shape.elements() == input.shape.elements(), "reshaping keeps the number of elements")?;
                fraction(input_fraction)
            }
            Step::Output { drop } => {
                check(*drop <= 30, "at most 30 bits can be dropped")?;
                same_shape()?;
                fraction(input_fraction)
            }
            Step::Class { bits } => {
                check((1..=MAX_CLASS_BITS).contains(bits), "the bits of a class are out of range")?;
                check(node.shape.elements() == 1, "a class is one value")?;
                same_shape()?;
                fraction(input_fraction)
            }
        }
    }

    /// The second input of a node whose inputs must be alike.
    fn second_term(&self, node: &Node, input: &Node) -> Result<&Node, String> {
        let other = &self.nodes[node.inputs[1]];
        check(other.fraction_bits == input.fraction_bits, "the terms differ in scale")?;
        check(other.shape == input.shape, "the terms differ in shape")?;
        Ok(other)
    }

    /// The digits of a comparing step fit the bits that it compares.
    fn validate_comparison(&self, node: &Node) -> Result<(), String> {
        SelectLayout::of_node(self, node).map_or(Ok(()), |layout| layout.check().map_err(str::to_string))
    }

    /// Joined values have images of one size; their scales may differ, and the declared one is that of the first.
    fn validate_concat(&self, node: &Node, input: &Node) -> Result<(), String> {
        let mut channels = 0;
        for other in node.inputs.iter().map(|input| &self.nodes[*input]) {
            let same_image = (other.shape.height, other.shape.width) == (node.shape.height, node.shape.width);
            check(same_image, "the joined values differ in height or width")?;
            channels += other.shape.channels;
        }
        check(channels == node.shape.channels, "the channels do not add up")?;
        check(node.fraction_bits == input.fraction_bits, "the fraction bits do not follow from the input's")
    }
}

/// Rules of a convolution's geometry.
fn validate_linear_shape(shape: &LinearShape) -> Result<(), String> {
    let groups = shape.groups;
    check(
        groups > 0 && shape.input.channels.is_multiple_of(groups) && shape.output.channels.is_multiple_of(groups),
        "the groups do not divide the channels",
    )?;
    let windows = windows(shape.input, shape.kernel, shape.stride, shape.dilation, shape.padding);
    check(windows == Some([shape.output.height, shape.output.width]), "the convolution's output shape is wrong")?;
    let sizes = [shape.output.channels, shape.channels_per_group(), shape.kernel[0], shape.kernel[1]];
    let weights = sizes.into_iter().try_fold(1u64, |weights, size| weights.checked_mul(size as u64));
    check(weights.is_some_and(|weights| weights <= 1 << 28), "the layer has too many weights")
}

/// Rows and columns of windows that fit a padded image; `None` if a size is out of range or nothing fits.
fn windows(
    input: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Option<[usize; 2]> {
    let Padding { top, left, bottom, right } = padding;
    let positive = kernel.iter().chain(&stride).chain(&dilation).all(|size| (1..=MAX_EXTENT).contains(size));
    if !positive || [top, left, bottom, right].iter().any(|size| *size > MAX_EXTENT) {
        return None;
    }
    let rows = input.height + top + bottom;
    let columns = input.width + left + right;
    elements(Shape::new(input.channels, rows, columns))?;
    let fit = |size: usize, axis: usize| {
        let extent = dilation[axis] * (kernel[axis] - 1) + 1;
        (size >= extent).then(|| (size - extent) / stride[axis] + 1)
    };
    Some([fit(rows, 0)?, fit(columns, 1)?])
}

/// Number of elements of a shape that is neither empty nor too large.
fn elements(shape: Shape) -> Option<usize> {
    let count = shape.channels.checked_mul(shape.height)?.checked_mul(shape.width)?;
    (1..=MAX_ELEMENTS).contains(&count).then_some(count)
}

fn dimensions_match(dimensions: &[usize], shape: Shape) -> bool {
    let product = dimensions.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    dimensions.len() <= MAX_RANK && product == Some(shape.elements())
}

fn check(holds: bool, reason: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason.to_string()) }
}
