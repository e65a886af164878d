//! Client against server for the linear step, the noise, and what each side could learn.

mod differential;
mod layers;
mod views;

use proptest::prelude::*;
use rand::{Rng, RngExt};

use super::keys::SecretKey;
use super::ring::add_noise;
use super::search::cheapest;
use super::*;
use crate::bits::packed_len;
use crate::plan::{LinearPlan, LinearShape, Packing, Padding, Shape};
use crate::random::Seed;
use crate::share::Share;
use crate::steps::linear::{client_decrypt, client_encrypt, server_respond};

/// The convolution by its definition, modulo `2^32`.
fn convolve(shape: &LinearShape, weights: &[i16], input: &[u32]) -> Vec<u32> {
    let LinearShape { input: from, output: to, groups, kernel, stride, padding, dilation } = *shape;
    let channels = shape.channels_per_group();
    let mut outputs = Vec::with_capacity(to.elements());
    for output in 0..to.channels {
        let group = output / (to.channels / groups);
        for row in 0..to.height {
            for column in 0..to.width {
                let mut sum = 0u32;
                for channel in 0..channels {
                    for (tap, weight) in weights[(output * channels + channel) * kernel[0] * kernel[1]..]
                        [..kernel[0] * kernel[1]]
                        .iter()
                        .enumerate()
                    {
                        let row = (row * stride[0] + tap / kernel[1] * dilation[0]).wrapping_sub(padding.top);
                        let column = (column * stride[1] + tap % kernel[1] * dilation[1]).wrapping_sub(padding.left);
                        if row < from.height && column < from.width {
                            let element =
                                input[((group * channels + channel) * from.height + row) * from.width + column];
                            sum = sum.wrapping_add(element.wrapping_mul(i32::from(*weight) as u32));
                        }
                    }
                }
                outputs.push(sum);
            }
        }
    }
    outputs
}

/// How responses are computed.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// The part of the transforms that is held, in quarters.
    held: usize,
    /// Uploads that are answered together.
    together: usize,
    /// Whether products are made without transforms.
    direct: bool,
}

const WAYS: [Way; 4] = [
    Way { held: 4, together: 1, direct: false },
    Way { held: 0, together: 1, direct: false },
    Way { held: 2, together: 2, direct: false },
    Way { held: 0, together: 2, direct: true },
];

impl Way {
    fn prepare(self, plan: &LinearPlan, weights: &[i16]) -> PreparedLinear {
        check_packing(&plan.shape, &plan.packing).unwrap();
        let all = Geometry::new(plan).kernel_count() * plan.packing.parameters.dimension() * 16;
        PreparedLinear::with_products(plan, weights, all / 4 * self.held, self.direct).unwrap()
    }
}

/// One linear step between a client and a server, the same in every way: `u + s - W r` for each output.
fn run(plan: &LinearPlan, weights: &[i16], mask: &[u32]) -> Vec<i32> {
    let engine = NativeBackend.generate(plan.packing.parameters).unwrap();
    let key = PreparedPublicKey::new(&engine.public_key().unwrap()).unwrap();
    let upload = client_encrypt(&*engine, plan, mask).unwrap();
    let seed = Seed::random().unwrap();
    let request = LinearRequest { public_key: &key, upload: &upload, seed: &seed };
    let fresh = Seed::random().unwrap();
    let mut responses = WAYS.map(|way| {
        let prepared = way.prepare(plan, weights);
        // The others are answered alike, and say nothing new.
        prepared.respond_with(&vec![request; way.together], &vec![fresh.clone(); way.together]).unwrap()
    });
    for each in responses.iter().flatten() {
        assert!(each.0 == responses[0][0].0 && each.1.0 == responses[0][0].1.0, "differs for {plan:?}");
    }
    let (response, server) = responses[0].remove(0);
    assert_eq!((upload.len(), response.len()), message_lengths(plan));
    let client = client_decrypt(&*engine, plan, &response).unwrap();
    let expected = convolve(&plan.shape, weights, mask);
    client
        .iter()
        .zip(server.iter())
        .zip(expected)
        .map(|((u, s), y)| u.wrapping_add(*s).wrapping_sub(y) as i32)
        .collect()
}

fn assert_exact(plan: &LinearPlan, weights: &[i16], mask: &[u32]) {
    let errors = run(plan, weights, mask);
    assert!(errors.iter().all(|error| error.abs() <= 1), "{:?} errs for {plan:?}", errors.iter().max());
}

fn shapes() -> impl Strategy<Value = LinearShape> {
    let pair = |low: usize, high: usize| [low..high, low..high];
    let pads = [0usize..3, 0usize..3, 0usize..3, 0usize..3];
    (1usize..4, 1usize..4, 1usize..4, pair(1, 14), pair(1, 5), pair(1, 5), pair(1, 3), pads).prop_filter_map(
        "the kernel is larger than the image",
        |(groups, inputs, outputs, size, kernel, stride, dilation, pads)| {
            let padding = Padding { top: pads[0], left: pads[1], bottom: pads[2], right: pads[3] };
            let fit = |axis: usize, padded: usize| {
                let extent = dilation[axis] * (kernel[axis] - 1) + 1;
                (padded >= extent).then(|| (padded - extent) / stride[axis] + 1)
            };
            let input = Shape::new(groups * inputs, size[0], size[1]);
            let height = fit(0, size[0] + pads[0] + pads[2])?;
            let width = fit(1, size[1] + pads[1] + pads[3])?;
            let output = Shape::new(groups * outputs, height, width);
            Some(LinearShape { input, output, groups, kernel, stride, padding, dilation })
        },
    )
}

fn random_weights(count: usize, limit: i16, seed: u64) -> Vec<i16> {
    let mut stream = Seed::for_test(seed).stream();
    (0..count).map(|_| stream.random_range(-limit..=limit)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn linear_steps_are_exact_to_the_last_place(shape in shapes(), seed in any::<u64>(), extreme in any::<bool>()) {
        let limit = if extreme { i16::MAX } else { 127 };
        let weights = random_weights(shape.weight_count(), limit, seed);
        let packing = choose_packing(&shape, &weights).unwrap();
        check_packing(&shape, &packing).unwrap();
        assert_exact(&LinearPlan { shape, packing }, &weights, &Seed::for_test(seed).uniform_u32(shape.input.elements()));
    }

    #[test]
    fn any_tiles_and_windows_give_the_same(
        shape in shapes(), seed in any::<u64>(), tiles in [1usize..4, 1usize..4], cut in [0usize..6, 0usize..6], small in any::<bool>(),
        joined in any::<bool>(),
    ) {
        let (kernel, phases) = packing::phases(&shape);
        let group_tile = if joined { shape.groups } else { 1 };
        let packing = Packing {
            parameters: if small { ParameterSet::N2048 } else { ParameterSet::N4096 },
            group_tile,
            channel_tile: tiles[0].min(shape.channels_per_group() * group_tile * phases.len()),
            output_tile: tiles[1].min(shape.output.channels / shape.groups * group_tile),
            window: [kernel[0] + cut[0], kernel[1] + cut[1]],
            upload_bits: 60,
            response_mask_bits: 44,
            response_body_bits: 38,
        };
        check_packing(&shape, &packing).unwrap();
        let weights = random_weights(shape.weight_count(), 31, seed);
        assert_exact(&LinearPlan { shape, packing }, &weights, &Seed::for_test(seed).uniform_u32(shape.input.elements()));
    }
}

#[test]
fn edge_values_are_exact() {
    let shapes = [
        LinearShape::fully_connected(1, 1),
        LinearShape::fully_connected(257, 3),
        LinearShape::fully_connected(3, 257),
        LinearShape::fully_connected(5000, 2),
    ];
    for shape in shapes {
        for weight in [0, 1, -1, i16::MAX, i16::MIN] {
            let weights = vec![weight; shape.weight_count()];
            let packing = choose_packing(&shape, &weights).unwrap();
            let plan = LinearPlan { shape, packing };
            for mask in [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1] {
                assert_exact(&plan, &weights, &vec![mask; shape.input.elements()]);
            }
        }
    }
}

#[test]
fn images_larger_than_a_polynomial_are_cut_into_windows() {
    let shape = LinearShape {
        input: Shape::new(2, 70, 75),
        output: Shape::new(3, 70, 75),
        kernel: [3, 3],
        padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
        ..LinearShape::fully_connected(1, 1)
    };
    let weights = random_weights(shape.weight_count(), 200, 3);
    let packing = choose_packing(&shape, &weights).unwrap();
    assert!(packing.window[0] * packing.window[1] <= 4096);
    assert_exact(&LinearPlan { shape, packing }, &weights, &Seed::for_test(4).uniform_u32(shape.input.elements()));
}

#[test]
fn weights_that_cannot_be_decrypted_are_refused() {
    let shape = LinearShape::fully_connected(3000, 1);
    let weights = vec![i16::MAX; 3000];
    let packing = choose_packing(&shape, &vec![1; 3000]).unwrap();
    let error = PreparedLinear::new(&LinearPlan { shape, packing }, &weights).err().unwrap();
    assert!(matches!(error, HeError::Noise { .. }), "{error}");
    assert!(matches!(choose_packing(&shape, &weights[1..]), Err(HeError::Elements { .. })));
}

/// Requests of differing clients, with many tiles and windows, or groups.
#[test]
fn responses_do_not_depend_on_what_is_held_nor_on_who_else_asks() {
    let padding = Padding { top: 1, left: 1, bottom: 1, right: 1 };
    let convolution = |input: Shape, output: Shape| LinearShape {
        input,
        output,
        kernel: [3, 3],
        padding,
        ..LinearShape::fully_connected(1, 1)
    };
    let grouped = LinearShape { groups: 4, ..convolution(Shape::new(12, 9, 7), Shape::new(8, 9, 7)) };
    let cases = [
        (convolution(Shape::new(19, 9, 7), Shape::new(5, 9, 7)), 1, 2, [5, 4]),
        (grouped, 2, 1, [11, 9]),
        (LinearShape::fully_connected(300, 23), 9, 3, [1, 1]),
    ];
    for (shape, channel_tile, output_tile, window) in cases {
        let weights = random_weights(shape.weight_count(), 127, 5);
        let parameters = ParameterSet::N2048;
        let packing = Packing {
            group_tile: 1,
            channel_tile,
            output_tile,
            window,
            upload_bits: 60,
            response_mask_bits: 44,
            response_body_bits: 38,
            parameters,
        };
        let plan = LinearPlan { shape, packing };
        let clients: Vec<_> = (0..5u64)
            .map(|client| {
                let engine = NativeBackend.generate(parameters).unwrap();
                let key = PreparedPublicKey::new(&engine.public_key().unwrap()).unwrap();
                let mask = Seed::for_test(client).uniform_u32(shape.input.elements());
                (key, client_encrypt(&*engine, &plan, &mask).unwrap(), Seed::for_test(100 + client))
            })
            .collect();
        let requests: Vec<LinearRequest> =
            clients.iter().map(|(public_key, upload, seed)| LinearRequest { public_key, upload, seed }).collect();
        let fresh: Vec<Seed> = (0..5).map(|client| Seed::for_test(200 + client)).collect();
        let alone = WAYS[0].prepare(&plan, &weights);
        let expected: Vec<(Vec<u8>, Share)> = requests
            .iter()
            .zip(&fresh)
            .map(|(request, fresh)| {
                alone.respond_with(std::slice::from_ref(request), std::slice::from_ref(fresh)).unwrap().remove(0)
            })
            .collect();
        let ways = (0..=4).map(|held| Way { held, together: 5, direct: false });
        for way in ways.chain([Way { held: 0, together: 5, direct: true }]) {
            let responses = way.prepare(&plan, &weights).respond_with(&requests, &fresh).unwrap();
            for ((response, share), (expected_response, expected_share)) in responses.iter().zip(&expected) {
                assert!(response == expected_response && share.0 == expected_share.0, "{way:?}, {plan:?}");
            }
        }
        assert!(alone.respond_with(&[], &[]).unwrap().is_empty());
    }
}

#[test]
fn transforms_are_held_as_far_as_memory_is_given() {
    let shape = LinearShape::fully_connected(700, 90);
    let weights = random_weights(shape.weight_count(), 127, 6);
    let plan = LinearPlan { shape, packing: choose_packing(&shape, &weights).unwrap() };
    let all = PreparedLinear::transforms_bytes(&plan);
    let bytes = |memory: usize| PreparedLinear::with_memory(&plan, &weights, memory).unwrap().memory_bytes();
    assert_eq!(bytes(usize::MAX), all);
    assert_eq!(bytes(all), all);
    let taps = bytes(0);
    assert!(taps >= 4 * weights.len() && taps < 5 * weights.len() && taps < all / 4, "{taps} of {all}");
    for memory in [1, all / 3, all - 1] {
        let held = bytes(memory);
        assert!(held <= memory + taps && held < all, "{held} of {memory}");
    }
    assert!(bytes(all - 1) > all / 2);
}

#[test]
fn weights_that_are_kept_take_four_bytes_each_in_any_packing() {
    let depthwise = LinearShape {
        input: Shape::new(24, 9, 9),
        output: Shape::new(48, 5, 5),
        groups: 24,
        kernel: [3, 3],
        stride: [2, 2],
        padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
        ..LinearShape::fully_connected(1, 1)
    };
    for (shape, group_tile, tiles, window) in [
        (depthwise, 1, [3, 2], [6, 6]),
        (depthwise, 8, [32, 3], [6, 6]),
        (depthwise, 12, [7, 5], [4, 6]),
        (LinearShape::fully_connected(700, 90), 1, [300, 8], [1, 1]),
    ] {
        let packing = Packing {
            parameters: ParameterSet::N4096,
            group_tile,
            channel_tile: tiles[0],
            output_tile: tiles[1],
            window,
            upload_bits: 60,
            response_mask_bits: 44,
            response_body_bits: 38,
        };
        check_packing(&shape, &packing).unwrap();
        let weights = random_weights(shape.weight_count(), 127, 7);
        let taps = Geometry::new(&LinearPlan { shape, packing }).taps(&weights);
        assert_eq!(taps.iter().map(Vec::len).sum::<usize>(), weights.len());
        assert!(taps.iter().all(|taps| taps.capacity() == taps.len()), "{packing:?}");
    }
}

#[test]
fn packings_that_do_not_fit_are_refused() {
    let shape = LinearShape::fully_connected(100, 10);
    let packing = choose_packing(&shape, &[1; 1000]).unwrap();
    let changes: &[fn(&mut Packing)] = &[
        |packing| packing.channel_tile = 0,
        |packing| packing.channel_tile = 101,
        |packing| packing.output_tile = 0,
        |packing| packing.output_tile = 11,
        |packing| packing.output_tile = usize::MAX,
        |packing| packing.window = [0, 1],
        |packing| packing.window = [64, 65],
        |packing| packing.upload_bits = 0,
        |packing| packing.response_mask_bits = 65,
        |packing| packing.response_body_bits = 0,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut packing = packing;
        change(&mut packing);
        assert!(check_packing(&shape, &packing).is_err(), "change {index}");
    }
}

#[test]
fn joined_groups_have_to_divide_the_groups() {
    let shape = LinearShape {
        input: Shape::new(6, 5, 5),
        output: Shape::new(12, 3, 3),
        groups: 6,
        kernel: [3, 3],
        ..LinearShape::fully_connected(1, 1)
    };
    let packing = choose_packing(&shape, &[1; 108]).unwrap();
    let with = |group_tile, channel_tile, output_tile| {
        check_packing(&shape, &Packing { group_tile, channel_tile, output_tile, window: [5, 5], ..packing })
    };
    for (group_tile, channel_tile, output_tile) in [(1, 1, 2), (2, 2, 4), (3, 3, 6), (6, 6, 12), (6, 1, 1)] {
        with(group_tile, channel_tile, output_tile).unwrap();
    }
    for (group_tile, channel_tile, output_tile) in
        [(0, 1, 1), (4, 1, 1), (12, 1, 1), (usize::MAX, 1, 1), (2, 3, 1), (2, 1, 5), (1, 2, 1), (1, 1, 3)]
    {
        assert!(with(group_tile, channel_tile, output_tile).is_err(), "{group_tile} {channel_tile} {output_tile}");
    }
}

#[test]
fn depthwise_layers_take_a_fraction_of_the_ciphertexts() {
    for (channels, size, fraction) in [(32, 16, 0.55), (64, 8, 0.35), (128, 4, 0.2)] {
        let shape = LinearShape {
            input: Shape::new(channels, size, size),
            output: Shape::new(channels, size, size),
            groups: channels,
            kernel: [3, 3],
            padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
            ..LinearShape::fully_connected(1, 1)
        };
        let weights = random_weights(shape.weight_count(), 1000, channels as u64);
        let bytes = |packing| {
            let (upload, response) = message_lengths(&LinearPlan { shape, packing });
            (upload + response) as f64
        };
        let packing = choose_packing(&shape, &weights).unwrap();
        let alone = cheapest(&shape, &weights, &[1]).unwrap();
        assert!(bytes(packing) < fraction * bytes(alone), "{channels}: {} of {}", bytes(packing), bytes(alone));
        let plan = LinearPlan { shape, packing };
        assert_exact(&plan, &weights, &Seed::for_test(1).uniform_u32(shape.input.elements()));
        // Zeros between groups add nothing to the noise: what counts is the tile's own weights.
        let sizes: Vec<f64> =
            weights.chunks_exact(9).map(|row| row.iter().map(|w| f64::from(*w).powi(2)).sum()).collect();
        let largest = sizes
            .chunks(packing.group_tile)
            .flat_map(|group| group.chunks(packing.output_tile))
            .map(|tile| tile.iter().sum::<f64>())
            .fold(0.0, f64::max);
        let deviation = noise::variance(&packing, largest).sqrt();
        assert_eq!(noise_report(&plan, &weights).unwrap().deviation, deviation);
    }
}

#[test]
fn messages_of_a_wrong_length_are_refused() {
    let shape = LinearShape::fully_connected(20, 5);
    let weights = random_weights(100, 100, 1);
    let plan = LinearPlan { shape, packing: choose_packing(&shape, &weights).unwrap() };
    let engine = NativeBackend.generate(plan.packing.parameters).unwrap();
    let key = PreparedPublicKey::new(&engine.public_key().unwrap()).unwrap();
    let prepared = PreparedLinear::new(&plan, &weights).unwrap();
    let seed = Seed::for_test(1);
    let upload = client_encrypt(&*engine, &plan, &[7; 20]).unwrap();
    let respond = |key: &PreparedPublicKey, upload: &[u8]| {
        server_respond(&prepared, &[LinearRequest { public_key: key, upload, seed: &seed }])
    };
    let (response, _) = respond(&key, &upload).unwrap().swap_remove(0);
    for length in [0, 1, 15, upload.len() - 1, upload.len() + 1] {
        let mut upload = upload.clone();
        upload.resize(length, 0);
        assert!(matches!(respond(&key, &upload), Err(HeError::Length { .. })));
    }
    for length in [0, response.len() - 1, response.len() + 1] {
        let mut response = response.clone();
        response.resize(length, 0);
        assert!(matches!(client_decrypt(&*engine, &plan, &response), Err(HeError::Length { .. })));
    }
    assert!(matches!(client_encrypt(&*engine, &plan, &[7; 19]), Err(HeError::Elements { .. })));
    let other = if plan.packing.parameters == ParameterSet::N4096 { ParameterSet::N2048 } else { ParameterSet::N4096 };
    let other = NativeBackend.generate(other).unwrap().public_key().unwrap();
    assert!(respond(&PreparedPublicKey::new(&other).unwrap(), &upload).is_err());
}
