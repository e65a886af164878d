//! Each rule: the merged network computes the same, and what it saved.

use super::rewrite::bare_square;
use super::*;
use crate::graph::Bias;
use crate::test_support::{Builder, Numbers, convolution, quadratic_network};
use tacit_protocol::plan::{LinearShape, Padding, Shape};

/// Merges, compares both networks on random inputs, and returns the merged one with the report.
fn check(graph: Graph) -> (Graph, MergeReport) {
    let (merged, report) = merge(graph.clone()).expect("mergeable");
    merged.validate().expect("a valid merged graph");
    let mut numbers = Numbers(99);
    for _ in 0..4 {
        let input = numbers.reals(graph.layers[0].shape.elements());
        let expected = &graph.evaluate_layers(&input)[graph.output];
        let got = &merged.evaluate_layers(&input)[merged.output];
        let size = expected.iter().fold(1.0f64, |size, value| size.max(value.abs()));
        for (expected, got) in expected.iter().zip(got) {
            assert!((expected - got).abs() < 1e-9 * size, "{expected} {got}\n{merged:?}");
        }
    }
    let sum = report.entries.iter().fold(Cost::default(), |sum, entry| sum.plus(entry.saved));
    assert_eq!(sum, report.before.minus(report.after));
    assert_eq!(report.after, Cost::of_graph(&merged));
    assert!(report.to_string().contains("merged"));
    (merged, report)
}

fn kinds(graph: &Graph) -> String {
    let kind = |operator: &Operator| match operator {
        Operator::Input => 'i',
        Operator::Linear(_) => 'L',
        Operator::Quadratic { .. } => 'q',
        Operator::SumPool { .. } => 's',
        Operator::Reshape => 'r',
        Operator::Add => '+',
        Operator::Subtract => '-',
        Operator::Multiply { .. } => 'm',
        Operator::Relu => 'R',
        Operator::MaxPool { .. } => 'M',
        Operator::Concat => 'c',
        Operator::Slice { .. } => 'l',
        Operator::Pad(_) => 'p',
        Operator::Affine { .. } | Operator::AddMap(_) | Operator::AveragePool { .. } => '?',
    };
    graph.layers.iter().map(|layer| kind(&layer.operator)).collect()
}

fn saved(report: &MergeReport, rule: &str) -> Cost {
    report.by_rule().into_iter().find(|(name, ..)| *name == rule).map(|(.., saved)| saved).unwrap_or_default()
}

#[test]
fn normalisation_goes_into_the_layer_before() {
    let mut builder = Builder::new(2, 6, 5, 1);
    builder.convolution(3, 3, 1);
    builder.affine();
    let map = builder.numbers.reals(90);
    builder.same(Operator::AddMap(map));
    let (merged, report) = check(builder.finish());
    assert_eq!(kinds(&merged), "iL");
    let cost = saved(&report, "affine into the layer before");
    assert_eq!(cost, Cost { levels: 1, products: 90, additions: 180, round_trips: 1 });
}

#[test]
fn input_normalisation_before_a_padded_convolution_becomes_an_exact_bias_map() {
    let mut builder = Builder::new(3, 6, 6, 2);
    builder.affine();
    builder.convolution(4, 3, 1);
    let (merged, report) = check(builder.finish());
    assert_eq!(kinds(&merged), "iL");
    let Operator::Linear(linear) = &merged.layers[1].operator else { panic!("linear") };
    assert!(matches!(linear.bias, Bias::PerElement(_)));
    assert_eq!(saved(&report, "affine into the layer after").products, 108);
}

#[test]
fn a_constant_before_an_unpadded_convolution_stays_one_value_per_channel() {
    let mut builder = Builder::new(1, 6, 6, 3);
    // Small integers, so that sums are exact and equal in every position.
    builder.same(Operator::Affine { scale: vec![2.0], shift: vec![3.0] });
    builder.convolution(2, 3, 0);
    let (merged, _) = check(builder.finish());
    let Operator::Linear(linear) = &merged.layers[1].operator else { panic!("linear") };
    assert!(matches!(linear.bias, Bias::PerChannel(_)));
}

#[test]
fn whole_networks_merge_to_linear_layers_and_squares() {
    for seed in 0..5 {
        let (merged, report) = check(quadratic_network(seed));
        assert_eq!(kinds(&merged), "iLqsLqsrLqL");
        assert_eq!(report.after.round_trips, 3);
        assert!(report.before.round_trips >= 10);
    }
}

#[test]
fn a_polynomial_becomes_a_bare_square_also_with_negative_and_zero_coefficients() {
    let mut builder = Builder::new(1, 4, 4, 4);
    builder.convolution(4, 3, 1);
    builder.same(Operator::Quadratic {
        square: vec![-0.5, 0.0, 0.7, 1.0],
        linear: vec![1.0, 0.0, 0.0, -2.0],
        constant: vec![0.2, 3.0, 0.0, -1.0],
    });
    builder.convolution(2, 3, 1);
    let (merged, report) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLqL");
    let total = report.before.minus(report.after);
    assert_eq!((total.levels, total.round_trips), (1, 1));
    assert!(saved(&report, "polynomial activation to bare square").products > 0);
}

#[test]
fn a_channel_without_square_term_is_carried_by_two_squares() {
    let mut builder = Builder::new(1, 4, 4, 5);
    builder.convolution(3, 3, 1);
    builder.same(Operator::Quadratic {
        square: vec![0.5, 0.0, 1e-9],
        linear: vec![1.0, 0.7, -0.4],
        constant: vec![0.2, 3.0, 0.1],
    });
    builder.average_pool(2, 2, 0, true);
    builder.convolution(2, 2, 0);
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLqsL");
    assert_eq!(merged.layers[2].shape.channels, 5);
}

#[test]
fn an_activation_without_any_square_term_vanishes() {
    let mut builder = Builder::new(1, 4, 4, 6);
    builder.convolution(2, 3, 1);
    builder.same(Operator::Quadratic { square: vec![0.0; 2], linear: vec![1.5, -2.0], constant: vec![0.0, 1.0] });
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iL");
}

#[test]
fn average_pools_become_sums_with_the_factor_in_a_linear_layer() {
    for (padding, include) in [(0, true), (0, false), (1, true)] {
        let mut builder = Builder::new(2, 8, 8, 7);
        builder.quadratic();
        builder.average_pool(2, 2, padding, include);
        builder.convolution(3, 3, 1);
        let (merged, report) = check(builder.finish());
        assert!(kinds(&merged).ends_with("sL"), "{}", kinds(&merged));
        assert!(report.before.products > report.after.products);
    }
}

#[test]
fn border_factors_of_an_average_pool_reach_a_fully_connected_layer() {
    let mut builder = Builder::new(2, 7, 7, 8);
    builder.convolution(2, 2, 0);
    builder.same(bare_square(2));
    builder.average_pool(3, 2, 1, false);
    builder.flatten();
    builder.fully_connected(4);
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLqsmrL");
}

#[test]
fn border_factors_of_an_average_pool_are_small_integers_before_a_convolution() {
    let mut builder = Builder::new(2, 7, 7, 8);
    builder.convolution(2, 2, 0);
    builder.same(Operator::Relu);
    builder.average_pool(3, 2, 1, false);
    builder.convolution(3, 3, 0);
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLRsmL");
    let factors = [3, 2, 2];
    assert!(merged.layers.iter().any(|layer| {
        matches!(&layer.operator, Operator::Multiply { rows, columns } if *rows == factors && *columns == factors)
    }));
}

#[test]
fn border_factors_that_are_too_many_are_refused_with_the_layers_name() {
    let mut builder = Builder::new(1, 24, 24, 8);
    builder.average_pool(23, 1, 22, false);
    let error = merge(builder.finish()).expect_err("refused");
    assert_eq!(error.layer, "layer1");
    assert!(error.to_string().contains("count_include_pad=1"));
}

#[test]
fn a_relu_moves_behind_a_maximum_pool() {
    let mut builder = Builder::new(2, 8, 8, 3);
    builder.convolution(3, 3, 1);
    builder.same(Operator::Relu);
    builder.max_pool(3, 2, 1);
    builder.convolution(2, 1, 0);
    let (merged, report) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLMRL");
    assert!(saved(&report, "ReLU behind maximum pool").products > 0);
}

#[test]
fn positive_factors_move_behind_comparisons_and_constants_stay_before() {
    let mut builder = Builder::new(3, 6, 6, 4);
    builder.convolution(2, 3, 1);
    builder.same(Operator::Relu);
    builder.same(Operator::Affine { scale: vec![0.5, 2.0], shift: vec![1.0, -1.0] });
    builder.max_pool(2, 2, 0);
    builder.convolution(2, 1, 0);
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLMRL");
    let mut builder = Builder::new(2, 6, 6, 4);
    builder.same(Operator::Relu);
    builder.same(Operator::Affine { scale: vec![1.0, 1.0], shift: vec![-1.0, -2.0] });
    builder.same(Operator::Relu);
    builder.convolution(2, 1, 0);
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iR?RL");
    assert!(matches!(merged.layers[2].operator, Operator::AddMap(_)));
}

/// `PRelu` as the reader brings it in: a sum of the ReLU and its input with factors.
#[test]
fn a_leaky_relu_becomes_joined_channels() {
    let mut builder = Builder::new(3, 5, 5, 5);
    let input = builder.convolution(4, 3, 1);
    let shape = builder.shape(input);
    let relu = builder.add(Operator::Relu, &[input], shape);
    let slopes = [0.25, 0.1, 0.0, 2.0];
    let affine = |scale: Vec<f64>| Operator::Affine { scale, shift: vec![0.0; 4] };
    let positive = builder.add(affine(slopes.map(|slope| 1.0 - slope).to_vec()), &[relu], shape);
    let through = builder.add(affine(slopes.to_vec()), &[input], shape);
    builder.add(Operator::Add, &[positive, through], shape);
    builder.convolution(2, 3, 0);
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLRcL");
}

#[test]
fn padding_goes_into_convolutions_pools_and_other_padding() {
    let mut builder = Builder::new(2, 5, 5, 9);
    builder.affine();
    builder.pad(1);
    builder.pad(1);
    builder.convolution(3, 3, 0);
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iL");
    let mut builder = Builder::new(2, 5, 5, 10);
    builder.convolution(2, 1, 0);
    builder.same(bare_square(2));
    builder.affine();
    builder.pad(1);
    builder.average_pool(2, 1, 0, true);
    builder.convolution(2, 3, 0);
    assert_eq!(kinds(&check(builder.finish()).0), "iLqsL");
    let mut builder = Builder::new(1, 3, 3, 11);
    builder.convolution(1, 1, 0);
    builder.pad(2);
    builder.same(bare_square(1));
    builder.flatten();
    builder.fully_connected(2);
    assert_eq!(kinds(&check(builder.finish()).0), "iLpqrL");
}

#[test]
fn linear_layers_are_composed_where_that_is_cheaper() {
    let mut builder = Builder::new(3, 6, 6, 12);
    builder.convolution(8, 1, 0);
    builder.convolution(4, 3, 1);
    builder.convolution(2, 1, 0);
    builder.average_pool(2, 2, 0, true);
    builder.flatten();
    builder.fully_connected(16);
    builder.fully_connected(2);
    let (merged, report) = check(builder.finish());
    assert!(kinds(&merged).matches('L').count() < 3, "{}", kinds(&merged));
    assert!(saved(&report, "composition of linear layers").round_trips >= 3);
    // A bottleneck is cheaper as it is.
    let mut builder = Builder::new(1, 1, 1, 13);
    builder.fully_connected(40);
    builder.same(bare_square(40));
    builder.fully_connected(2);
    builder.fully_connected(40);
    assert_eq!(kinds(&check(builder.finish()).0), "iLqLL");
}

#[test]
fn grouped_layers_are_composed_correctly() {
    let mut builder = Builder::new(4, 3, 3, 14);
    let wide = convolution([4, 3, 3], 8, [1, 1], [1, 1], [0; 4], [1, 1], 2);
    builder.linear(wide);
    builder.linear(convolution([8, 3, 3], 4, [3, 3], [1, 1], [1; 4], [1, 1], 1));
    builder.linear(convolution([4, 3, 3], 4, [1, 1], [1, 1], [0; 4], [1, 1], 4));
    builder.flatten();
    builder.fully_connected(3);
    check(builder.finish());
}

#[test]
fn affine_layers_pass_reshapes_sums_and_squares() {
    let mut builder = Builder::new(2, 4, 4, 15);
    let input = builder.last();
    let shape = builder.shape(input);
    let first = builder.same(Operator::Affine { scale: vec![2.0, -3.0], shift: vec![1.0, 0.5] });
    let second = builder.add(Operator::Affine { scale: vec![2.0, -3.0], shift: vec![0.0, 2.0] }, &[input], shape);
    builder.add(Operator::Add, &[first, second], shape);
    builder.flatten();
    builder.fully_connected(3);
    assert_eq!(kinds(&check(builder.finish()).0), "i+rL");
    let mut builder = Builder::new(2, 4, 4, 16);
    builder.same(Operator::Affine { scale: vec![2.0, -3.0], shift: vec![0.0; 2] });
    builder.same(bare_square(2));
    builder.convolution(2, 3, 1);
    assert_eq!(kinds(&check(builder.finish()).0), "iqL");
}

#[test]
fn an_affine_layer_with_several_users_goes_into_each() {
    let mut builder = Builder::new(2, 4, 4, 17);
    builder.same(bare_square(2));
    let affine = builder.affine();
    let shape = convolution([2, 4, 4], 3, [3, 3], [1, 1], [1; 4], [1, 1], 1);
    let left = builder.linear_behind(affine, shape);
    let right = builder.linear_behind(affine, shape);
    builder.add(Operator::Add, &[left, right], shape.output);
    assert_eq!(kinds(&check(builder.finish()).0), "iqLL+");
}

#[test]
fn what_fits_nowhere_becomes_a_depthwise_layer() {
    let mut builder = Builder::new(2, 4, 4, 18);
    builder.convolution(2, 3, 1);
    builder.quadratic();
    let (merged, _) = check(builder.finish());
    assert_eq!(kinds(&merged), "iLqL");
    let Operator::Linear(linear) = &merged.layers[3].operator else { panic!("linear") };
    assert_eq!(linear.shape.groups, 2);
    let mut builder = Builder::new(1, 2, 2, 19);
    let twice = builder.affine();
    let shape = builder.shape(twice);
    builder.add(Operator::Add, &[twice, twice], shape);
    check(builder.finish());
}

#[test]
fn networks_of_one_element_and_unused_layers() {
    let mut builder = Builder::new(1, 1, 1, 20);
    builder.affine();
    let unused = builder.last();
    builder.add(
        Operator::Quadratic { square: vec![1.0], linear: vec![2.0], constant: vec![3.0] },
        &[unused],
        Shape::vector(1),
    );
    builder.add(
        Operator::Linear(crate::graph::FloatLinear {
            shape: LinearShape { padding: Padding::default(), ..LinearShape::fully_connected(1, 1) },
            weights: vec![0.0],
            bias: Bias::PerChannel(vec![1.0]),
        }),
        &[unused],
        Shape::vector(1),
    );
    assert_eq!(kinds(&check(builder.finish()).0), "iL");
}
