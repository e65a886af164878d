//! Steps that each party computes on its own share, free of communication.

use crate::plan::{Axis, Padding, Shape, Step};
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
        Step::Subtract => difference(inputs[0], inputs[1]),
        Step::Multiply { rows, columns } => {
            let factors = rows.iter().flat_map(|row| columns.iter().map(move |column| row.wrapping_mul(*column)));
            Share(inputs[0].iter().zip(factors.cycle()).map(|(element, factor)| element.wrapping_mul(factor)).collect())
        }
        Step::Concat => Share(inputs.iter().flat_map(|input| input.iter().copied()).collect()),
        Step::Slice { axis, start, step } => {
            Share(slice_places(input, output, *axis, *start, *step).map(|place| inputs[0][place]).collect())
        }
        Step::ShiftLeft { amount } => Share(inputs[0].iter().map(|element| element << amount).collect()),
        Step::Reshape => inputs[0].clone(),
        Step::Input
        | Step::Linear(_)
        | Step::Offset
        | Step::Square { .. }
        | Step::Truncate { .. }
        | Step::Relu { .. }
        | Step::Maximum { .. }
        | Step::Output { .. }
        | Step::Class { .. } => return None,
    })
}

/// `left - right`, modulo `2^32`.
pub(crate) fn difference(left: &Share, right: &Share) -> Share {
    Share(left.iter().zip(right.iter()).map(|(left, right)| left.wrapping_sub(*right)).collect())
}

/// For each element of a [`Step::Slice`], the element of its input that it takes: every `step`-th channel, row or column
/// from `start` on, the nearest one inside where that lies outside.
pub fn slice_places(input: Shape, output: Shape, axis: Axis, start: i32, step: u32) -> impl Iterator<Item = usize> {
    // The axis splits the elements into blocks of `size` runs of `length` elements each.
    let (blocks, size, count, length) = match axis {
        Axis::Channels => (1, input.channels, output.channels, input.height * input.width),
        Axis::Rows => (input.channels, input.height, output.height, input.width),
        Axis::Columns => (input.channels * input.height, input.width, output.width, 1),
    };
    let place = move |index: usize| {
        let place = i64::from(start).saturating_add(index as i64 * i64::from(step));
        place.clamp(0, size as i64 - 1) as usize
    };
    let runs = (0..blocks).flat_map(move |block| (0..count).map(move |index| (block * size + place(index)) * length));
    runs.flat_map(move |first| first..first + length)
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
