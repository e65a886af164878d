//! Compiling good and odd networks.

mod any_cnn;
mod edges;
mod last_place;
mod private;
mod random;

use std::sync::Arc;

use tacit_protocol::plan::{LinearShape, Shape, Step};
use tacit_protocol::session::ServerModel;

use super::*;
use crate::graph::{Bias, FloatLinear, Operator};
use crate::merge::is_bare_square;
use crate::test_support::{Builder, convolution, images, quadratic_network};
use tacit_engine::kernels::LinearKernel;
use tacit_engine::prepared::{PreparedModel, transforms_bytes};
use tacit_engine::{PrepareError, fixed_point};

fn samples(graph: &Graph, seed: u64) -> Calibration {
    Calibration::from_samples(images(graph.layers[0].shape, 48, seed)).expect("samples")
}

/// Compiles with samples and returns the largest error of a logit on other inputs, relative to the largest logit.
fn relative_error(graph: &Graph) -> (CompiledModel, f64) {
    let compiled = compile(graph.clone(), Some(&samples(graph, 1)), &CompileOptions::default()).expect("compiles");
    let (mut error, mut size) = (0.0f32, f32::MIN_POSITIVE);
    for image in images(graph.layers[0].shape, 16, 2) {
        let exact = graph.evaluate(&image).expect("evaluates");
        let input = compiled.plan.encode_input(&image).expect("encodes");
        let got = compiled.plan.decode_output(&fixed_point::evaluate(&compiled.plan, &compiled.parameters, &input));
        size = exact.iter().fold(size, |most, value| most.max(value.abs()));
        error = exact.iter().zip(&got).fold(error, |most, (exact, got)| most.max((exact - got).abs()));
    }
    (compiled, f64::from(error / size))
}

fn square() -> Operator {
    Operator::Quadratic { square: vec![1.0], linear: vec![0.0], constant: vec![0.0] }
}

#[test]
fn networks_of_convolutions_squares_and_pools_are_accurate() {
    for seed in 0..4 {
        let (compiled, error) = relative_error(&quadratic_network(seed));
        assert!(error < 0.02, "{error}\n{}", compiled.report);
        let accuracy = compiled.report.accuracy.expect("measured");
        assert!(accuracy.mean_difference <= 3.0 * compiled.report.expected_error);
        assert!(compiled.report.warnings.is_empty());
        let text = compiled.report.to_string();
        assert!(text.contains("headroom") && text.contains("noise margin"), "{text}");
        let round_trips = compiled.plan.nodes.iter().filter(|node| matches!(node.step, Step::Square { .. })).count();
        assert_eq!(round_trips, 3);
    }
}

#[test]
fn no_value_of_the_samples_leaves_the_bits_of_its_node() {
    let graph = quadratic_network(9);
    let compiled = compile(graph.clone(), Some(&samples(&graph, 1)), &CompileOptions::default()).expect("compiles");
    let evaluator = Evaluator::new(&compiled.plan, &compiled.parameters);
    for sample in images(graph.layers[0].shape, 48, 1) {
        let input = compiled.plan.encode_input(&sample).expect("encodes");
        let mut values = Vec::new();
        for (index, node) in compiled.plan.nodes.iter().enumerate() {
            let value = evaluator.value(index, &values, &input);
            let room = if matches!(node.step, Step::Input) { 0 } else { 1 };
            let limit = (1i64 << (node.bits - 1 - room)) + (1 << 20 >> (31 - node.bits));
            assert!(value.iter().all(|value| i64::from(*value as i32).abs() <= limit), "node {index}");
            values.push(value);
        }
    }
}

#[test]
fn more_headroom_leaves_more_unused_bits_and_larger_errors() {
    let graph = quadratic_network(3);
    let error = |headroom_bits| {
        let options = CompileOptions { headroom_bits, ..CompileOptions::default() };
        compile(graph.clone(), Some(&samples(&graph, 1)), &options).expect("compiles").report.expected_error
    };
    assert!(error(1) < error(4));
    let options = CompileOptions { headroom_bits: 16, ..CompileOptions::default() };
    assert!(matches!(compile(graph.clone(), None, &options), Err(CompileError::HeadroomBits(16))));
}

#[test]
fn without_samples_intervals_are_used_with_a_warning() {
    let compiled = compile(quadratic_network(1), None, &CompileOptions::default()).expect("compiles");
    assert!(compiled.report.warnings.iter().any(|warning| warning.contains("interval analysis")));
    assert!(compiled.report.accuracy.is_none());
    // One sample says nothing about others: weights keep their bits.
    let graph = quadratic_network(1);
    let single = Calibration::from_samples(images(graph.layers[0].shape, 1, 1)).expect("samples");
    let compiled = compile(graph, Some(&single), &CompileOptions::default()).expect("compiles");
    assert!(compiled.report.warnings.iter().any(|warning| warning.contains("few")));
    assert!(compiled.report.layers.iter().all(|layer| layer.weight_bits >= 7), "{}", compiled.report);
    assert_eq!((compiled.plan.input.low, compiled.plan.input.high), (0.0, 1.0));
}

#[test]
fn linear_layers_without_an_activation_get_a_truncation_between_them() {
    let mut builder = Builder::new(1, 1, 1, 5);
    builder.fully_connected(40);
    builder.same(square_of(40));
    builder.fully_connected(2);
    builder.fully_connected(40);
    let (compiled, error) = relative_error(&builder.finish());
    assert!(compiled.plan.nodes.iter().any(|node| matches!(node.step, Step::Truncate { .. })));
    assert!(error < 0.01, "{error}");
}

fn square_of(channels: usize) -> Operator {
    Operator::Quadratic { square: vec![1.0; channels], linear: vec![0.0; channels], constant: vec![0.0; channels] }
}

#[test]
fn residual_sums_compile() {
    let mut builder = Builder::new(2, 6, 6, 6);
    builder.convolution(3, 3, 1);
    let trunk = builder.same(square_of(3));
    builder.convolution(3, 3, 1);
    builder.same(square_of(3));
    let branch = builder.convolution(3, 3, 1);
    let shape = builder.shape(trunk);
    builder.add(Operator::Add, &[trunk, branch], shape);
    builder.same(square_of(3));
    builder.flatten();
    builder.fully_connected(4);
    let (compiled, error) = relative_error(&builder.finish());
    assert!(error < 0.02, "{error}\n{}", compiled.report);
    assert!(compiled.plan.nodes.iter().any(|node| node.step == Step::Add));
    // Two squares, and a value with its own square, cannot have the same scale: a layer in between changes one.
    let mut builder = Builder::new(2, 4, 4, 7);
    let first = builder.convolution(2, 3, 1);
    let second = builder.same(square_of(2));
    let shape = builder.shape(first);
    builder.add(Operator::Add, &[first, second], shape);
    let sum = builder.last();
    let third = builder.same(square_of(2));
    builder.add(Operator::Add, &[sum, third], shape);
    builder.flatten();
    builder.fully_connected(2);
    let (_, error) = relative_error(&builder.finish());
    assert!(error < 0.05, "{error}");
}

#[test]
fn padding_without_a_layer_to_go_into_is_a_step_of_its_own() {
    let mut builder = Builder::new(1, 3, 3, 11);
    builder.convolution(1, 1, 0);
    builder.pad(2);
    builder.same(square());
    builder.flatten();
    builder.fully_connected(2);
    let (_, error) = relative_error(&builder.finish());
    assert!(error < 0.01, "{error}");
}

#[test]
fn networks_that_end_or_begin_with_an_activation_compile() {
    let mut builder = Builder::new(1, 4, 4, 12);
    builder.same(square());
    builder.flatten();
    builder.fully_connected(3);
    builder.same(square_of(3));
    let (_, error) = relative_error(&builder.finish());
    assert!(error < 0.01, "{error}");
    let builder = Builder::new(1, 2, 2, 13);
    let (_, error) = relative_error(&builder.finish());
    assert!(error < 0.01, "an identity network: {error}");
}

/// Two layers of the given weights with a square between.
fn scaled_network(first: f64, second: f64, bias: f64) -> Graph {
    let mut builder = Builder::new(1, 1, 2, 14);
    builder.flatten();
    for (index, weight) in [first, second].into_iter().enumerate() {
        let linear = FloatLinear {
            shape: LinearShape::fully_connected(2, 2),
            weights: vec![weight, -weight / 3.0, weight / 2.0, weight],
            bias: Bias::PerChannel(vec![bias; 2]),
        };
        builder.add(Operator::Linear(linear), &[2 * index + 1], Shape::vector(2));
        if index == 0 {
            builder.same(square_of(2));
        }
    }
    builder.finish()
}

#[test]
fn odd_scales_compile_or_are_refused_without_panic() {
    for (first, second, bias) in [(1e-6, 1e6, 0.0), (1e6, 1e-9, 1.0), (1e-3, 1e-3, 1e-5), (1.0, 1.0, 100.0)] {
        let (compiled, error) = relative_error(&scaled_network(first, second, bias));
        assert!(error < 0.02, "{first} {second} {bias}: {error}\n{}", compiled.report);
    }
    for (first, second, bias) in [
        (0.0, 0.0, 0.0),
        (0.0, 1.0, 1.0),
        (1.0, 0.0, 0.0),
        (1e-200, 1e-200, 0.0),
        (1e30, 1e-60, 0.0),
        (1e100, 1e100, 1e100),
        (1e-300, 1.0, 1e-300),
        (1.0, 1.0, 1e12),
        (f64::MAX, f64::MAX, 0.0),
    ] {
        let graph = scaled_network(first, second, bias);
        for calibration in [None, Some(samples(&graph, 3))] {
            match compile(graph.clone(), calibration.as_ref(), &CompileOptions::default()) {
                Ok(compiled) => assert_eq!(compiled.plan.validate(), Ok(())),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn blank_samples_and_wrong_ones() {
    let graph = quadratic_network(2);
    let blank = Calibration::from_samples(vec![vec![0.0; 144]; 3]).expect("samples");
    let compiled = compile(graph.clone(), Some(&blank), &CompileOptions::default()).expect("compiles");
    assert_eq!(compiled.plan.validate(), Ok(()));
    let short = Calibration::from_samples(vec![vec![0.5; 143]]).expect("samples");
    let error = compile(graph.clone(), Some(&short), &CompileOptions::default()).expect_err("refused");
    assert!(matches!(error, CompileError::CalibrationLength { expected: 144, found: 143 }));
    let narrow = CompileOptions { input_range: Some((0.0, 0.5)), ..CompileOptions::default() };
    assert!(matches!(compile(graph.clone(), Some(&samples(&graph, 1)), &narrow), Err(CompileError::InputRange { .. })));
    for range in [(0.0, f32::NAN), (1.0, 0.0), (f32::NEG_INFINITY, 0.0)] {
        let options = CompileOptions { input_range: Some(range), ..CompileOptions::default() };
        assert!(matches!(compile(graph.clone(), None, &options), Err(CompileError::InputRange { .. })));
    }
}

#[test]
fn prepared_models_compute_the_linear_steps_and_refuse_foreign_parameters() {
    let graph = quadratic_network(4);
    let compiled = compile(graph.clone(), Some(&samples(&graph, 1)), &CompileOptions::default()).expect("compiles");
    let model = compiled.prepare(usize::MAX).expect("prepared");
    assert_eq!(model.digest(), compiled.plan.digest());
    assert!(model.memory_bytes() > compiled.parameters.memory_bytes());
    let all = transforms_bytes(&compiled.plan);
    assert_eq!(model.transforms_bytes(), all);
    assert!(all > 0);
    for memory in [0, all / 2, all - 1] {
        let bounded = compiled.prepare(memory).expect("prepared");
        assert!(bounded.transforms_bytes() <= memory && bounded.memory_bytes() < model.memory_bytes());
    }
    for (id, node) in compiled.plan.nodes.iter().enumerate() {
        let Step::Linear(linear) = &node.step else {
            assert!(model.prepared_linear(id).is_none());
            continue;
        };
        assert!(model.prepared_linear(id).is_some());
        let share: Vec<u32> = (0..linear.shape.input.elements() as u32).map(|i| i.wrapping_mul(0x9E37_79B9)).collect();
        let (mut got, mut expected) = (vec![0; node.shape.elements()], vec![0; node.shape.elements()]);
        model.linear(id, &share, &mut got);
        let parameters = compiled.parameters.get(id).expect("parameters");
        LinearKernel::new(&linear.shape, parameters).apply(&share, &mut expected);
        assert_eq!(got, expected);
    }
    let text = format!("{:?} {:?}", model, compiled.parameters);
    assert!(text.contains("redacted"), "{text}");
    let other = CompiledModel { parameters: Parameters::default(), plan: Arc::clone(&compiled.plan), ..compiled };
    assert!(matches!(other.prepare(usize::MAX), Err(CompileError::Prepare(PrepareError::Parameters { node: 1 }))));
}

#[test]
fn the_same_network_always_gives_the_same_plan() {
    let graph = quadratic_network(8);
    let compile = || compile(graph.clone(), Some(&samples(&graph, 1)), &CompileOptions::default()).expect("compiles");
    let (first, second) = (compile(), compile());
    assert_eq!(first.plan, second.plan);
    assert!(first.parameters == second.parameters);
}

#[test]
fn grouped_and_strided_networks_compile() {
    let mut builder = Builder::new(4, 9, 9, 15);
    builder.linear(convolution([4, 9, 9], 6, [3, 3], [2, 2], [1; 4], [1, 1], 2));
    builder.affine();
    builder.quadratic();
    builder.average_pool(2, 1, 0, false);
    builder.flatten();
    builder.fully_connected(3);
    let graph = builder.finish();
    let (merged, _) = merge(graph.clone()).expect("merges");
    assert!(merged.layers.iter().any(|layer| is_bare_square(&layer.operator)));
    let (_, error) = relative_error(&graph);
    assert!(error < 0.02, "{error}");
}
