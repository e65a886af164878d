//! The answer to one input.

use ndarray::ArrayD;
use tacit_protocol::plan::Plan;

use crate::error::ClientError;
use crate::statistics::PhaseStatistics;

/// Logits, class, and what they cost.
#[derive(Clone, Debug)]
pub struct Inference {
    /// The network's output, in the shape of its output tensor without the batch dimension.
    pub logits: ArrayD<f32>,
    /// Index of the largest logit, in row-major order; the first of equals.
    pub class: usize,
    /// Label of the class, if the model has labels.
    pub label: Option<String>,
    /// Cost of the online phase.
    pub online: PhaseStatistics,
}

impl Inference {
    /// Shapes the logits of a validated plan.
    pub(crate) fn new(plan: &Plan, ring: &[u32], online: PhaseStatistics) -> Result<Self, ClientError> {
        let values = plan.decode_output(ring);
        let class = ranking(&values).first().copied().ok_or(ClientError::Aborted)?;
        let label = plan.output.labels.get(class).cloned();
        let logits = ArrayD::from_shape_vec(plan.output.dimensions.as_slice(), values);
        Ok(Self { logits: logits.map_err(|_| ClientError::Aborted)?, class, label, online })
    }

    /// Classes from the highest logit to the lowest.
    pub fn ranking(&self) -> Vec<usize> {
        ranking(&self.logits.iter().copied().collect::<Vec<_>>())
    }
}

fn ranking(logits: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_wins() {
        assert_eq!(ranking(&[1.0, 3.0, -2.0, 3.0]), [1, 3, 0, 2]);
        assert!(ranking(&[]).is_empty());
    }
}
