//! Client against server for the linear step, the noise, and what each side could learn.

mod differential;
mod layers;
mod memory;
mod packings;
mod views;

use proptest::prelude::*;
use rand::{Rng, RngExt};

use super::keys::SecretKey;
use super::ring::add_noise;
use super::search::cheapest;
use super::*;
use crate::bits::packed_len;
use crate::plan::packing::{self, Geometry};
use crate::plan::{LinearShape, LinearStep, Packing, Padding, Shape};
use crate::plan::{ParameterSet, check_packing};
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
    /// Whether products are made without the NTT.
    direct: bool,
}

const WAYS: [Way; 4] = [
    Way { held: 4, together: 1, direct: false },
    Way { held: 0, together: 1, direct: false },
    Way { held: 2, together: 2, direct: false },
    Way { held: 0, together: 2, direct: true },
];

impl Way {
    fn prepare(self, plan: &LinearStep, weights: &[i16]) -> PreparedLinear {
        check_packing(&plan.shape, &plan.packing).unwrap();
        let all = Geometry::new(plan).kernel_count() * plan.packing.parameters.dimension() * 16;
        PreparedLinear::with_products(plan, weights, all / 4 * self.held, self.direct).unwrap()
    }
}

/// One linear step between a client and a server, the same in every way: `u + s - W r` for each output.
fn run(plan: &LinearStep, weights: &[i16], mask: &[u32]) -> Vec<i32> {
    let client_keys = NativeBackend.generate(plan.packing.parameters).unwrap();
    let key = PreparedPublicKey::new(&client_keys.public_key().unwrap()).unwrap();
    let upload = client_encrypt(&*client_keys, plan, mask).unwrap();
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
    let client = client_decrypt(&*client_keys, plan, &response).unwrap();
    let expected = convolve(&plan.shape, weights, mask);
    client
        .iter()
        .zip(server.iter())
        .zip(expected)
        .map(|((u, s), y)| u.wrapping_add(*s).wrapping_sub(y) as i32)
        .collect()
}

fn assert_exact(plan: &LinearStep, weights: &[i16], mask: &[u32]) {
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
        assert_exact(&LinearStep { shape, packing }, &weights, &Seed::for_test(seed).uniform_u32(shape.input.elements()));
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
        assert_exact(&LinearStep { shape, packing }, &weights, &Seed::for_test(seed).uniform_u32(shape.input.elements()));
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
            let plan = LinearStep { shape, packing };
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
    assert_exact(&LinearStep { shape, packing }, &weights, &Seed::for_test(4).uniform_u32(shape.input.elements()));
}

#[test]
fn weights_that_cannot_be_decrypted_are_refused() {
    let shape = LinearShape::fully_connected(3000, 1);
    let weights = vec![i16::MAX; 3000];
    let packing = choose_packing(&shape, &vec![1; 3000]).unwrap();
    let error = PreparedLinear::new(&LinearStep { shape, packing }, &weights).err().unwrap();
    assert!(matches!(error, RlweError::Noise { .. }), "{error}");
    assert!(matches!(choose_packing(&shape, &weights[1..]), Err(RlweError::Elements { .. })));
}

#[test]
fn messages_of_a_wrong_length_are_refused() {
    let shape = LinearShape::fully_connected(20, 5);
    let weights = random_weights(100, 100, 1);
    let plan = LinearStep { shape, packing: choose_packing(&shape, &weights).unwrap() };
    let client_keys = NativeBackend.generate(plan.packing.parameters).unwrap();
    let key = PreparedPublicKey::new(&client_keys.public_key().unwrap()).unwrap();
    let prepared = PreparedLinear::new(&plan, &weights).unwrap();
    let seed = Seed::for_test(1);
    let upload = client_encrypt(&*client_keys, &plan, &[7; 20]).unwrap();
    let respond = |key: &PreparedPublicKey, upload: &[u8]| {
        server_respond(&prepared, &[LinearRequest { public_key: key, upload, seed: &seed }])
    };
    let (response, _) = respond(&key, &upload).unwrap().swap_remove(0);
    for length in [0, 1, 15, upload.len() - 1, upload.len() + 1] {
        let mut upload = upload.clone();
        upload.resize(length, 0);
        assert!(matches!(respond(&key, &upload), Err(RlweError::Length { .. })));
    }
    for length in [0, response.len() - 1, response.len() + 1] {
        let mut response = response.clone();
        response.resize(length, 0);
        assert!(matches!(client_decrypt(&*client_keys, &plan, &response), Err(RlweError::Length { .. })));
    }
    assert!(matches!(client_encrypt(&*client_keys, &plan, &[7; 19]), Err(RlweError::Elements { .. })));
    let other = if plan.packing.parameters == ParameterSet::N4096 { ParameterSet::N2048 } else { ParameterSet::N4096 };
    let other = NativeBackend.generate(other).unwrap().public_key().unwrap();
    assert!(respond(&PreparedPublicKey::new(&other).unwrap(), &upload).is_err());
}
