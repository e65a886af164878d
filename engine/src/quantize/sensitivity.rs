//! How errors inside of the network move the logits: first-order, averaged over samples.
//!
//! For a random vector of signs `v`, the square of the gradient of `v . logits` is in the mean the sum over the logits of
//! the squared derivatives, so one backward pass per sample is enough.

use super::skeleton::{Kind, Skeleton};
use crate::runs::for_each_run;

/// Samples that weigh as much as the assumption that nothing is known of a mean.
const DOUBT: f64 = 8.0;

/// Expected squares of derivatives, per logit.
#[derive(Clone, Debug)]
pub(crate) struct Sensitivity {
    /// Per node and channel: the sum over the channel's elements of the squared derivative by the element's value.
    pub of_value: Vec<Vec<f64>>,
    /// Per linear node, output channel and input channel of its group: the sum over the kernel's taps of the squared
    /// derivative by the weight, for inputs with their mean (which a corrected bias cancels) taken out. Empty for others.
    pub of_weights: Vec<Vec<f64>>,
}

impl Sensitivity {
    /// From the values of all nodes for each sample. `corrected` says whether biases will be corrected on these samples.
    pub fn new(skeleton: &Skeleton, samples: &[Vec<Vec<f64>>], corrected: bool) -> Self {
        let nodes = &skeleton.nodes;
        let mut of_value: Vec<Vec<f64>> = nodes.iter().map(|node| vec![0.0; node.shape.channels]).collect();
        let mut of_weights: Vec<Vec<f64>> = nodes
            .iter()
            .map(|node| match &node.kind {
                Kind::Linear(linear) => vec![0.0; linear.shape.output.channels * linear.shape.channels_per_group()],
                _ => vec![],
            })
            .collect();
        let means = cancelled_means(skeleton, samples, corrected);
        let outputs = nodes.last().map_or(0, |node| node.shape.elements());
        let share = 1.0 / (samples.len() * outputs).max(1) as f64;
        let mut signs = Signs(0x9E37_79B9_7F4A_7C15);
        for values in samples {
            let gradients = skeleton.gradients(values, (0..outputs).map(|_| signs.next()).collect());
            for (id, node) in nodes.iter().enumerate() {
                let planes = gradients[id].chunks_exact(node.shape.height * node.shape.width);
                for (sum, plane) in of_value[id].iter_mut().zip(planes) {
                    *sum += share * plane.iter().map(|gradient| gradient * gradient).sum::<f64>();
                }
                if let Kind::Linear(linear) = &node.kind {
                    let source = node.inputs[0];
                    let from = nodes[source].shape;
                    let area = from.height * from.width;
                    let taps = linear.shape.kernel[0] * linear.shape.kernel[1];
                    let mut derivatives = vec![0.0; linear.weights.len()];
                    for_each_run(&linear.shape, |run| {
                        let mean = means[source][run.input / area];
                        let terms = run.pairs().map(|(to, from)| gradients[id][to] * (values[source][from] - mean));
                        derivatives[run.weight] += terms.sum::<f64>();
                    });
                    for (sum, kernel) in of_weights[id].iter_mut().zip(derivatives.chunks_exact(taps)) {
                        *sum += share * kernel.iter().map(|derivative| derivative * derivative).sum::<f64>();
                    }
                }
            }
        }
        Self { of_value, of_weights }
    }
}

/// The part of each channel's mean whose effect a corrected bias cancels on other inputs too: less with few samples, which
/// know the mean badly, and nothing without correction.
fn cancelled_means(skeleton: &Skeleton, samples: &[Vec<Vec<f64>>], corrected: bool) -> Vec<Vec<f64>> {
    let count = samples.len() as f64;
    let known = if corrected { count / (count + DOUBT) } else { 0.0 };
    let nodes = skeleton.nodes.iter().enumerate();
    nodes
        .map(|(id, node)| {
            let area = node.shape.height * node.shape.width;
            let sum = |channel: usize| {
                let planes = samples.iter().map(|values| &values[id][channel * area..][..area]);
                planes.map(|plane| plane.iter().sum::<f64>()).sum::<f64>()
            };
            (0..node.shape.channels)
                .map(|channel| known * sum(channel) / (area * samples.len()).max(1) as f64)
                .collect()
        })
        .collect()
}

/// Deterministic signs (xorshift): the same network always gives the same plan.
struct Signs(u64);

impl Signs {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if self.0 >> 63 == 0 { 1.0 } else { -1.0 }
    }
}
