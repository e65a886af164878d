//! How errors inside of the network move the logits: first-order, averaged over samples.
//!
//! For a random vector of signs `v`, the square of the gradient of `v . logits` is in the mean the sum over the logits of
//! the squared derivatives, so one backward pass per sample is enough.

use rayon::prelude::*;

use super::skeleton::{Kind, Skeleton, SkeletonNode};
use crate::floats::weight_derivatives;

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
        let means = cancelled_means(skeleton, samples, corrected);
        let outputs = skeleton.nodes.last().map_or(0, |node| node.shape.elements());
        let share = 1.0 / (samples.len() * outputs).max(1) as f64;
        let mut signs = Signs(0x9E37_79B9_7F4A_7C15);
        let mut total = Self::nothing(skeleton);
        // As many samples at a time as there are threads, added up in their order: the sums are the same with any number.
        for samples in samples.chunks(rayon::current_num_threads()) {
            let signs: Vec<Vec<f64>> = samples.iter().map(|_| (0..outputs).map(|_| signs.next()).collect()).collect();
            let pairs = samples.par_iter().zip(signs);
            let parts: Vec<Self> =
                pairs.map(|(values, signs)| Self::of_sample(skeleton, values, signs, &means)).collect();
            parts.iter().for_each(|part| total.add(share, part));
        }
        total
    }

    fn nothing(skeleton: &Skeleton) -> Self {
        let weights = |node: &SkeletonNode| match &node.kind {
            Kind::Linear(linear) => vec![0.0; linear.shape.output.channels * linear.shape.channels_per_group()],
            _ => vec![],
        };
        Self {
            of_value: skeleton.nodes.iter().map(|node| vec![0.0; node.shape.channels]).collect(),
            of_weights: skeleton.nodes.iter().map(weights).collect(),
        }
    }

    /// The squares of one sample, summed over the logits with these signs.
    fn of_sample(skeleton: &Skeleton, values: &[Vec<f64>], signs: Vec<f64>, means: &[Vec<f64>]) -> Self {
        let gradients = skeleton.gradients(values, signs);
        let mut squares = Self::nothing(skeleton);
        for (id, node) in skeleton.nodes.iter().enumerate() {
            let planes = gradients[id].chunks_exact(node.shape.height * node.shape.width);
            squares.of_value[id] = planes.map(sum_of_squares).collect();
            if let Kind::Linear(linear) = &node.kind {
                let source = node.inputs[0];
                let from = skeleton.nodes[source].shape;
                let planes = values[source].chunks_exact(from.height * from.width).zip(&means[source]);
                let centred: Vec<f64> =
                    planes.flat_map(|(plane, mean)| plane.iter().map(move |value| value - mean)).collect();
                let derivatives = weight_derivatives(&linear.shape, &centred, &gradients[id]);
                let taps = linear.shape.kernel[0] * linear.shape.kernel[1];
                squares.of_weights[id] = derivatives.chunks_exact(taps).map(sum_of_squares).collect();
            }
        }
        squares
    }

    /// Adds `share` times another one.
    fn add(&mut self, share: f64, other: &Self) {
        let lists = self.of_value.iter_mut().chain(&mut self.of_weights);
        for (sums, terms) in lists.zip(other.of_value.iter().chain(&other.of_weights)) {
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += share * term);
        }
    }
}

fn sum_of_squares(numbers: &[f64]) -> f64 {
    numbers.iter().map(|number| number * number).sum()
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
