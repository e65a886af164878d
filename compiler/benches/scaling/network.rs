//! The network that is measured.

use tacit_compiler::graph::{Bias, FloatLinear, Graph, Layer, Operator};
use tacit_protocol::plan::{LinearShape, OutputFunction, Padding, Shape};

/// Channels of the input image.
const COLOURS: usize = 3;

/// Classes that the network tells apart.
const CLASSES: usize = 10;

/// Convolution 3x3, ReLU, convolution 3x3, ReLU, fully connected; both convolutions keep the size of the image.
pub struct Network {
    /// Rows and columns of the image.
    pub size: usize,
    /// Channels of both convolutions.
    pub channels: usize,
    pub graph: Graph,
}

impl Network {
    /// With random weights of the size that keeps the activations' variance.
    pub fn new(size: usize, channels: usize) -> Self {
        let mut numbers = Numbers(1);
        let image = Shape::new(COLOURS, size, size);
        let mut layers = vec![Layer { name: "image".into(), operator: Operator::Input, inputs: vec![], shape: image }];
        let mut add = |operator: Operator, shape: Shape| {
            let (name, last) = (format!("layer {}", layers.len()), layers.len() - 1);
            layers.push(Layer { name, operator, inputs: vec![last], shape });
        };
        let features = Shape::new(channels, size, size);
        for input in [image, features] {
            add(Operator::Linear(numbers.linear(convolution(input, channels))), features);
            add(Operator::Relu, features);
        }
        add(Operator::Reshape, Shape::vector(features.elements()));
        let classes = LinearShape::fully_connected(features.elements(), CLASSES);
        add(Operator::Linear(numbers.linear(classes)), classes.output);
        let graph = Graph {
            input_name: "image".into(),
            input_dimensions: vec![COLOURS, size, size],
            output_name: "logits".into(),
            output_dimensions: vec![CLASSES],
            labels: vec![],
            output: layers.len() - 1,
            layers,
            output_function: OutputFunction::Identity,
        };
        Self { size, channels, graph }
    }

    /// Images with elements in `[0, 1)`.
    pub fn images(&self, count: usize) -> Vec<Vec<f32>> {
        let mut numbers = Numbers(2);
        let elements = self.graph.layers[0].shape.elements();
        (0..count).map(|_| (0..elements).map(|_| (numbers.real() / 2.0 + 0.5) as f32).collect()).collect()
    }

    /// Multiply-adds of the linear layers.
    pub fn multiplications(&self) -> usize {
        let count = |layer: &Layer| match &layer.operator {
            Operator::Linear(FloatLinear { shape, .. }) => {
                shape.weight_count() / shape.output.channels * shape.output.elements()
            }
            _ => 0,
        };
        self.graph.layers.iter().map(count).sum()
    }

    /// Elements that pass a ReLU.
    pub fn activations(&self) -> usize {
        let relus = self.graph.layers.iter().filter(|layer| layer.operator == Operator::Relu);
        relus.map(|layer| layer.shape.elements()).sum()
    }
}

fn convolution(input: Shape, outputs: usize) -> LinearShape {
    LinearShape {
        input,
        output: Shape::new(outputs, input.height, input.width),
        kernel: [3, 3],
        padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
        ..LinearShape::fully_connected(1, 1)
    }
}

/// A small deterministic generator (SplitMix64).
struct Numbers(u64);

impl Numbers {
    /// Uniform in `[-1, 1)`.
    fn real(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn linear(&mut self, shape: LinearShape) -> FloatLinear {
        let terms = (shape.weight_count() / shape.output.channels) as f64;
        let weights = (0..shape.weight_count()).map(|_| self.real() * (6.0 / terms).sqrt()).collect();
        let bias = Bias::PerChannel((0..shape.output.channels).map(|_| self.real() * 0.1).collect());
        FloatLinear { shape, weights, bias }
    }
}
