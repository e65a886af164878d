//! All instruction sets against the definition.

use super::geometry::PARALLEL_FROM;
use super::*;
use crate::runs::for_each_run;
use crate::test_support::{Numbers, convolution, linear_shapes};
use proptest::prelude::*;

/// Elements at which the halves change sign or wrap.
const EDGES: [u32; 12] =
    [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1_0000, 0x7fff_7fff, 0x7fff_8000, 0x8000_0000, 0x8000_8000, 0xffff_ffff];

/// Weights at which products or sums of two wrap.
const EDGE_WEIGHTS: [i16; 6] = [i16::MIN, -i16::MAX, i16::MAX, -1, 0, 1];

/// `W * share + bias` by its definition.
fn definition(shape: &LinearShape, parameters: &LinearParameters, share: &[u32]) -> Vec<u32> {
    let mut expected = vec![0; shape.output.elements()];
    parameters.bias.fill(shape.output, &mut expected);
    for_each_run(shape, |run| {
        let weight = i32::from(parameters.weights[run.weight]) as u32;
        run.pairs().for_each(|(to, from)| {
            expected[to] = expected[to].wrapping_add(weight.wrapping_mul(share[from]));
        });
    });
    expected
}

fn check_values(shape: &LinearShape, parameters: &LinearParameters, share: &[u32]) {
    let expected = definition(shape, parameters, share);
    for instructions in Instructions::available() {
        let kernel = LinearKernel::with(instructions, shape, parameters);
        // Twice: the second time the room of the first is used again.
        for before in [7, 8] {
            let mut accumulators = vec![before; shape.output.elements()];
            kernel.apply(share, &mut accumulators);
            assert_eq!(accumulators, expected, "{instructions:?} {shape:?}");
        }
    }
}

/// Random values, one in four of them an edge.
fn check(shape: &LinearShape, seed: u64) {
    let mut numbers = Numbers(seed);
    let weight = |number: u64| match number % 4 {
        0 => EDGE_WEIGHTS[(number >> 8) as usize % EDGE_WEIGHTS.len()],
        _ => (number >> 8) as i16,
    };
    let element = |number: u64| match number % 4 {
        0 => EDGES[(number >> 8) as usize % EDGES.len()],
        _ => (number >> 8) as u32,
    };
    let weights: Vec<i16> = (0..shape.weight_count()).map(|_| weight(numbers.integer())).collect();
    let share: Vec<u32> = (0..shape.input.elements()).map(|_| element(numbers.integer())).collect();
    for bias in [
        RingBias::PerChannel((0..shape.output.channels).map(|_| numbers.integer() as u32).collect()),
        RingBias::PerElement((0..shape.output.elements()).map(|_| numbers.integer() as u32).collect()),
    ] {
        check_values(shape, &LinearParameters { weights: weights.clone(), bias }, &share);
    }
}

#[test]
fn the_best_instructions_come_first_and_the_portable_ones_are_always_there() {
    let lanes: Vec<usize> = Instructions::available().map(Instructions::lanes).collect();
    assert!(lanes.is_sorted_by(|first, second| first >= second), "{lanes:?}");
    assert_eq!(lanes.last(), Some(&4));
    assert_eq!(lanes.first(), Some(&Instructions::detect().lanes()));
}

#[test]
fn every_kind_of_layer_equals_its_definition() {
    for (index, shape) in linear_shapes().iter().enumerate() {
        check(shape, index as u64);
    }
}

#[test]
fn every_edge_of_an_element_meets_every_edge_of_a_weight() {
    // Sums of one, two and three terms, all of the same value: what can wrap does.
    for (inputs, size) in [(1, 1), (2, 1), (3, 1), (1, 5), (2, 5), (3, 5)] {
        let shape = convolution([inputs, size, size], 1, [1, 1], [1, 1], [0; 4], [1, 1], 1);
        for (element, weight) in EDGES.iter().flat_map(|element| EDGE_WEIGHTS.map(|weight| (*element, weight))) {
            let bias = RingBias::PerChannel(vec![0]);
            let parameters = LinearParameters { weights: vec![weight; inputs], bias };
            check_values(&shape, &parameters, &vec![element; shape.input.elements()]);
        }
    }
}

#[test]
fn long_sums_of_extremes_wrap_as_they_should() {
    for shape in [LinearShape::fully_connected(4099, 5), convolution([257, 6, 6], 9, [3, 3], [1, 1], [1; 4], [1, 1], 1)]
    {
        for (element, weight) in [(0x8000_8000, i16::MIN), (0x7fff_8000, i16::MIN), (u32::MAX, i16::MAX)] {
            let bias = RingBias::PerChannel(vec![u32::MAX; shape.output.channels]);
            let parameters = LinearParameters { weights: vec![weight; shape.weight_count()], bias };
            check_values(&shape, &parameters, &vec![element; shape.input.elements()]);
        }
    }
}

#[test]
fn every_number_of_output_channels_equals_its_definition() {
    for outputs in 1..=18 {
        check(&convolution([3, 7, 9], outputs, [3, 3], [1, 1], [1; 4], [1, 1], 1), outputs as u64);
        check(&convolution([4, 2, 2], outputs, [3, 3], [1, 1], [1; 4], [1, 1], 1), outputs as u64);
        check(&LinearShape::fully_connected(33, outputs), outputs as u64);
    }
}

#[test]
fn layers_that_are_spread_over_threads_equal_their_definition() {
    for (seed, shape) in [
        // Several bands, the last one shorter.
        convolution([16, 61, 67], 12, [5, 5], [1, 1], [2; 4], [1, 1], 1),
        convolution([6, 150, 151], 13, [5, 5], [2, 2], [1, 2, 0, 1], [1, 1], 1),
        convolution([96, 45, 70], 40, [3, 3], [2, 1], [3, 0, 3, 0], [3, 2], 2),
        // One band, split by output channels.
        convolution([128, 8, 8], 77, [3, 3], [1, 1], [1; 4], [1, 1], 1),
        // Many groups.
        convolution([72, 84, 84], 72, [3, 3], [1, 1], [1; 4], [1, 1], 72),
        LinearShape::fully_connected(3001, 1501),
        convolution([512, 2, 2], 257, [3, 3], [1, 1], [1; 4], [1, 1], 1),
    ]
    .iter()
    .enumerate()
    {
        assert!(shape.weight_count() / shape.output.channels * shape.output.elements() >= PARALLEL_FROM, "{shape:?}");
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| check(shape, seed as u64));
        }
    }
}

#[test]
fn debug_output_tells_no_weights() {
    let parameters = LinearParameters { weights: vec![12_345], bias: RingBias::PerChannel(vec![54_321]) };
    let kernel = LinearKernel::new(&LinearShape::fully_connected(1, 1), &parameters);
    let text = format!("{kernel:?}");
    assert!(text.contains("redacted") && !text.contains("12345") && !text.contains("54321"), "{text}");
    assert!(kernel.memory_bytes() >= 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn random_geometries_equal_their_definition(
        channels in 1usize..6, outputs in 1usize..12, groups in 1usize..4, height in 1usize..12, width in 1usize..40,
        kernel in [1usize..6, 1usize..6], stride in [1usize..5, 1usize..5], dilation in [1usize..4, 1usize..4],
        pads in [0usize..4, 0usize..4, 0usize..4, 0usize..4], seed in any::<u64>(),
    ) {
        let fits = |size: usize, axis: usize, around: usize| size + around > dilation[axis] * (kernel[axis] - 1);
        prop_assume!(fits(height, 0, pads[0] + pads[2]) && fits(width, 1, pads[1] + pads[3]));
        let input = [channels * groups, height, width];
        check(&convolution(input, outputs * groups, kernel, stride, pads, dilation, groups), seed);
    }

    #[test]
    fn random_depthwise_layers_equal_their_definition(
        channels in 1usize..9, multiplier in 1usize..4, size in [1usize..20, 1usize..40], kernel in [1usize..8, 1usize..8],
        stride in [1usize..4, 1usize..4], pad in 0usize..5, seed in any::<u64>(),
    ) {
        prop_assume!(size[0] + 2 * pad >= kernel[0] && size[1] + 2 * pad >= kernel[1]);
        let input = [channels, size[0], size[1]];
        check(&convolution(input, channels * multiplier, kernel, stride, [pad; 4], [1, 1], channels), seed);
    }
}
