//! Derivatives of the outputs by the values of all nodes.

use super::{Kind, Skeleton, factors};
use crate::floats::{pull_back_linear, pull_back_sum_pool};

impl Skeleton {
    /// The gradients of a weighted sum of the outputs with respect to every node's value.
    pub fn gradients(&self, values: &[Vec<f64>], output: Vec<f64>) -> Vec<Vec<f64>> {
        let mut gradients: Vec<Vec<f64>> = self.nodes.iter().map(|node| vec![0.0; node.shape.elements()]).collect();
        if let Some(last) = gradients.last_mut() {
            *last = output;
        }
        for index in (1..self.nodes.len()).rev() {
            let own = std::mem::take(&mut gradients[index]);
            self.pull_back(index, values, &own, &mut gradients);
            gradients[index] = own;
        }
        gradients
    }

    /// Adds what a node's gradient means for those of its inputs.
    fn pull_back(&self, index: usize, values: &[Vec<f64>], own: &[f64], gradients: &mut [Vec<f64>]) {
        let node = &self.nodes[index];
        let first = node.inputs[0];
        let into = &mut gradients[first];
        match &node.kind {
            Kind::Input => {}
            Kind::Linear(linear) => pull_back_linear(&linear.shape, &linear.weights, own, into),
            Kind::Square => {
                let terms = into.iter_mut().zip(own).zip(&values[first]);
                terms.for_each(|((into, own), x)| *into += 2.0 * x * own);
            }
            Kind::Relu => {
                let terms = into.iter_mut().zip(own).zip(&values[first]);
                terms.filter(|(_, x)| **x > 0.0).for_each(|((into, own), _)| *into += own);
            }
            Kind::Maximum => {
                for (element, own) in own.iter().enumerate() {
                    let winner = usize::from(values[node.inputs[1]][element] > values[first][element]);
                    gradients[node.inputs[winner]][element] += own;
                }
            }
            Kind::SumPool(shape) => pull_back_sum_pool(shape, own, into),
            Kind::Add | Kind::Subtract => {
                for (input, sign) in node.inputs.iter().zip([1.0, if let Kind::Add = node.kind { 1.0 } else { -1.0 }]) {
                    gradients[*input].iter_mut().zip(own).for_each(|(into, own)| *into += sign * own);
                }
            }
            Kind::Multiply { rows, columns } => {
                let terms = into.iter_mut().zip(own).zip(factors(rows, columns).cycle());
                terms.for_each(|((into, own), factor)| *into += own * factor);
            }
            Kind::Concat => {
                let mut rest = own;
                for input in &node.inputs {
                    let (own, behind) = rest.split_at(gradients[*input].len());
                    gradients[*input].iter_mut().zip(own).for_each(|(into, own)| *into += own);
                    rest = behind;
                }
            }
            Kind::Slice { .. } => {
                self.places(node).iter().zip(own).for_each(|(place, own)| into[*place] += own);
            }
            Kind::Truncate | Kind::Shift | Kind::Offset(_) | Kind::Reshape | Kind::Output => {
                into.iter_mut().zip(own).for_each(|(into, own)| *into += own);
            }
        }
    }
}
