//! `a x^2 + b x + c = a (x + b/2a)^2 + (c - b^2/4a)`: a polynomial activation becomes a bare square between two affine
//! layers, which the rules for those move into the linear layers around it.
//!
//! Where `a` is zero or so small that the shift `b/2a` would swamp `x`, the channel is split in two:
//! `a x^2 + b x + c = p (x + h)^2 + q (x - h)^2 + (c - a h^2)` with `p + q = a` and `2 h (p - q) = b`, exact for every
//! `a` and `h`; pointwise layers that make and join the two squares are composed with their neighbours.

use super::error::MergeError;
use super::rewrite::{bare_square, insert_before, insert_behind, is_bare_square, layers_where};
use crate::graph::{Bias, FloatLinear, Graph, Layer, LayerId, Operator};
use tacit_protocol::plan::{LinearShape, Padding, Shape};

/// Largest shift `|b/2a|` that is put into a single square. Activations behind a normalisation are a few units large;
/// a much larger shift costs bits of `x`.
const MAX_SHIFT: f64 = 16.0;

/// Rewrites one activation.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    let general = |operator: &Operator| matches!(operator, Operator::Quadratic { .. }) && !is_bare_square(operator);
    let Some(id) = layers_where(graph, general).first().copied() else { return Ok(None) };
    let name = graph.layers[id].name.clone();
    let Operator::Quadratic { square, linear, constant } = graph.layers[id].operator.clone() else { return Ok(None) };
    let channels: Vec<Coefficients> = square
        .iter()
        .zip(&linear)
        .zip(&constant)
        .map(|((square, linear), constant)| Coefficients { square: *square, linear: *linear, constant: *constant })
        .collect();
    if square.iter().all(|square| *square == 0.0) {
        graph.layers[id].operator = Operator::Affine { scale: linear, shift: constant };
    } else if channels.iter().any(Coefficients::needs_two_squares) {
        two_squares(graph, id, &channels);
    } else {
        one_square(graph, id, &channels);
    }
    Ok(Some(name))
}

/// `square x^2 + linear x + constant` of one channel.
struct Coefficients {
    square: f64,
    linear: f64,
    constant: f64,
}

impl Coefficients {
    fn needs_two_squares(&self) -> bool {
        self.linear.abs() > 2.0 * MAX_SHIFT * self.square.abs()
    }

    /// The shift inside of the square, 0 for a constant channel.
    fn shift(&self) -> f64 {
        if self.square == 0.0 { 0.0 } else { self.linear / (2.0 * self.square) }
    }

    /// The constant behind the square.
    fn rest(&self) -> f64 {
        self.constant - self.square * self.shift() * self.shift()
    }
}

fn one_square(graph: &mut Graph, id: LayerId, channels: &[Coefficients]) {
    let Layer { name, shape, .. } = graph.layers[id].clone();
    let affine = |scale: Vec<f64>, shift: Vec<f64>| Layer {
        name: name.clone(),
        operator: Operator::Affine { scale, shift },
        inputs: vec![],
        shape,
    };
    let collect = |value: fn(&Coefficients) -> f64| channels.iter().map(value).collect::<Vec<f64>>();
    let before = affine(vec![1.0; channels.len()], collect(Coefficients::shift));
    let behind = affine(collect(|channel| channel.square), collect(Coefficients::rest));
    graph.layers[id] = Layer { operator: bare_square(channels.len()), ..graph.layers[id].clone() };
    insert_behind(graph, id, behind);
    insert_before(graph, id, 0, before);
}

/// The square becomes wider by one channel for each split channel.
fn two_squares(graph: &mut Graph, id: LayerId, channels: &[Coefficients]) {
    let Layer { name, shape, .. } = graph.layers[id].clone();
    let split: Vec<usize> = (0..channels.len()).filter(|channel| channels[*channel].needs_two_squares()).collect();
    let wide = Shape::new(channels.len() + split.len(), shape.height, shape.width);
    let mut expand = pointwise(shape, wide);
    let mut join = pointwise(wide, shape);
    for (index, channel) in channels.iter().enumerate() {
        expand.weights[index * channels.len() + index] = 1.0;
        set_bias(&mut expand, index, if channel.needs_two_squares() { 1.0 } else { channel.shift() });
        let (factor, rest) = if channel.needs_two_squares() {
            ((channel.square + channel.linear / 2.0) / 2.0, channel.constant - channel.square)
        } else {
            (channel.square, channel.rest())
        };
        join.weights[index * wide.channels + index] = factor;
        set_bias(&mut join, index, rest);
    }
    for (position, source) in split.iter().enumerate() {
        let index = channels.len() + position;
        expand.weights[index * channels.len() + source] = 1.0;
        set_bias(&mut expand, index, -1.0);
        let channel = &channels[*source];
        join.weights[source * wide.channels + index] = (channel.square - channel.linear / 2.0) / 2.0;
    }
    graph.layers[id].operator = bare_square(wide.channels);
    graph.layers[id].shape = wide;
    let layer = |linear: FloatLinear| Layer {
        name: name.clone(),
        shape: linear.shape.output,
        operator: Operator::Linear(linear),
        inputs: vec![],
    };
    insert_behind(graph, id, layer(join));
    insert_before(graph, id, 0, layer(expand));
}

fn set_bias(linear: &mut FloatLinear, channel: usize, value: f64) {
    if let Bias::PerChannel(bias) = &mut linear.bias {
        bias[channel] = value;
    }
}

/// A 1x1 convolution of zeros.
fn pointwise(input: Shape, output: Shape) -> FloatLinear {
    FloatLinear {
        shape: LinearShape {
            input,
            output,
            groups: 1,
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
        },
        weights: vec![0.0; input.channels * output.channels],
        bias: Bias::PerChannel(vec![0.0; output.channels]),
    }
}
