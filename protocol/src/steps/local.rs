//! Steps that each party computes on its own share, free of communication.

use crate::plan::{Padding, Shape, Step};
use crate::share::Share;

/// One party's share of a local step's value, or `None` if the step is not local.
///
/// `inputs` holds the party's shares of the node's inputs, `input` the shape of the first and `output` of the node,
/// all taken from a validated plan.
pub fn evaluate(step: &Step, inputs: &[&Share], input: Shape, output: Shape) -> Option<Share> {
    Some(match step {
        Step::SumPool { kernel, stride, padding } => {
            Share(sum_pool(inputs[0], input, output, *kernel, *stride, *padding))
        }
        Step::Add => {
            Share(inputs[0].iter().zip(inputs[1].iter()).map(|(left, right)| left.wrapping_add(*right)).collect())
        }
        Step::ShiftLeft { amount } => Share(inputs[0].iter().map(|element| element << amount).collect()),
        Step::Reshape => inputs[0].clone(),
        Step::Input | Step::Linear(_) | Step::Square { .. } | Step::Truncate { .. } | Step::Output { .. } => {
            return None;
        }
    })
}

/// Sums over windows, modulo `2^32`.
fn sum_pool(
    elements: &[u32],
    input: Shape,
    output: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Vec<u32> {
    let mut sums = vec![0u32; output.elements()];
    let planes = elements.chunks_exact(input.height * input.width);
    for (plane, sums) in planes.zip(sums.chunks_exact_mut(output.height * output.width)) {
        for (row, sums) in sums.chunks_exact_mut(output.width).enumerate() {
            for kernel_row in 0..kernel[0] {
                let source = (row * stride[0] + kernel_row).wrapping_sub(padding.top);
                if source >= input.height {
                    continue;
                }
                let source = &plane[source * input.width..][..input.width];
                for (column, sum) in sums.iter_mut().enumerate() {
                    let start = column * stride[1];
                    let from = start.max(padding.left) - padding.left;
                    let to = (start + kernel[1]).saturating_sub(padding.left).min(input.width);
                    for element in source.get(from..to).unwrap_or_default() {
                        *sum = sum.wrapping_add(*element);
                    }
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sum_pool_equals_its_definition(
            channels in 1usize..3, height in 1usize..8, width in 1usize..8,
            kernel in [1usize..4, 1usize..4], stride in [1usize..4, 1usize..4],
            pads in [0usize..3, 0usize..3, 0usize..3, 0usize..3], seed in any::<u32>(),
        ) {
            let padding = Padding { top: pads[0], left: pads[1], bottom: pads[2], right: pads[3] };
            let (rows, columns) = (height + pads[0] + pads[2], width + pads[1] + pads[3]);
            prop_assume!(rows >= kernel[0] && columns >= kernel[1]);
            let input = Shape::new(channels, height, width);
            let output = Shape::new(channels, (rows - kernel[0]) / stride[0] + 1, (columns - kernel[1]) / stride[1] + 1);
            let elements: Vec<u32> = (0..input.elements() as u32).map(|index| index.wrapping_mul(2_654_435_761) ^ seed).collect();
            let at = |channel: usize, row: usize, column: usize| {
                let (row, column) = (row.wrapping_sub(padding.top), column.wrapping_sub(padding.left));
                if row < height && column < width { elements[(channel * height + row) * width + column] } else { 0 }
            };
            let mut expected = Vec::new();
            for channel in 0..channels { for row in 0..output.height { for column in 0..output.width {
                let mut sum = 0u32;
                for i in 0..kernel[0] { for j in 0..kernel[1] {
                    sum = sum.wrapping_add(at(channel, row * stride[0] + i, column * stride[1] + j));
                } }
                expected.push(sum);
            } } }
            prop_assert_eq!(sum_pool(&elements, input, output, kernel, stride, padding), expected);
        }
    }
}
