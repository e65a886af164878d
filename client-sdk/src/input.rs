//! Input tensors: shape checks and encoding, before anything is sent.

use ndarray::{ArrayD, ArrayViewD, Axis};
use tacit_protocol::plan::{self, Plan};
use tacit_protocol::share::Share;

/// Why an input is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    /// The array has another shape than the network's input.
    #[error("the input has shape {got:?}, the network takes {expected:?}")]
    Shape {
        /// Dimensions of the network's input, without the batch.
        expected: Vec<usize>,
        /// Dimensions given.
        got: Vec<usize>,
    },
    /// A value is NaN or out of range.
    #[error(transparent)]
    Value(#[from] plan::InputError),
}

/// Encodes one input of shape `dimensions` or `[1, dimensions...]` as ring elements.
pub(crate) fn encode(plan: &Plan, input: &ArrayViewD<'_, f32>) -> Result<Share, InputError> {
    let expected = &plan.input.dimensions;
    let matches = input.shape() == expected || (input.shape().first() == Some(&1) && input.shape()[1..] == *expected);
    if !matches {
        return Err(InputError::Shape { expected: expected.clone(), got: input.shape().to_vec() });
    }
    let share = match input.as_slice() {
        Some(elements) => plan.encode_input(elements),
        None => plan.encode_input(&input.iter().copied().collect::<Vec<_>>()),
    };
    Ok(share?)
}

/// Encodes a batch of shape `[n, dimensions...]`. All of it is checked before any is used.
pub(crate) fn encode_batch(plan: &Plan, inputs: &ArrayD<f32>) -> Result<Vec<Share>, InputError> {
    let expected = &plan.input.dimensions;
    if inputs.ndim() != expected.len() + 1 || inputs.shape()[1..] != *expected {
        return Err(InputError::Shape { expected: expected.clone(), got: inputs.shape().to_vec() });
    }
    inputs.axis_iter(Axis(0)).map(|input| encode(plan, &input)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacit_protocol::plan::ExtensionKind;
    use tacit_protocol::plan::{InputSpec, Node, OutputFunction, OutputSpec, Shape, Step};

    fn plan() -> Plan {
        let shape = Shape::new(1, 2, 3);
        let node = |step, inputs: &[usize]| Node { step, inputs: inputs.to_vec(), shape, fraction_bits: 4, bits: 16 };
        Plan {
            input: InputSpec { name: "x".into(), dimensions: vec![1, 2, 3], low: -1.0, high: 1.0 },
            nodes: vec![node(Step::Input, &[]), node(Step::Output { drop: 0 }, &[0])],
            output: OutputSpec {
                name: "y".into(),
                dimensions: vec![6],
                labels: vec![],
                function: OutputFunction::Identity,
            },
            transfers: ExtensionKind::DEFAULT,
        }
    }

    fn array(shape: &[usize], elements: &[f32]) -> ArrayD<f32> {
        ArrayD::from_shape_vec(shape, elements.to_vec()).unwrap()
    }

    #[test]
    fn inputs_become_row_major_ring_elements() {
        let elements = [0.0, 0.25, 0.5, -0.25, -1.0, 1.0];
        let expected = [0, 4, 8, (-4i32) as u32, (-16i32) as u32, 16];
        for shape in [&[1, 2, 3][..], &[1, 1, 2, 3]] {
            assert_eq!(&encode(&plan(), &array(shape, &elements).view()).unwrap()[..], &expected);
        }
        // The same values in another memory order.
        let mut transposed = array(&[3, 2, 1], &[0.0, -0.25, 0.25, -1.0, 0.5, 1.0]).reversed_axes();
        assert_eq!(&encode(&plan(), &transposed.view()).unwrap()[..], &expected);
        transposed[[0, 1, 2]] = f32::NAN;
        let error = encode(&plan(), &transposed.view()).unwrap_err();
        assert!(matches!(error, InputError::Value(plan::InputError::OutOfRange { index: 5, .. })));
    }

    #[test]
    fn wrong_shapes_and_values_are_refused() {
        for shape in [&[6][..], &[2, 3], &[1, 3, 2], &[2, 1, 2, 3], &[1, 1, 1, 2, 3]] {
            let input = ArrayD::zeros(shape);
            assert!(matches!(encode(&plan(), &input.view()), Err(InputError::Shape { .. })), "{shape:?}");
        }
        for value in [f32::NAN, f32::INFINITY, 1.001, -1.001] {
            let input = array(&[1, 2, 3], &[0.0, value, 0.0, 0.0, 0.0, 0.0]);
            assert!(matches!(encode(&plan(), &input.view()), Err(InputError::Value(_))), "{value}");
        }
    }

    #[test]
    fn batches_are_checked_whole() {
        let mut batch = ArrayD::<f32>::zeros(vec![3, 1, 2, 3]);
        assert_eq!(encode_batch(&plan(), &batch).unwrap().len(), 3);
        assert!(encode_batch(&plan(), &ArrayD::zeros(vec![1, 2, 3])).is_err());
        assert!(encode_batch(&plan(), &ArrayD::zeros(Vec::<usize>::new())).is_err());
        assert!(encode_batch(&plan(), &ArrayD::zeros(vec![0, 1, 2, 3])).unwrap().is_empty());
        batch[[2, 0, 1, 2]] = 2.0;
        assert!(encode_batch(&plan(), &batch).is_err());
    }
}
