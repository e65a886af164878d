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
        Step::Slice { axis, start, step, spacing } => {
            let places = slice_places(input, output, *axis, *start, [*step, *spacing]);
            Share(places.map(|place| inputs[0][place]).collect())
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

/// Additions of a local step with so many outputs, beyond a few for each element.
pub(crate) fn terms(step: &Step, outputs: usize) -> usize {
    match step {
        Step::SumPool { kernel: [height, width], .. } => outputs.saturating_mul(height.saturating_mul(*width)),
        Step::Add
        | Step::Subtract
        | Step::Multiply { .. }
        | Step::Concat
        | Step::Slice { .. }
        | Step::ShiftLeft { .. }
        | Step::Reshape
        | Step::Input
        | Step::Linear(_)
        | Step::Offset
        | Step::Square { .. }
        | Step::Truncate { .. }
        | Step::Relu { .. }
        | Step::Maximum { .. }
        | Step::Output { .. }
        | Step::Class { .. } => 0,
    }
}

/// `left - right`, modulo `2^32`.
pub(crate) fn difference(left: &Share, right: &Share) -> Share {
    Share(left.iter().zip(right.iter()).map(|(left, right)| left.wrapping_sub(*right)).collect())
}

/// For each element of a [`Step::Slice`], the element of its input that it takes: every `step`-th channel, row or column
/// from `start` on, brought inside by as few steps of `spacing` as possible where that lies outside. The last argument
/// is `[step, spacing]`.
pub fn slice_places(
    input: Shape,
    output: Shape,
    axis: Axis,
    start: i32,
    [step, spacing]: [u32; 2],
) -> impl Iterator<Item = usize> {
    // The axis splits the elements into blocks of `size` runs of `length` elements each.
    let (blocks, size, count, length) = match axis {
        Axis::Channels => (1, input.channels, output.channels, input.height * input.width),
        Axis::Rows => (input.channels, input.height, output.height, input.width),
        Axis::Columns => (input.channels * input.height, input.width, output.width, 1),
    };
    let place = move |index: usize| {
        let place = i64::from(start).saturating_add(index as i64 * i64::from(step));
        let (last, spacing) = (size as i64 - 1, i64::from(spacing));
        let inside = match place {
            ..0 => place.rem_euclid(spacing),
            place if place > last => last - (last - place).rem_euclid(spacing),
            place => place,
        };
        // Where the axis is shorter than the spacing there may be none.
        inside.clamp(0, last) as usize
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

        #[test]
        fn slices_equal_their_definition(
            channels in 1usize..4, height in 1usize..6, width in 1usize..6, axis in 0usize..3, count in 1usize..6,
            start in -7i32..7, step in 1u32..4, spacing in 1u32..4,
        ) {
            let input = Shape::new(channels, height, width);
            let elements = Share((0..input.elements() as u32).collect());
            let mut sizes = [channels, height, width];
            let size = sizes[axis] as i64;
            sizes[axis] = count;
            let output = Shape::new(sizes[0], sizes[1], sizes[2]);
            let axes = [Axis::Channels, Axis::Rows, Axis::Columns];
            let place = |index: usize| {
                let mut place = i64::from(start) + index as i64 * i64::from(step);
                // Steps that cannot end inside end at the border.
                while place < 0 { place += i64::from(spacing); }
                while place >= size && place >= i64::from(spacing) { place -= i64::from(spacing); }
                place.min(size - 1)
            };
            let mut expected = Vec::new();
            for channel in 0..sizes[0] { for row in 0..sizes[1] { for column in 0..sizes[2] {
                let mut at = [channel, row, column];
                at[axis] = place(at[axis]) as usize;
                expected.push(((at[0] * height + at[1]) * width + at[2]) as u32);
            } } }
            let slice = Step::Slice { axis: axes[axis], start, step, spacing };
            prop_assume!(size >= i64::from(spacing));
            prop_assert_eq!(evaluate(&slice, &[&elements], input, output).unwrap().0.clone(), expected);
        }
    }

    #[test]
    fn elementwise_steps_equal_their_definitions() {
        let (shape, joined) = (Shape::new(2, 1, 2), Shape::new(4, 1, 2));
        let [first, second] = [Share(vec![1, 2, 3, u32::MAX]), Share(vec![10, 0, u32::MAX, 5])];
        let value = |step: Step, output: Shape| evaluate(&step, &[&first, &second], shape, output).unwrap().0.clone();
        assert_eq!(value(Step::Add, shape), [11, 2, 2, 4]);
        assert_eq!(value(Step::Subtract, shape), [9u32.wrapping_neg(), 2, 4, 6u32.wrapping_neg()]);
        assert_eq!(value(Step::Concat, joined), [1, 2, 3, u32::MAX, 10, 0, u32::MAX, 5]);
        let multiply = Step::Multiply { rows: vec![3], columns: vec![1, 2] };
        assert_eq!(value(multiply, shape), [3, 12, 9, 6u32.wrapping_neg()]);
        assert!(evaluate(&Step::Relu { drop: 1, digits: vec![1] }, &[&first], shape, shape).is_none());
    }
}
