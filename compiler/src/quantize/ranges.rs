//! How large the channels of every node get.

use super::skeleton::{Kind, Skeleton, SkeletonNode, factors};
use crate::graph::Bias;
use tacit_engine::runs::for_each_run;

/// Channels much smaller than the largest of their node are taken as this part of it: filling the bits with a channel
/// that was nearly silent in the samples would make it overflow on other inputs.
const SMALLEST_PART: f64 = 1.0 / 64.0;

/// The least part of its terms that the range of a sum is taken as.
const CANCELLED_PART: f64 = 1.0 / 4096.0;

/// Largest absolute values.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    /// Per node and channel, always positive and finite.
    pub of_channel: Vec<Vec<f64>>,
}

impl Ranges {
    /// Ranges seen with samples: for each node the largest absolute value per channel.
    pub fn from_values<'a>(skeleton: &Skeleton, samples: impl Iterator<Item = &'a Vec<Vec<f64>>>) -> Option<Self> {
        let mut largest: Vec<Vec<f64>> = skeleton.nodes.iter().map(|node| vec![0.0; node.shape.channels]).collect();
        for values in samples {
            for ((largest, values), node) in largest.iter_mut().zip(values).zip(&skeleton.nodes) {
                let planes = values.chunks_exact(node.shape.height * node.shape.width);
                for (largest, plane) in largest.iter_mut().zip(planes) {
                    // `max` would drop a value that is not a number.
                    *largest =
                        plane.iter().fold(*largest, |most, value| if value.abs() <= most { most } else { value.abs() });
                }
            }
        }
        Self::levelled(skeleton, largest)
    }

    /// Ranges that no input from `low` to `high` exceeds, by interval arithmetic.
    pub fn from_intervals(skeleton: &Skeleton, low: f64, high: f64) -> Option<Self> {
        let mut intervals: Vec<Vec<(f64, f64)>> = Vec::with_capacity(skeleton.nodes.len());
        for node in &skeleton.nodes {
            let source = |slot: usize| &intervals[node.inputs[slot]];
            let value = match &node.kind {
                Kind::Input => vec![(low, high); node.shape.elements()],
                Kind::Linear(linear) => {
                    let area = node.shape.height * node.shape.width;
                    let bias = |index: usize| match &linear.bias {
                        Bias::PerChannel(bias) => bias[index / area],
                        Bias::PerElement(bias) => bias[index],
                    };
                    let mut output: Vec<(f64, f64)> = (0..node.shape.elements()).map(|i| (bias(i), bias(i))).collect();
                    for_each_run(&linear.shape, |run| {
                        let weight = linear.weights[run.weight];
                        run.pairs().for_each(|(to, from)| {
                            let (a, b) = (weight * source(0)[from].0, weight * source(0)[from].1);
                            output[to].0 += a.min(b);
                            output[to].1 += a.max(b);
                        });
                    });
                    output
                }
                Kind::Square => {
                    let square = |(low, high): &(f64, f64)| {
                        let most = (low * low).max(high * high);
                        (if *low <= 0.0 && *high >= 0.0 { 0.0 } else { (low * low).min(high * high) }, most)
                    };
                    source(0).iter().map(square).collect()
                }
                Kind::SumPool(shape) => {
                    let mut output = vec![(0.0, 0.0); node.shape.elements()];
                    for_each_run(shape, |run| {
                        run.pairs().for_each(|(to, from)| {
                            output[to].0 += source(0)[from].0;
                            output[to].1 += source(0)[from].1;
                        });
                    });
                    output
                }
                Kind::Add => source(0).iter().zip(source(1)).map(|(x, y)| (x.0 + y.0, x.1 + y.1)).collect(),
                Kind::Relu => source(0).iter().map(|(low, high)| (low.max(0.0), high.max(0.0))).collect(),
                Kind::Maximum => source(0).iter().zip(source(1)).map(|(x, y)| (x.0.max(y.0), x.1.max(y.1))).collect(),
                Kind::Subtract => source(0).iter().zip(source(1)).map(|(x, y)| (x.0 - y.1, x.1 - y.0)).collect(),
                Kind::Offset(constants) => {
                    source(0).iter().zip(constants).map(|((low, high), c)| (low + c, high + c)).collect()
                }
                Kind::Multiply { rows, columns } => {
                    let scaled = |((low, high), factor): (&(f64, f64), f64)| (low * factor, high * factor);
                    source(0).iter().zip(factors(rows, columns).cycle()).map(scaled).collect()
                }
                Kind::Concat => node.inputs.iter().flat_map(|input| intervals[*input].iter().copied()).collect(),
                Kind::Slice { .. } => skeleton.places(node).iter().map(|place| source(0)[*place]).collect(),
                Kind::Truncate | Kind::Shift | Kind::Reshape | Kind::Output => source(0).clone(),
            };
            intervals.push(value);
        }
        let largest = intervals.iter().zip(&skeleton.nodes).map(|(values, node)| {
            let planes = values.chunks_exact(node.shape.height * node.shape.width);
            planes
                .map(|plane| plane.iter().fold(0.0f64, |most, (low, high)| most.max(low.abs()).max(high.abs())))
                .collect()
        });
        Self::levelled(skeleton, largest.collect())
    }

    /// The larger of several ranges.
    pub fn join(all: Vec<Self>) -> Option<Self> {
        all.into_iter().reduce(|mut joined, other| {
            for (joined, other) in joined.of_channel.iter_mut().zip(&other.of_channel) {
                joined.iter_mut().zip(other).for_each(|(joined, other)| *joined = joined.max(*other));
            }
            joined
        })
    }

    /// Lifts small channels; `None` if a range is not finite.
    fn levelled(skeleton: &Skeleton, mut of_channel: Vec<Vec<f64>>) -> Option<Self> {
        for (id, node) in skeleton.nodes.iter().enumerate() {
            lift_cancelled(node, id, &mut of_channel);
            let channels = &mut of_channel[id];
            if channels.iter().any(|range| !range.is_finite()) {
                return None;
            }
            let largest = channels.iter().fold(0.0f64, |most, range| most.max(*range));
            let least = if largest > f64::MIN_POSITIVE { largest * SMALLEST_PART } else { 1.0 };
            channels.iter_mut().for_each(|range| *range = range.max(least));
        }
        Some(Self { of_channel })
    }
}

/// A sum or difference whose terms cancel out leaves what the terms' own errors add up to, not nothing.
fn lift_cancelled(node: &SkeletonNode, id: usize, of_channel: &mut [Vec<f64>]) {
    if let Kind::Add | Kind::Subtract = node.kind {
        let mut own = std::mem::take(&mut of_channel[id]);
        for (channel, range) in own.iter_mut().enumerate() {
            let terms = node.inputs.iter().map(|input| of_channel[*input][channel]);
            *range = range.max(CANCELLED_PART * terms.fold(0.0, f64::max));
        }
        of_channel[id] = own;
    }
}
