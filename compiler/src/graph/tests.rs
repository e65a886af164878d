//! Validation and evaluation of graphs built by hand.

use tacit_protocol::plan::{LinearShape, OutputFunction, Padding, Shape};

use super::{Bias, FloatLinear, Graph, GraphError, Layer, LayerId, MAX_LAYER_ELEMENTS, MAX_LAYERS, Operator};

/// A graph over an input of `input`, with the last of the layers as its output.
fn graph(input: Shape, layers: Vec<(Operator, Vec<LayerId>, Shape)>) -> Graph {
    let first = Layer { name: "input".to_owned(), operator: Operator::Input, inputs: vec![], shape: input };
    let rest = layers.into_iter().enumerate().map(|(index, (operator, inputs, shape))| Layer {
        name: format!("layer{}", index + 1),
        operator,
        inputs,
        shape,
    });
    let layers: Vec<Layer> = std::iter::once(first).chain(rest).collect();
    let output = layers.len() - 1;
    let dimensions = |shape: Shape| vec![shape.channels, shape.height, shape.width];
    Graph {
        input_name: "x".to_owned(),
        input_dimensions: dimensions(input),
        output_name: "y".to_owned(),
        output_dimensions: dimensions(layers[output].shape),
        labels: vec![],
        layers,
        output,
        output_function: OutputFunction::Identity,
    }
}

const IMAGE: Shape = Shape::new(2, 3, 3);

/// A graph of one layer over a 2x3x3 image.
fn single(operator: Operator, shape: Shape) -> Graph {
    graph(IMAGE, vec![(operator, vec![0], shape)])
}

#[track_caller]
fn assert_layer_error(graph: &Graph, index: usize, message: &str) {
    let name = &graph.layers[index].name;
    let expected = format!("layer `{name}` (number {index}): {message}");
    assert_eq!(graph.validate().unwrap_err().to_string(), expected);
}

/// A convolution of the image with a 2x2 kernel, which gives 1x2x2.
fn convolution() -> FloatLinear {
    FloatLinear {
        shape: LinearShape {
            input: IMAGE,
            output: Shape::new(1, 2, 2),
            groups: 1,
            kernel: [2, 2],
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
        },
        weights: vec![1.0; 8],
        bias: Bias::PerElement(vec![0.0, 10.0, 20.0, 30.0]),
    }
}

fn numbers() -> Vec<f32> {
    (0..18).map(|value| value as f32).collect()
}

#[test]
fn a_bias_map_is_added_per_element() {
    let graph = single(Operator::Linear(convolution()), Shape::new(1, 2, 2));
    graph.validate().unwrap();
    // Each window of the first channel sums to 8, 12, 20, 24; that of the second to 36 more.
    assert_eq!(graph.evaluate(&numbers()).unwrap(), [52.0, 70.0, 96.0, 114.0]);
}

#[test]
fn sum_pool_and_pad() {
    let padding = Padding { top: 1, left: 0, bottom: 0, right: 1 };
    let padded = Shape::new(2, 4, 4);
    let pooled = Shape::new(2, 2, 2);
    let pool = |padding| Operator::SumPool { kernel: [2, 2], stride: [2, 2], padding };
    let explicit =
        graph(IMAGE, vec![(Operator::Pad(padding), vec![0], padded), (pool(Padding::default()), vec![1], pooled)]);
    let implicit = single(pool(padding), pooled);
    explicit.validate().unwrap();
    implicit.validate().unwrap();
    let expected = [1.0, 2.0, 20.0, 13.0, 19.0, 11.0, 56.0, 31.0];
    assert_eq!(explicit.evaluate(&numbers()).unwrap(), expected);
    assert_eq!(implicit.evaluate(&numbers()).unwrap(), expected);
}

#[test]
fn all_layers_are_evaluated() {
    let shape = Shape::vector(2);
    let graph = graph(
        shape,
        vec![
            (Operator::Affine { scale: vec![2.0, 3.0], shift: vec![1.0, 0.0] }, vec![0], shape),
            (
                Operator::Quadratic { square: vec![1.0, 0.0], linear: vec![0.0, 1.0], constant: vec![0.5, -0.5] },
                vec![1],
                shape,
            ),
            (Operator::Add, vec![2, 0], shape),
            (Operator::AddMap(vec![100.0, 200.0]), vec![3], shape),
            (Operator::Reshape, vec![4], Shape::new(1, 1, 2)),
        ],
    );
    graph.validate().unwrap();
    let expected = [[1.0, 2.0], [3.0, 6.0], [9.5, 5.5], [10.5, 7.5], [110.5, 207.5], [110.5, 207.5]];
    assert_eq!(graph.evaluate_layers(&[1.0, 2.0]), expected);
}

#[test]
fn inputs_are_checked() {
    let graph = single(Operator::Reshape, Shape::vector(18));
    let short = graph.evaluate(&[0.0; 17]).unwrap_err();
    assert_eq!(short, GraphError::InputLength { expected: 18, found: 17 });
    assert_eq!(short.to_string(), "the input has 17 elements, the network needs 18");
    for value in [f32::NAN, f32::NEG_INFINITY] {
        let mut input = numbers();
        input[4] = value;
        let error = graph.evaluate(&input).unwrap_err();
        assert_eq!(error.to_string(), "element 4 of the input is not a finite number");
    }
}

#[test]
fn order_and_number_of_inputs() {
    let with_inputs = |operator, inputs| graph(IMAGE, vec![(operator, inputs, IMAGE)]);
    let later = "takes the value of layer 1, which does not come before it";
    assert_layer_error(&with_inputs(Operator::Reshape, vec![1]), 1, later);
    assert_layer_error(&with_inputs(Operator::Reshape, vec![]), 1, "takes 0 values, not one");
    assert_layer_error(&with_inputs(Operator::Reshape, vec![0, 0]), 1, "takes 2 values, not one");
    assert_layer_error(&with_inputs(Operator::Input, vec![]), 1, "only the first layer is the input");
    with_inputs(Operator::Add, vec![0, 0]).validate().unwrap();
    assert!(with_inputs(Operator::Add, vec![0]).validate().is_err());
    let mut no_input = with_inputs(Operator::Add, vec![0, 0]);
    no_input.layers[0].operator = Operator::Reshape;
    assert_layer_error(&no_input, 0, "the first layer must be the input");
}

#[test]
fn shapes() {
    let wrong = single(Operator::Pad(Padding { top: 1, ..Padding::default() }), IMAGE);
    assert_layer_error(&wrong, 1, "has shape 2x3x3, but computes 2x4x3 from 2x3x3");
    let reshape = single(Operator::Reshape, Shape::vector(17));
    assert_layer_error(&reshape, 1, "reshapes 2x3x3, of another number of elements");
    for shape in [Shape::vector(0), Shape::vector(MAX_LAYER_ELEMENTS + 1), Shape::new(usize::MAX, 2, 2)] {
        let message = format!("shape {shape} must have 1 to 16777216 elements");
        assert_layer_error(&single(Operator::Reshape, shape), 1, &message);
    }
}

#[test]
fn windows() {
    let pool = |kernel, stride, padding| {
        single(Operator::AveragePool { kernel, stride, padding, count_include_pad: true }, Shape::new(2, 1, 1))
    };
    pool([3, 3], [1, 1], Padding::default()).validate().unwrap();
    let large = "kernel [4, 3] with dilation [1, 1] is larger than the padded image 2x3x3";
    assert_layer_error(&pool([4, 3], [1, 1], Padding::default()), 1, large);
    let zero = "kernel [3, 3], stride [0, 1], dilation [1, 1] must be 1 to 65536";
    assert_layer_error(&pool([3, 3], [0, 1], Padding::default()), 1, zero);
    for padding in [Padding { top: 3, ..Padding::default() }, Padding { right: 3, ..Padding::default() }] {
        let message = format!("padding {padding:?} is not smaller than the kernel [3, 3]");
        assert_layer_error(&pool([3, 3], [1, 1], padding), 1, &message);
    }
    let huge = Padding { left: usize::MAX, ..Padding::default() };
    let message = format!("padding {huge:?} is larger than 65536");
    assert_layer_error(&single(Operator::Pad(huge), IMAGE), 1, &message);
}

#[test]
fn windows_of_a_maximum_meet_the_image() {
    let pool = |size: usize, kernel: usize, stride: usize, dilation: usize, left: usize, right: usize| {
        let columns = (size + left + right - (kernel - 1) * dilation - 1) / stride + 1;
        let operator = Operator::MaxPool {
            kernel: [1, kernel],
            stride: [1, stride],
            dilation: [1, dilation],
            padding: Padding { left, right, ..Padding::default() },
        };
        graph(Shape::new(1, 1, size), vec![(operator, vec![0], Shape::new(1, 1, columns))])
    };
    let maxima = |graph: Graph, input: &[f32]| {
        graph.validate().unwrap();
        graph.evaluate(input).unwrap()
    };
    assert_eq!(maxima(pool(3, 3, 1, 1, 2, 2), &[-1.0, -3.0, -2.0]), [-1.0, -1.0, -1.0, -2.0, -2.0]);
    assert_eq!(maxima(pool(2, 2, 3, 3, 3, 0), &[-1.0, -2.0]), [-1.0]);
    // Padding that no window reaches does not matter.
    assert_eq!(maxima(pool(3, 1, 2, 1, 0, 1), &[-1.0, -2.0, -3.0]), [-1.0, -3.0]);
    // The taps of the second window lie before and behind the only column.
    let around = pool(1, 2, 1, 2, 2, 1);
    let left = Padding { left: 2, right: 1, ..Padding::default() };
    let message = format!("padding {left:?} holds whole windows of the kernel [1, 2]");
    assert_layer_error(&around, 1, &message);
    for graph in [pool(3, 2, 1, 1, 2, 0), pool(3, 2, 1, 1, 0, 2)] {
        assert!(graph.validate().unwrap_err().to_string().contains("holds whole windows of the kernel [1, 2]"));
    }
}

#[test]
fn rectifiers_differences_and_channels() {
    let shape = Shape::vector(2);
    let joined = Shape::vector(4);
    let graph = graph(
        shape,
        vec![
            (Operator::Affine { scale: vec![-1.0; 2], shift: vec![0.0; 2] }, vec![0], shape),
            (Operator::Concat, vec![0, 1], joined),
            (Operator::Relu, vec![2], joined),
            (Operator::Slice { start: 0 }, vec![3], shape),
            (Operator::Slice { start: 2 }, vec![3], shape),
            (Operator::Subtract, vec![4, 5], shape),
            (Operator::Multiply { rows: vec![3], columns: vec![2] }, vec![6], shape),
        ],
    );
    graph.validate().unwrap();
    assert_eq!(graph.evaluate(&[5.0, -7.0]).unwrap(), [30.0, -42.0]);
}

#[test]
fn shapes_of_channels_and_factors() {
    let slice = |start, shape| single(Operator::Slice { start }, shape);
    slice(1, Shape::new(1, 3, 3)).validate().unwrap();
    assert_layer_error(&slice(1, IMAGE), 1, "takes 2 channels from 1 of 2x3x3");
    assert_layer_error(&slice(usize::MAX, IMAGE), 1, &format!("takes 2 channels from {} of 2x3x3", usize::MAX));
    assert_layer_error(&slice(0, Shape::new(1, 3, 2)), 1, "has shape 1x3x2, but computes 1x3x3 from 2x3x3");
    let concat = |shape| graph(IMAGE, vec![(Operator::Concat, vec![0, 0], shape)]);
    concat(Shape::new(4, 3, 3)).validate().unwrap();
    for shape in [IMAGE, Shape::new(4, 9, 1)] {
        assert!(concat(shape).validate().unwrap_err().to_string().contains("joins values of shapes"));
    }
    let multiply = |rows: Vec<u32>| single(Operator::Multiply { rows, columns: vec![1; 3] }, IMAGE);
    assert_layer_error(&multiply(vec![1; 2]), 1, "has 2 and 3 factors for 2x3x3");
    for factor in [0, 4097] {
        assert_layer_error(&multiply(vec![1, factor, 1]), 1, "factors must be 1 to 4096");
    }
}

#[test]
fn lengths_and_values_of_numbers() {
    let affine = |scale: Vec<f64>, shift: Vec<f64>| single(Operator::Affine { scale, shift }, IMAGE);
    affine(vec![1.0; 2], vec![0.0; 2]).validate().unwrap();
    assert_layer_error(&affine(vec![1.0; 3], vec![0.0; 2]), 1, "scale: 3 numbers where 2 are needed");
    assert_layer_error(&affine(vec![1.0; 2], vec![0.0, f64::NAN]), 1, "shift: number 1 is not finite");
    let map = single(Operator::AddMap(vec![0.0; 2]), IMAGE);
    assert_layer_error(&map, 1, "map: 2 numbers where 18 are needed");
    let quadratic = single(
        Operator::Quadratic { square: vec![0.0; 2], linear: vec![f64::INFINITY; 2], constant: vec![0.0; 2] },
        IMAGE,
    );
    assert_layer_error(&quadratic, 1, "linear coefficients: number 0 is not finite");
}

#[test]
fn linear_layers() {
    let check = |edit: &dyn Fn(&mut FloatLinear), message: &str| {
        let mut linear = convolution();
        edit(&mut linear);
        let output = linear.shape.output;
        assert_layer_error(&single(Operator::Linear(linear), output), 1, message);
    };
    check(&|linear| linear.weights.truncate(7), "weights: 7 numbers where 8 are needed");
    check(&|linear| linear.weights[3] = f64::NAN, "weights: number 3 is not finite");
    check(&|linear| linear.bias = Bias::PerChannel(vec![0.0; 4]), "bias: 4 numbers where 1 are needed");
    check(&|linear| linear.bias = Bias::PerElement(vec![0.0]), "bias: 1 numbers where 4 are needed");
    check(&|linear| linear.shape.groups = 0, "0 groups for 2 and 1 channels");
    check(&|linear| linear.shape.groups = 2, "2 groups for 2 and 1 channels");
    check(&|linear| linear.shape.stride = [2, 2], "computes 1x1 values per channel, not 1x2x2");
    let other = "is built for an input of 1x3x3, but takes 2x3x3";
    check(&|linear| linear.shape.input = Shape::new(1, 3, 3), other);
    let dilated = "kernel [2, 2] with dilation [65536, 1] is larger than the padded image 2x3x3";
    check(&|linear| linear.shape.dilation = [1 << 16, 1], dilated);
}

#[test]
fn the_whole_graph() {
    let valid = single(Operator::Reshape, Shape::vector(18));
    let check = |edit: &dyn Fn(&mut Graph), message: &str| {
        let mut graph = valid.clone();
        edit(&mut graph);
        assert_eq!(graph.validate(), Err(GraphError::Whole(message.to_owned())));
    };
    check(&|graph| graph.output = 2, "the output is not one of the layers");
    check(&|graph| graph.layers.clear(), "the output is not one of the layers");
    check(&|graph| graph.labels = vec![String::new()], "1 labels for 18 outputs");
    check(&|graph| graph.input_dimensions = vec![17], "input dimensions [17] do not have the elements of 2x3x3");
    let huge = format!("output dimensions [{}, 2] do not have the elements of 18x1x1", usize::MAX);
    check(&|graph| graph.output_dimensions = vec![usize::MAX, 2], &huge);
    let layer = valid.layers[1].clone();
    check(&|graph| graph.layers = vec![layer.clone(); MAX_LAYERS + 1], "10001 layers; at most 10000 are supported");
}
