//! Networks as they are exported: comparisons, residual sums, joined and cut channels.

use tacit_protocol::plan::Padding;

use super::private::{assert_private, assert_private_class};
use super::*;
use crate::graph::LayerId;

fn affine(scale: f64, shift: f64, channels: usize) -> Operator {
    Operator::Affine { scale: vec![scale; channels], shift: vec![shift; channels] }
}

/// `Conv - ReLU`.
fn block(builder: &mut Builder, outputs: usize, kernel: usize, padding: usize) -> LayerId {
    builder.convolution(outputs, kernel, padding);
    builder.same(Operator::Relu)
}

/// Ends with an average over the image and a fully connected layer.
fn classify(builder: &mut Builder, classes: usize) {
    let size = builder.shape(builder.last()).height;
    builder.average_pool(size, 1, 0, true);
    builder.flatten();
    builder.fully_connected(classes);
}

/// Checks the plain evaluation against floats, and the private one against the plain one.
fn assert_accurate(builder: Builder) -> CompiledModel {
    let graph = builder.finish();
    let (compiled, error) = relative_error(&graph);
    assert!(error < 0.02, "{error}\n{}", compiled.report);
    assert_private(&compiled, &images(graph.layers[0].shape, 2, 7));
    compiled
}

fn count(compiled: &CompiledModel, matches: impl Fn(&Step) -> bool) -> usize {
    compiled.plan.nodes.iter().filter(|node| matches(&node.step)).count()
}

#[test]
fn maximum_pools_of_any_window_stride_and_padding() {
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2), (4, 4, 0), (7, 1, 0)] {
        let mut builder = Builder::new(2, 13, 13, 3);
        block(&mut builder, 3, 3, 1);
        builder.max_pool(kernel, stride, padding);
        classify(&mut builder, 4);
        let compiled = assert_accurate(builder);
        assert_eq!(count(&compiled, |step| matches!(step, Step::Relu { .. })), 1);
        assert!(count(&compiled, |step| matches!(step, Step::Maximum { .. })) >= 2);
    }
}

#[test]
fn maximum_pools_with_dilation_in_one_direction_only() {
    let mut builder = Builder::new(2, 9, 8, 3);
    builder.convolution(3, 3, 1);
    let padding = Padding { top: 0, left: 1, bottom: 0, right: 0 };
    let operator = Operator::MaxPool { kernel: [1, 2], stride: [1, 3], dilation: [1, 3], padding };
    builder.add(operator, &[builder.last()], Shape::new(3, 9, 2));
    builder.flatten();
    builder.fully_connected(3);
    let compiled = assert_accurate(builder);
    assert_eq!(count(&compiled, |step| matches!(step, Step::Maximum { .. })), 1);
    // Without a ReLU the maximum keeps an accumulator's bits and is truncated before the next layer.
    assert_eq!(count(&compiled, |step| matches!(step, Step::Truncate { .. })), 1);
}

#[test]
fn comparisons_right_at_the_input_and_right_before_the_output() {
    let mut builder = Builder::new(3, 6, 6, 2);
    builder.same(affine(2.0, -1.0, 3));
    builder.same(Operator::Relu);
    builder.max_pool(2, 2, 0);
    block(&mut builder, 4, 3, 0);
    assert_accurate(builder);
    let mut builder = Builder::new(3, 6, 6, 2);
    builder.max_pool(3, 3, 0);
    builder.convolution(5, 2, 0);
    assert_accurate(builder);
}

#[test]
fn residual_networks() {
    let mut builder = Builder::new(2, 8, 8, 4);
    let mut trunk = block(&mut builder, 4, 3, 1);
    for _ in 0..3 {
        block(&mut builder, 4, 3, 1);
        let branch = builder.convolution(4, 3, 1);
        let shape = builder.shape(trunk);
        builder.add(Operator::Add, &[trunk, branch], shape);
        trunk = builder.same(Operator::Relu);
    }
    // With a convolution in the shortcut.
    block(&mut builder, 6, 3, 1);
    let branch = builder.convolution(6, 3, 1);
    let pointwise = LinearShape {
        input: builder.shape(trunk),
        output: builder.shape(branch),
        ..LinearShape::fully_connected(4, 6)
    };
    let shortcut = builder.linear_behind(trunk, pointwise);
    let shape = builder.shape(branch);
    builder.add(Operator::Add, &[branch, shortcut], shape);
    builder.same(Operator::Relu);
    classify(&mut builder, 5);
    let compiled = assert_accurate(builder);
    assert_eq!(count(&compiled, |step| matches!(step, Step::ShiftLeft { .. })), 3);
    // Nothing but the convolutions and the last layer is encrypted.
    assert_eq!(count(&compiled, |step| matches!(step, Step::Linear(_))), 1 + 3 * 2 + 3 + 1);
}

#[test]
fn silent_transfers_change_bytes_and_not_answers() {
    let mut builder = Builder::new(2, 16, 16, 4);
    for _ in 0..3 {
        block(&mut builder, 8, 3, 1);
    }
    builder.max_pool(2, 2, 0);
    classify(&mut builder, 3);
    let graph = builder.finish();
    let compiled = |transfers| {
        let options = CompileOptions { transfers, ..CompileOptions::default() };
        compile(graph.clone(), Some(&samples(&graph, 1)), &options).expect("compiles")
    };
    let [soft, silent] = [ExtensionKind::DEFAULT, ExtensionKind::Silent].map(compiled);
    assert_eq!(soft.parameters, silent.parameters);
    assert_ne!(soft.plan.digest(), silent.plan.digest());
    assert_private(&silent, &images(graph.layers[0].shape, 3, 7));
    let bytes = |compiled: &CompiledModel| {
        let prediction = tacit_protocol::session::predict(&compiled.plan);
        let phases = [prediction.setup, prediction.preprocessing];
        phases.iter().map(|phase| phase.bytes_sent + phase.bytes_received).sum::<u64>()
    };
    assert!(bytes(&silent) < bytes(&soft), "{} and {}", bytes(&silent), bytes(&soft));
}

#[test]
fn residual_sums_without_an_activation() {
    let mut builder = Builder::new(2, 6, 6, 4);
    let mut trunk = builder.convolution(3, 1, 0);
    for _ in 0..3 {
        block(&mut builder, 6, 3, 1);
        let branch = builder.convolution(3, 1, 0);
        let shape = builder.shape(trunk);
        trunk = builder.add(Operator::Add, &[trunk, branch], shape);
    }
    classify(&mut builder, 3);
    assert_accurate(builder);
}

#[test]
fn sums_and_joins_of_values_of_different_scales() {
    for operator in [Operator::Add, Operator::Subtract, Operator::Concat] {
        let mut builder = Builder::new(2, 6, 6, 8);
        let first = block(&mut builder, 3, 3, 1);
        let second = block(&mut builder, 3, 3, 1);
        let channels = if operator == Operator::Concat { 6 } else { 3 };
        builder.add(operator, &[first, second], Shape::new(channels, 6, 6));
        builder.convolution(3, 3, 1);
        builder.same(Operator::Relu);
        classify(&mut builder, 3);
        assert_accurate(builder);
    }
}

#[test]
fn joined_branches_and_cut_channels() {
    let mut builder = Builder::new(3, 8, 8, 9);
    let trunk = block(&mut builder, 4, 3, 1);
    let first = builder.convolution(2, 1, 0);
    let shape = LinearShape {
        kernel: [3, 3],
        padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
        input: builder.shape(trunk),
        output: Shape::new(3, 8, 8),
        ..LinearShape::fully_connected(4, 3)
    };
    let second = builder.linear_behind(trunk, shape);
    let joined = builder.add(Operator::Concat, &[first, second], Shape::new(5, 8, 8));
    let active = builder.same(Operator::Relu);
    assert_eq!(active, joined + 1);
    let low = builder.add(Operator::Slice { start: 0 }, &[active], Shape::new(2, 8, 8));
    let high = builder.add(Operator::Slice { start: 3 }, &[active], Shape::new(2, 8, 8));
    builder.add(Operator::Concat, &[high, low, trunk], Shape::new(8, 8, 8));
    block(&mut builder, 4, 3, 0);
    classify(&mut builder, 3);
    assert_accurate(builder);
}

/// As the reader brings in `Clip(0, 6)`.
#[test]
fn clipped_activations() {
    let mut builder = Builder::new(2, 6, 6, 1);
    let input = builder.convolution(3, 3, 1);
    let shape = builder.shape(input);
    let above = builder.add(affine(1.0, -0.5, 3), &[input], shape);
    builder.add(Operator::Concat, &[input, above], Shape::new(6, 6, 6));
    let active = builder.same(Operator::Relu);
    let first = builder.add(Operator::Slice { start: 0 }, &[active], shape);
    let second = builder.add(Operator::Slice { start: 3 }, &[active], shape);
    builder.add(Operator::Subtract, &[first, second], shape);
    builder.convolution(4, 3, 0);
    classify(&mut builder, 3);
    let compiled = assert_accurate(builder);
    assert_eq!(count(&compiled, |step| matches!(step, Step::Relu { .. })), 1);
    assert_eq!(count(&compiled, |step| matches!(step, Step::Offset)), 1);
}

/// As the reader brings in `HardSwish`: a clip, a square and a ReLU.
#[test]
fn squares_of_clipped_values() {
    let mut builder = Builder::new(2, 6, 6, 1);
    let input = builder.convolution(3, 3, 1);
    let shape = builder.shape(input);
    let low = builder.add(affine(1.0, 3.0, 3), &[input], shape);
    let high = builder.add(affine(1.0, -3.0, 3), &[input], shape);
    builder.add(Operator::Concat, &[low, high], Shape::new(6, 6, 6));
    let active = builder.same(Operator::Relu);
    let first = builder.add(Operator::Slice { start: 0 }, &[active], shape);
    let second = builder.add(Operator::Slice { start: 3 }, &[active], shape);
    let clipped = builder.add(Operator::Subtract, &[first, second], shape);
    let middle = builder.add(
        Operator::Quadratic { square: vec![1.0 / 6.0; 3], linear: vec![-0.5; 3], constant: vec![0.0; 3] },
        &[clipped],
        shape,
    );
    builder.add(Operator::Add, &[middle, second], shape);
    builder.convolution(4, 3, 0);
    classify(&mut builder, 3);
    assert_accurate(builder);
}

#[test]
fn leaky_activations_before_any_layer() {
    for ends_with_layer in [true, false] {
        let mut builder = Builder::new(2, 5, 5, 6);
        let input = builder.convolution(3, 3, 1);
        let shape = builder.shape(input);
        let active = builder.same(Operator::Relu);
        let scale = |slopes: [f64; 3]| Operator::Affine { scale: slopes.to_vec(), shift: vec![0.0; 3] };
        let positive = builder.add(scale([0.9, 0.5, 1.25]), &[active], shape);
        let through = builder.add(scale([0.1, 0.5, -0.25]), &[input], shape);
        builder.add(Operator::Add, &[positive, through], shape);
        if ends_with_layer {
            builder.convolution(2, 3, 0);
        }
        classify(&mut builder, 3);
        assert_accurate(builder);
    }
}

#[test]
fn average_pools_that_do_not_count_their_padding() {
    let mut builder = Builder::new(2, 7, 7, 3);
    block(&mut builder, 3, 3, 1);
    builder.average_pool(3, 2, 1, false);
    block(&mut builder, 3, 3, 1);
    classify(&mut builder, 3);
    let compiled = assert_accurate(builder);
    assert_eq!(count(&compiled, |step| matches!(step, Step::Multiply { .. })), 1);
}

#[test]
fn classes_only() {
    for (classes, round_trips) in [(2, 2), (3, 2), (10, 2), (10, 3), (37, 2)] {
        let mut builder = Builder::new(2, 6, 6, 5);
        block(&mut builder, 3, 3, 1);
        classify(&mut builder, classes);
        assert_private_class(&builder.finish(), round_trips);
    }
    let mut builder = Builder::new(2, 6, 6, 5);
    classify(&mut builder, 1);
    let graph = builder.finish();
    let options = CompileOptions { answer: Answer::Class, ..CompileOptions::default() };
    assert_eq!(compile(graph, None, &options).err(), Some(CompileError::OneClass));
}

#[test]
fn comparisons_have_the_bits_and_round_trips_that_are_asked_for() {
    let mut builder = Builder::new(2, 8, 8, 5);
    block(&mut builder, 3, 3, 1);
    block(&mut builder, 3, 3, 1);
    classify(&mut builder, 4);
    let graph = builder.finish();
    for (compared_bits, round_trips) in [(8, 2), (12, 2), (16, 2), (20, 2), (20, 3)] {
        let options =
            CompileOptions { compared_bits, comparison_round_trips: round_trips, ..CompileOptions::default() };
        let compiled = compile(graph.clone(), Some(&samples(&graph, 1)), &options).expect("compiles");
        for node in &compiled.plan.nodes {
            if let Step::Relu { digits, .. } = &node.step {
                let compared = digits.iter().sum::<u32>();
                assert!(compared <= compared_bits && compared >= compared_bits.min(12), "{digits:?}");
                assert!(digits.len() <= 1 << (2 * round_trips - 2));
            }
        }
    }
}

#[test]
fn too_little_headroom_is_refused() {
    let mut builder = Builder::new(2, 8, 8, 5);
    block(&mut builder, 3, 3, 1);
    classify(&mut builder, 4);
    let graph = builder.finish();
    let options = CompileOptions { headroom_bits: 15, ..CompileOptions::default() };
    let compiled = compile(graph.clone(), Some(&samples(&graph, 1)), &options);
    // Either the headroom is there in every layer, or the network is not served.
    if let Ok(compiled) = compiled {
        assert!(compiled.report.layers.iter().all(|layer| layer.headroom_bits >= 15.0), "{}", compiled.report);
    }
    let (compiled, _) = relative_error(&graph);
    assert!(compiled.report.layers.iter().all(|layer| layer.headroom_bits >= 1.0), "{}", compiled.report);
}
