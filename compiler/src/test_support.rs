//! Networks for tests.

use tacit_protocol::plan::{LinearShape, OutputFunction, Padding, Shape};

use crate::graph::{Bias, FloatLinear, Graph, Layer, LayerId, Operator};

pub(crate) use tacit_engine::test_support::{Numbers, convolution, linear_shapes};

/// Builds graphs layer by layer; the last layer is the output.
pub(crate) struct Builder {
    graph: Graph,
    pub numbers: Numbers,
}

impl Builder {
    pub fn new(channels: usize, height: usize, width: usize, seed: u64) -> Self {
        let shape = Shape::new(channels, height, width);
        let input = Layer { name: "input".into(), operator: Operator::Input, inputs: vec![], shape };
        let graph = Graph {
            input_name: "input".into(),
            input_dimensions: vec![channels, height, width],
            output_name: "logits".into(),
            output_dimensions: vec![],
            labels: vec![],
            layers: vec![input],
            output: 0,
            output_function: OutputFunction::Identity,
        };
        Self { graph, numbers: Numbers(seed) }
    }

    pub fn last(&self) -> LayerId {
        self.graph.layers.len() - 1
    }

    pub fn shape(&self, id: LayerId) -> Shape {
        self.graph.layers[id].shape
    }

    /// Adds a layer behind `inputs`.
    pub fn add(&mut self, operator: Operator, inputs: &[LayerId], shape: Shape) -> LayerId {
        let name = format!("layer{}", self.graph.layers.len());
        self.graph.layers.push(Layer { name, operator, inputs: inputs.to_vec(), shape });
        self.last()
    }

    /// Adds a layer that keeps the shape of the last.
    pub fn same(&mut self, operator: Operator) -> LayerId {
        let id = self.last();
        self.add(operator, &[id], self.shape(id))
    }

    /// Adds a linear layer with random weights behind the last layer.
    pub fn linear(&mut self, shape: LinearShape) -> LayerId {
        let id = self.last();
        self.linear_behind(id, shape)
    }

    pub fn linear_behind(&mut self, id: LayerId, shape: LinearShape) -> LayerId {
        let fan_in = (shape.weight_count() / shape.output.channels) as f64;
        let weights = self.numbers.reals(shape.weight_count()).iter().map(|w| w * (3.0 / fan_in).sqrt()).collect();
        let bias = Bias::PerChannel(self.numbers.reals(shape.output.channels).iter().map(|b| b * 0.3).collect());
        self.add(Operator::Linear(FloatLinear { shape, weights, bias }), &[id], shape.output)
    }

    pub fn convolution(&mut self, outputs: usize, kernel: usize, padding: usize) -> LayerId {
        let Shape { channels, height, width } = self.shape(self.last());
        self.linear(convolution([channels, height, width], outputs, [kernel; 2], [1, 1], [padding; 4], [1, 1], 1))
    }

    pub fn fully_connected(&mut self, outputs: usize) -> LayerId {
        let inputs = self.shape(self.last()).elements();
        self.linear(LinearShape::fully_connected(inputs, outputs))
    }

    pub fn flatten(&mut self) -> LayerId {
        let id = self.last();
        let shape = Shape::vector(self.shape(id).elements());
        self.add(Operator::Reshape, &[id], shape)
    }

    pub fn affine(&mut self) -> LayerId {
        let channels = self.shape(self.last()).channels;
        let scale = self.numbers.reals(channels).iter().map(|value| value + 1.5).collect();
        let shift = self.numbers.reals(channels);
        self.same(Operator::Affine { scale, shift })
    }

    /// `a x^2 + b x + c` with random coefficients.
    pub fn quadratic(&mut self) -> LayerId {
        let channels = self.shape(self.last()).channels;
        let square = self.numbers.reals(channels).iter().map(|value| value * 0.2 + 0.3).collect();
        let linear = self.numbers.reals(channels);
        let constant = self.numbers.reals(channels);
        self.same(Operator::Quadratic { square, linear, constant })
    }

    pub fn average_pool(&mut self, kernel: usize, stride: usize, padding: usize, count_include_pad: bool) -> LayerId {
        let id = self.last();
        let Shape { channels, height, width } = self.shape(id);
        let size = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        let around = Padding { top: padding, left: padding, bottom: padding, right: padding };
        let operator =
            Operator::AveragePool { kernel: [kernel; 2], stride: [stride; 2], padding: around, count_include_pad };
        self.add(operator, &[id], Shape::new(channels, size(height), size(width)))
    }

    pub fn max_pool(&mut self, kernel: usize, stride: usize, padding: usize) -> LayerId {
        let Shape { channels, height, width } = self.shape(self.last());
        let size = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        let padding = Padding { top: padding, left: padding, bottom: padding, right: padding };
        let operator = Operator::MaxPool { kernel: [kernel; 2], stride: [stride; 2], dilation: [1, 1], padding };
        self.add(operator, &[self.last()], Shape::new(channels, size(height), size(width)))
    }

    pub fn pad(&mut self, padding: usize) -> LayerId {
        let id = self.last();
        let Shape { channels, height, width } = self.shape(id);
        let around = Padding { top: padding, left: padding, bottom: padding, right: padding };
        let shape = Shape::new(channels, height + 2 * padding, width + 2 * padding);
        self.add(Operator::Pad(around), &[id], shape)
    }

    pub fn finish(mut self) -> Graph {
        self.graph.output = self.last();
        let Shape { channels, height, width } = self.shape(self.graph.output);
        self.graph.output_dimensions = vec![channels, height, width];
        self.graph.validate().expect("a valid test network");
        self.graph
    }
}

/// A network like the MNIST ones: convolutions, normalisation, quadratic activations, average pools, two dense layers.
pub(crate) fn quadratic_network(seed: u64) -> Graph {
    let mut builder = Builder::new(1, 12, 12, seed);
    builder.convolution(4, 3, 0);
    builder.affine();
    builder.quadratic();
    builder.average_pool(2, 2, 0, true);
    builder.convolution(5, 3, 1);
    builder.affine();
    builder.quadratic();
    builder.average_pool(2, 2, 0, true);
    builder.flatten();
    builder.fully_connected(8);
    builder.quadratic();
    builder.fully_connected(3);
    builder.finish()
}

/// Random images of a shape, values in `[0, 1)`.
pub(crate) fn images(shape: Shape, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(seed);
    (0..count).map(|_| numbers.reals(shape.elements()).iter().map(|x| (x / 2.0 + 0.5) as f32).collect()).collect()
}
