//! What a network answers, and the functions that the client applies to it.

use ndarray::{ArrayD, IxDyn};
use tacit_protocol::plan::OutputFunction;

/// What the server revealed, which depends on how the model is served.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The logits, in the shape of the network's output tensor without the batch dimension.
    Logits(ArrayD<f32>),
    /// The index of the largest logit, in row-major order and the first of equals; nothing else was revealed.
    Class(usize),
}

impl Answer {
    /// Index of the largest logit, in row-major order; the first of equals.
    pub fn class(&self) -> usize {
        match self {
            Self::Logits(logits) => ranking(logits).first().copied().unwrap_or(0),
            Self::Class(class) => *class,
        }
    }

    /// The logits, unless only the class was revealed.
    pub fn logits(&self) -> Option<&ArrayD<f32>> {
        match self {
            Self::Logits(logits) => Some(logits),
            Self::Class(_) => None,
        }
    }

    /// Classes from the highest logit to the lowest; only the highest where nothing else was revealed.
    pub fn ranking(&self) -> Vec<usize> {
        match self {
            Self::Logits(logits) => ranking(logits),
            Self::Class(class) => vec![*class],
        }
    }

    /// Applies a function to the logits. The index of the largest is an array of that one number.
    pub(crate) fn apply(&self, function: OutputFunction) -> ArrayD<f32> {
        match (self, function) {
            (Self::Logits(logits), OutputFunction::Identity) => logits.clone(),
            (Self::Logits(logits), OutputFunction::Softmax) => log_softmax(logits).mapv(|value| value.exp() as f32),
            (Self::Logits(logits), OutputFunction::LogSoftmax) => log_softmax(logits).mapv(|value| value as f32),
            (Self::Logits(logits), OutputFunction::Sigmoid) => logits.mapv(sigmoid),
            (Self::Logits(_), OutputFunction::ArgMax) | (Self::Class(_), _) => {
                ArrayD::from_elem(IxDyn(&[1]), self.class() as f32)
            }
        }
    }
}

/// The name of a function as ONNX has it, or nothing for the identity.
pub(crate) fn name(function: OutputFunction) -> Option<&'static str> {
    match function {
        OutputFunction::Identity => None,
        OutputFunction::Softmax => Some("Softmax"),
        OutputFunction::LogSoftmax => Some("LogSoftmax"),
        OutputFunction::Sigmoid => Some("Sigmoid"),
        OutputFunction::ArgMax => Some("ArgMax"),
    }
}

fn ranking(logits: &ArrayD<f32>) -> Vec<usize> {
    let logits: Vec<f32> = logits.iter().copied().collect();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    order
}

/// `x_i - log sum exp(x_j)` over all elements. The largest is taken off first, so that no exponential overflows.
fn log_softmax(logits: &ArrayD<f32>) -> ArrayD<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = logits.mapv(|logit| f64::from(logit) - f64::from(largest));
    let sum: f64 = shifted.iter().map(|value| value.exp()).sum();
    shifted.mapv(|value| value - sum.ln())
}

/// `1 / (1 + exp(-x))`, without an exponential of a positive number.
fn sigmoid(logit: f32) -> f32 {
    let small = (-f64::from(logit).abs()).exp();
    let value = if logit < 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) };
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(values: &[f32]) -> Answer {
        Answer::Logits(ArrayD::from_shape_vec(vec![values.len()], values.to_vec()).unwrap())
    }

    fn assert_close(answer: &Answer, function: OutputFunction, expected: &[f32]) {
        let outputs = answer.apply(function);
        assert_eq!(outputs.len(), expected.len());
        for (output, expected) in outputs.iter().zip(expected) {
            assert!((output - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{output} is not {expected}");
        }
    }

    #[test]
    fn the_first_of_the_largest_wins() {
        assert_eq!(logits(&[1.0, 3.0, -2.0, 3.0]).ranking(), [1, 3, 0, 2]);
        assert_eq!(logits(&[1.0, 3.0, -2.0, 3.0]).class(), 1);
        assert_eq!((Answer::Class(7).class(), Answer::Class(7).ranking()), (7, vec![7]));
        assert_eq!(Answer::Class(7).logits(), None);
    }

    #[test]
    fn functions_are_those_of_plain_inference() {
        let answer = logits(&[1.0, 2.0, -1.0]);
        assert_close(&answer, OutputFunction::Identity, &[1.0, 2.0, -1.0]);
        assert_close(&answer, OutputFunction::Softmax, &[0.259_496_46, 0.705_384_5, 0.035_119_03]);
        assert_close(&answer, OutputFunction::LogSoftmax, &[-1.349_012_2, -0.349_012_2, -3.349_012_2]);
        assert_close(&answer, OutputFunction::Sigmoid, &[0.731_058_6, 0.880_797_1, 0.268_941_4]);
        assert_close(&answer, OutputFunction::ArgMax, &[1.0]);
        assert_close(&Answer::Class(4), OutputFunction::ArgMax, &[4.0]);
    }

    #[test]
    fn large_values_stay_numbers() {
        let answer = logits(&[3e38, -3e38, 3e38]);
        assert_close(&answer, OutputFunction::Softmax, &[0.5, 0.0, 0.5]);
        assert_close(&answer, OutputFunction::Sigmoid, &[1.0, 0.0, 1.0]);
        let equal = -std::f32::consts::LN_2;
        let outputs = answer.apply(OutputFunction::LogSoftmax);
        assert!((outputs[0] - equal).abs() < 1e-6 && (outputs[2] - equal).abs() < 1e-6, "{outputs}");
        // Beyond the range of float32: what plain inference gives there too.
        assert_eq!(outputs[1], f32::NEG_INFINITY);

        let answer = logits(&[1000.0, 0.0, 999.0]);
        assert_close(&answer, OutputFunction::Softmax, &[0.731_058_6, 0.0, 0.268_941_4]);
        assert_close(&answer, OutputFunction::LogSoftmax, &[-0.313_261_7, -1_000.313_26, -1.313_261_7]);
        assert_close(&logits(&[-1000.0, 88.0, 0.0]), OutputFunction::Sigmoid, &[0.0, 1.0, 0.5]);
        assert_close(&logits(&[5.0]), OutputFunction::Softmax, &[1.0]);
    }

    #[test]
    fn outputs_keep_their_shape() {
        let answer = Answer::Logits(ArrayD::zeros(vec![2, 2]));
        let outputs = answer.apply(OutputFunction::Softmax);
        assert_eq!(outputs, ArrayD::from_elem(vec![2, 2], 0.25));
    }
}
