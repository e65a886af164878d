//! Servers with any memory against the definition, over shapes, packings and weights drawn at random.

use super::*;

/// Cases of each parameter set.
const CASES: u64 = 40;

/// A shape whose output is not empty: groups of any number of channels, kernels up to the size of the padded image.
fn shape(random: &mut impl RngExt) -> LinearShape {
    loop {
        let groups = [1, 1, 2, 3, 4, 6, 9][random.random_range(0..7)];
        let channels = [(); 2].map(|()| groups * random.random_range(1..=4));
        let [size, kernel, stride] = [16, 5, 4].map(|most| [(); 2].map(|()| random.random_range(1..=most)));
        let [top, left, bottom, right] = [(); 4].map(|()| random.random_range(0..=3));
        let dilation = [(); 2].map(|()| random.random_range(1..=3));
        let fit = |axis: usize, around: usize| {
            let padded = size[axis] + around;
            let extent = dilation[axis] * (kernel[axis] - 1) + 1;
            (padded >= extent).then(|| (padded - extent) / stride[axis] + 1)
        };
        if let (Some(height), Some(width)) = (fit(0, top + bottom), fit(1, left + right)) {
            return LinearShape {
                input: Shape::new(channels[0], size[0], size[1]),
                output: Shape::new(channels[1], height, width),
                groups,
                kernel,
                stride,
                padding: Padding { top, left, bottom, right },
                dilation,
            };
        }
    }
}

/// A packing that fits, with tiles and windows that need not divide anything.
fn packing(shape: &LinearShape, parameters: ParameterSet, bits: [u32; 3], random: &mut impl RngExt) -> Packing {
    let (kernel, phases) = packing::phases(shape);
    let divisors: Vec<usize> = (1..=shape.groups).filter(|joined| shape.groups.is_multiple_of(*joined)).collect();
    loop {
        let group_tile = divisors[random.random_range(0..divisors.len())];
        let packing = Packing {
            parameters,
            group_tile,
            channel_tile: random.random_range(1..=shape.channels_per_group() * group_tile * phases.len()),
            output_tile: random.random_range(1..=shape.output.channels / shape.groups * group_tile),
            window: kernel.map(|size| size + random.random_range(0..=10)),
            upload_bits: bits[0],
            response_mask_bits: bits[1],
            response_body_bits: bits[2],
        };
        if check_packing(shape, &packing).is_ok() {
            return packing;
        }
    }
}

/// Weights of the full range, extremes, small ones, a single one, or none.
fn weights(count: usize, small: bool, random: &mut impl RngExt) -> Vec<i16> {
    let one = random.random_range(0..count);
    let kind = random.random_range(if small { 2..5 } else { 0..5 });
    let mut weight = |index: usize| match kind {
        0 => random.random(),
        1 => [i16::MIN, i16::MAX, i16::MIN, 0][random.random_range(0..4)],
        2 => random.random_range(-3..=3),
        3 => i16::from(index == one) * if small { -8 } else { i16::MIN },
        _ => 0,
    };
    (0..count).map(&mut weight).collect()
}

#[test]
fn any_memory_gives_the_convolution_by_its_definition() {
    for parameters in ParameterSet::ALL {
        let client_keys = NativeBackend.generate(parameters).unwrap();
        let key = PreparedPublicKey::new(&client_keys.public_key().unwrap()).unwrap();
        let small = parameters == ParameterSet::N2048;
        for case in 0..CASES {
            let random = &mut Seed::for_test(case).stream();
            let shape = shape(random);
            let weights = weights(shape.weight_count(), small, random);
            let bits = if small { [62, 44, 38] } else { [64, 50, 40] };
            let plan = LinearStep { shape, packing: packing(&shape, parameters, bits, random) };
            let geometry = Geometry::new(&plan);
            let mask = Seed::for_test(case).uniform_u32(shape.input.elements());
            let upload = client_encrypt(&*client_keys, &plan, &mask).unwrap();
            let expected = convolve(&shape, &weights, &mask);
            let row = 16 * parameters.dimension() * geometry.channel_tiles();
            let rows = geometry.kernel_count() / geometry.channel_tiles();
            let memories = [0, row, row * random.random_range(0..=rows) + row / 2, usize::MAX];
            for (memory, direct) in memories.map(|memory| (memory, false)).into_iter().chain([(0, true)]) {
                let prepared = PreparedLinear::with_products(&plan, &weights, memory, direct).unwrap();
                assert!(prepared.held_bytes() <= memory);
                let seed = Seed::for_test(1000 + case);
                let request = LinearRequest { public_key: &key, upload: &upload, seed: &seed };
                let (response, server) = server_respond(&prepared, &[request]).unwrap().swap_remove(0);
                let client = client_decrypt(&*client_keys, &plan, &response).unwrap();
                for ((client, server), expected) in client.iter().zip(server.iter()).zip(&expected) {
                    let error = client.wrapping_add(*server).wrapping_sub(*expected) as i32;
                    assert!(error.abs() <= 1, "{error} with {memory} bytes, direct {direct}, for {plan:?}");
                }
            }
        }
    }
}
