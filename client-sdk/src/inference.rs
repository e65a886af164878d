//! The answer to one input.

use ndarray::ArrayD;
use tacit_protocol::plan::{OutputFunction, Plan, Step};

use crate::answer::{self, Answer};
use crate::error::ClientError;
use crate::statistics::PhaseStatistics;

/// An answer and what it cost.
#[derive(Clone, Debug)]
pub struct Inference {
    /// What the server revealed: logits, or a class only.
    pub answer: Answer,
    /// Label of the class, if the model has labels.
    pub label: Option<String>,
    /// What the network does last to the logits.
    pub function: OutputFunction,
    /// Cost of the online phase.
    pub online: PhaseStatistics,
}

impl Inference {
    /// Makes numbers of what a validated plan reveals on the ring.
    pub(crate) fn new(plan: &Plan, ring: &[u32], online: PhaseStatistics) -> Result<Self, ClientError> {
        let answer = if reveals_class_only(plan) {
            Answer::Class(plan.decode_class(ring).ok_or(ClientError::NoSuchClass)?)
        } else {
            let logits = ArrayD::from_shape_vec(plan.output.dimensions.as_slice(), plan.decode_output(ring));
            Answer::Logits(logits.map_err(|_| ClientError::Aborted)?)
        };
        let label = plan.output.labels.get(answer.class()).cloned();
        Ok(Self { answer, label, function: plan.output.function, online })
    }

    /// Index of the largest logit, in row-major order; the first of equals.
    pub fn class(&self) -> usize {
        self.answer.class()
    }

    /// The network's logits, before the function at its end; `None` if the model reveals classes only.
    pub fn logits(&self) -> Option<&ArrayD<f32>> {
        self.answer.logits()
    }

    /// What plain inference gives: the logits with the function at the network's end applied, here and not by the server.
    /// Of a network that ends in `ArgMax`, or that reveals classes only, the class, as an array of one number.
    pub fn outputs(&self) -> ArrayD<f32> {
        self.answer.apply(self.function)
    }

    /// ONNX name of the function that [`Inference::outputs`] applies, if there is one.
    pub fn function_name(&self) -> Option<&'static str> {
        answer::name(self.function)
    }

    /// Classes from the highest logit to the lowest; only the highest where nothing else was revealed.
    pub fn ranking(&self) -> Vec<usize> {
        self.answer.ranking()
    }
}

/// Whether a plan reveals classes, and no logits.
pub(crate) fn reveals_class_only(plan: &Plan) -> bool {
    plan.nodes.last().is_some_and(|node| matches!(node.step, Step::Class { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacit_protocol::plan::ExtensionKind;
    use tacit_protocol::plan::{InputSpec, Node, OutputSpec, Shape};

    fn plan(last: Step, shape: Shape, function: OutputFunction) -> Plan {
        let node = |step, shape| Node { step, inputs: vec![], shape, fraction_bits: 4, bits: 16 };
        Plan {
            input: InputSpec { name: "x".into(), dimensions: vec![3], low: 0.0, high: 1.0 },
            nodes: vec![node(Step::Input, Shape::vector(3)), node(last, shape)],
            output: OutputSpec {
                name: "y".into(),
                dimensions: vec![3],
                labels: ["cat", "dog", "owl"].map(String::from).to_vec(),
                function,
            },
            transfers: ExtensionKind::DEFAULT,
        }
    }

    #[test]
    fn logits_are_decoded_and_the_function_applied() {
        let plan = plan(Step::Output { drop: 0 }, Shape::vector(3), OutputFunction::Softmax);
        let inference = Inference::new(&plan, &[16, 32, (-16i32) as u32], PhaseStatistics::default()).unwrap();
        assert_eq!((inference.class(), inference.label.as_deref()), (1, Some("dog")));
        assert_eq!(inference.logits().unwrap().as_slice().unwrap(), [1.0, 2.0, -1.0]);
        assert!((inference.outputs().sum() - 1.0).abs() < 1e-6);
        assert_eq!(inference.function_name(), Some("Softmax"));
        assert_eq!(inference.ranking(), [1, 0, 2]);
    }

    #[test]
    fn a_class_has_no_logits() {
        let plan = plan(Step::Class { bits: 2 }, Shape::vector(1), OutputFunction::ArgMax);
        let infer = |code: u32| Inference::new(&plan, &[code], PhaseStatistics::default());
        for (code, class, label) in [(2, 0, "cat"), (1, 1, "dog"), (0, 2, "owl")] {
            let inference = infer(code).unwrap();
            assert_eq!(inference.answer, Answer::Class(class));
            assert_eq!((inference.class(), inference.label.as_deref()), (class, Some(label)));
            assert_eq!(inference.logits(), None);
            assert_eq!(inference.outputs().as_slice().unwrap(), [class as f32]);
        }
        let error = infer(3).unwrap_err();
        assert!(matches!(error, ClientError::NoSuchClass) && !error.is_transient(), "{error}");
    }
}
