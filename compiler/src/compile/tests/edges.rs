//! Comparing networks at the edges: wide values, odd pools, joined branches, answers of a class.

use tacit_protocol::plan::Padding;
use tacit_protocol::session::predict;

use super::*;
use crate::test_support::Numbers;

/// Every value that is compared lies where the comparison is exact.
fn assert_comparisons_fit(compiled: &CompiledModel, inputs: &[Vec<f32>]) {
    let plan = &compiled.plan;
    let evaluator = Evaluator::new(plan, &compiled.parameters);
    for sample in inputs {
        let input = plan.encode_input(sample).expect("encodes");
        let mut values: Vec<tacit_protocol::share::Share> = Vec::new();
        for (index, node) in plan.nodes.iter().enumerate() {
            let signed = |place: usize| values[node.inputs[place]].iter().map(|value| i64::from(*value as i32));
            let bits = node.inputs.iter().map(|input| plan.nodes[*input].bits).max().unwrap_or(0);
            let check = |t: u32, f: u32, y: i64| {
                assert!(-(1i64 << t) <= y && y <= (1 << t) - (1 << f), "node {index}: {y} with t = {t}, f = {f}");
            };
            match &node.step {
                Step::Relu { drop, .. } => signed(0).for_each(|y| check(bits - 1, *drop, y)),
                Step::Maximum { ignored, .. } => {
                    signed(0).zip(signed(1)).for_each(|(a, b)| check(bits, *ignored, a - b));
                }
                Step::Truncate { drop } | Step::Square { drop } => signed(0).for_each(|y| check(30, *drop, y)),
                _ => {}
            }
            let value = evaluator.value(index, &values, &input);
            values.push(value);
        }
    }
}

#[test]
fn dilated_pools_take_only_elements_of_their_windows() {
    for (kernel, stride, pad) in [(2, 1, 0), (2, 1, 1), (3, 1, 2), (3, 2, 2)] {
        let mut builder = Builder::new(1, 7, 7, 3);
        builder.convolution(2, 3, 1);
        let padding = Padding { top: pad, left: pad, bottom: pad, right: pad };
        let operator = Operator::MaxPool { kernel: [kernel; 2], stride: [stride; 2], dilation: [2, 2], padding };
        let size = (7 + 2 * pad - 2 * (kernel - 1) - 1) / stride + 1;
        builder.add(operator, &[builder.last()], Shape::new(2, size, size));
        builder.convolution(2, 3, 0);
        let (_, error) = relative_error(&builder.finish());
        assert!(error < 0.02, "{kernel} {stride} {pad}: {error}");
    }
}

#[test]
fn sums_of_joined_branches_compile() {
    // As in a network with bypasses: both terms are joined from two ReLUs.
    for both in [false, true] {
        let mut builder = Builder::new(2, 6, 6, 4);
        let fire = |builder: &mut Builder| {
            let trunk = builder.last();
            let shape = builder.shape(trunk);
            let geometry = |kernel: usize| {
                let pad = kernel / 2;
                convolution([shape.channels, 6, 6], 2, [kernel; 2], [1, 1], [pad; 4], [1, 1], 1)
            };
            builder.linear_behind(trunk, geometry(1));
            let first = builder.same(Operator::Relu);
            builder.linear_behind(trunk, geometry(3));
            let second = builder.same(Operator::Relu);
            builder.add(Operator::Concat, &[first, second], Shape::new(4, 6, 6))
        };
        let one = fire(&mut builder);
        let two = if both { fire(&mut builder) } else { builder.convolution(4, 3, 1) };
        builder.add(Operator::Add, &[one, two], Shape::new(4, 6, 6));
        builder.same(Operator::Relu);
        builder.convolution(2, 3, 0);
        let graph = builder.finish();
        let (compiled, error) = relative_error(&graph);
        assert!(error < 0.02, "{both}: {error}");
        assert_comparisons_fit(&compiled, &images(graph.layers[0].shape, 16, 2));
    }
}

#[test]
fn a_relu_of_joined_values_compiles() {
    let mut builder = Builder::new(2, 6, 6, 4);
    builder.convolution(2, 3, 1);
    let first = builder.same(Operator::Relu);
    let second = builder.convolution(3, 3, 1);
    builder.add(Operator::Concat, &[first, second], Shape::new(5, 6, 6));
    builder.affine();
    builder.same(Operator::Relu);
    let joined = builder.last();
    let third = builder.convolution(2, 3, 1);
    builder.add(Operator::Concat, &[joined, third], Shape::new(7, 6, 6));
    builder.max_pool(3, 2, 1);
    builder.affine();
    builder.same(Operator::Relu);
    builder.convolution(2, 3, 0);
    let graph = builder.finish();
    let (compiled, error) = relative_error(&graph);
    assert!(error < 0.02, "{error}");
    assert_comparisons_fit(&compiled, &images(graph.layers[0].shape, 16, 2));
}

fn with_logits(classes: usize, bias: &[f64]) -> Graph {
    let mut builder = Builder::new(1, 3, 3, 8);
    builder.convolution(2, 3, 1);
    builder.same(Operator::Relu);
    builder.flatten();
    let weights = Numbers(5).reals(18 * classes).iter().map(|weight| weight / 4.0).collect();
    let shape = LinearShape::fully_connected(18, classes);
    let bias = Bias::PerChannel((0..classes).map(|class| bias[class % bias.len()]).collect());
    builder.add(Operator::Linear(FloatLinear { shape, weights, bias }), &[builder.last()], Shape::vector(classes));
    builder.finish()
}

#[test]
fn classes_of_any_number_are_found() {
    for classes in [2, 3, 5, 10, 33, 1000] {
        for bias in [&[0.0][..], &[-50.0], &[30.0], &[-3.0, 3.0]] {
            let graph = with_logits(classes, bias);
            let options = CompileOptions { answer: Answer::Class, ..CompileOptions::default() };
            let compiled = compile(graph.clone(), Some(&samples(&graph, 1)), &options).expect("compiles");
            assert_comparisons_fit(&compiled, &images(graph.layers[0].shape, 8, 2));
            for image in images(graph.layers[0].shape, 8, 2) {
                let exact = graph.evaluate(&image).expect("evaluates");
                let input = compiled.plan.encode_input(&image).expect("encodes");
                let code = fixed_point::evaluate(&compiled.plan, &compiled.parameters, &input);
                let class = compiled.plan.decode_class(&code).expect("a class");
                let best = exact.iter().fold(f32::NEG_INFINITY, |most, logit| most.max(*logit));
                let spread = exact.iter().fold(0.0f32, |most, logit| most.max(logit.abs())).max(1.0);
                assert!(exact[class] >= best - 0.02 * spread, "{classes} {bias:?}: {} for {best}", exact[class]);
            }
        }
    }
}

#[test]
fn as_many_classes_as_can_be_compared_compile_and_more_are_refused_by_name() {
    let options = CompileOptions { answer: Answer::Class, ..CompileOptions::default() };
    let result = |classes: usize| {
        let graph = with_logits(classes, &[0.0]);
        compile(graph.clone(), Some(&samples(&graph, 1)), &options).map(|_| ())
    };
    assert_eq!(result(8192), Ok(()));
    assert_eq!(result(8193), Err(CompileError::TooManyClasses { classes: 8193, most: 8192 }));
}

#[test]
fn a_tournament_of_ten_classes_takes_two_round_trips_a_round() {
    let graph = with_logits(10, &[0.0]);
    let trips = |answer| {
        let options = CompileOptions { answer, ..CompileOptions::default() };
        let compiled = compile(graph.clone(), Some(&samples(&graph, 1)), &options).expect("compiles");
        predict(&compiled.plan).online.round_trips
    };
    // One truncation and four rounds.
    assert_eq!(trips(Answer::Class), trips(Answer::Logits) + 1 + 4 * 2);
}

#[test]
fn all_numbers_of_compared_bits_compile() {
    let mut builder = Builder::new(1, 8, 8, 8);
    builder.convolution(2, 3, 1);
    let trunk = builder.same(Operator::Relu);
    builder.convolution(2, 3, 1);
    let branch = builder.last();
    builder.add(Operator::Add, &[trunk, branch], builder.shape(trunk));
    builder.max_pool(3, 2, 1);
    builder.same(Operator::Relu);
    builder.convolution(3, 3, 0);
    builder.max_pool(2, 2, 0);
    let graph = builder.finish();
    for compared_bits in 1..=30 {
        for headroom_bits in [0, 1, 3] {
            let options = CompileOptions { compared_bits, headroom_bits, ..CompileOptions::default() };
            for calibration in [Some(samples(&graph, 1)), None] {
                match compile(graph.clone(), calibration.as_ref(), &options) {
                    Ok(compiled) => assert_comparisons_fit(&compiled, &images(graph.layers[0].shape, 48, 1)),
                    Err(error) => panic!("{compared_bits} bits, room {headroom_bits}: {error}"),
                }
            }
        }
    }
}
