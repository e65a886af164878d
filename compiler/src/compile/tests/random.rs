//! Random networks of all operators: compiled, compared with floats, and run privately.

use tacit_protocol::plan::Padding;

use super::private::assert_private;
use super::*;
use crate::graph::LayerId;
use crate::test_support::Numbers;

/// Adds random layers to a network.
struct Generator {
    builder: Builder,
    choices: Numbers,
}

impl Generator {
    fn below(&mut self, count: usize) -> usize {
        (self.choices.integer() >> 20) as usize % count
    }

    fn padding(&mut self, most: usize) -> Padding {
        let [top, left, bottom, right] = [0; 4].map(|_: usize| self.below(most + 1));
        Padding { top, left, bottom, right }
    }

    fn convolution(&mut self) {
        let input = self.builder.shape(self.builder.last());
        let kernel = [1 + self.below(3), 1 + self.below(3)];
        let padding = self.padding(1);
        let stride = [1 + self.below(2), 1 + self.below(2)];
        let (rows, columns) = (input.height + padding.top + padding.bottom, input.width + padding.left + padding.right);
        if rows < kernel[0] || columns < kernel[1] {
            return;
        }
        let groups = if input.channels.is_multiple_of(2) && self.below(3) == 0 { 2 } else { 1 };
        let channels = groups * (1 + self.below(3));
        let output = Shape::new(channels, (rows - kernel[0]) / stride[0] + 1, (columns - kernel[1]) / stride[1] + 1);
        self.builder.linear(LinearShape { input, output, groups, kernel, stride, padding, dilation: [1, 1] });
    }

    fn max_pool(&mut self) {
        let shape = self.builder.shape(self.builder.last());
        let kernel = 2 + self.below(2);
        let padding = self.below(2);
        if shape.height.min(shape.width) + padding >= kernel {
            let stride = 1 + self.below(3);
            self.builder.max_pool(kernel, stride, padding);
        }
    }

    fn average_pool(&mut self) {
        let shape = self.builder.shape(self.builder.last());
        let include = self.below(2) == 0;
        if shape.height.min(shape.width) >= 3 {
            self.builder.average_pool(3, 2, 1, include);
        }
    }

    fn affine(&mut self) {
        let channels = self.builder.shape(self.builder.last()).channels;
        let scale = (0..channels).map(|_| 0.5 + self.choices.real().abs()).collect();
        let shift = (0..channels).map(|_| self.choices.real() / 4.0).collect();
        self.builder.same(Operator::Affine { scale, shift });
    }

    /// An earlier layer with the same image.
    fn partner(&mut self, same_channels: bool) -> Option<LayerId> {
        let last = self.builder.last();
        let shape = self.builder.shape(last);
        let fits = |layer: &LayerId| {
            let other = self.builder.shape(*layer);
            (other.height, other.width) == (shape.height, shape.width)
                && (!same_channels || other.channels == shape.channels)
        };
        let candidates: Vec<LayerId> = (0..last).filter(fits).collect();
        (!candidates.is_empty()).then(|| candidates[self.below(candidates.len())])
    }

    fn join(&mut self, operator: Operator) {
        let last = self.builder.last();
        let shape = self.builder.shape(last);
        if let Some(partner) = self.partner(operator != Operator::Concat) {
            let mut channels = shape.channels;
            if operator == Operator::Concat {
                channels += self.builder.shape(partner).channels;
            }
            self.builder.add(operator, &[last, partner], Shape { channels, ..shape });
        }
    }

    fn slice(&mut self) {
        let last = self.builder.last();
        let shape = self.builder.shape(last);
        let channels = 1 + self.below(shape.channels);
        let start = self.below(shape.channels - channels + 1);
        self.builder.add(Operator::Slice { start }, &[last], Shape { channels, ..shape });
    }

    fn layer(&mut self) {
        match self.below(14) {
            0..=3 => self.convolution(),
            4..=6 => _ = self.builder.same(Operator::Relu),
            7 => self.max_pool(),
            8 => self.average_pool(),
            9 => self.affine(),
            10 => self.join(Operator::Add),
            11 => self.join(Operator::Subtract),
            12 => self.join(Operator::Concat),
            _ => self.slice(),
        }
    }
}

fn random_network(seed: u64) -> Graph {
    let mut generator = Generator { builder: Builder::new(2, 7, 6, seed), choices: Numbers(seed + 1) };
    // Otherwise a ReLU of the inputs, which are not negative, would change nothing and differences would vanish.
    generator.builder.convolution(3, 3, 1);
    for _ in 0..6 + seed % 7 {
        generator.layer();
    }
    generator.builder.flatten();
    generator.builder.fully_connected(4);
    generator.builder.finish()
}

/// The largest error of a logit in proportion to the logits, or to the values that they are made of where those cancel.
fn proportion(compiled: &CompiledModel, graph: &Graph) -> f64 {
    let mut worst = 0.0f64;
    for image in images(graph.layers[0].shape, 8, 2) {
        let layers = graph.evaluate_layers(&image.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>());
        let largest = |values: &[f64]| values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let before = graph.layers[graph.output].inputs[0];
        let size = largest(&layers[graph.output]).max(0.1 * largest(&layers[before])).max(0.01);
        let input = compiled.plan.encode_input(&image).expect("encodes");
        let logits = compiled.plan.decode_output(&fixed_point::evaluate(&compiled.plan, &compiled.parameters, &input));
        let pairs = layers[graph.output].iter().zip(&logits);
        worst = pairs.fold(worst, |worst, (exact, got)| worst.max((exact - f64::from(*got)).abs() / size));
    }
    worst
}

#[test]
fn random_networks_are_accurate_and_private() {
    for seed in 0..40 {
        let graph = random_network(seed);
        let compiled = compile(graph.clone(), Some(&samples(&graph, 1)), &CompileOptions::default());
        let compiled = compiled.unwrap_or_else(|error| panic!("network {seed}: {error}"));
        let error = proportion(&compiled, &graph);
        assert!(error < 0.02, "network {seed}: {error}\n{}", compiled.report);
        assert_private(&compiled, &images(graph.layers[0].shape, 1, 7));
    }
}
