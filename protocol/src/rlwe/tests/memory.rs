//! Transforms that are held or made, weights that are kept.

use super::*;

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
        let plan = LinearStep { shape, packing };
        let clients: Vec<_> = (0..5u64)
            .map(|client| {
                let client_keys = NativeBackend.generate(parameters).unwrap();
                let key = PreparedPublicKey::new(&client_keys.public_key().unwrap()).unwrap();
                let mask = Seed::for_test(client).uniform_u32(shape.input.elements());
                (key, client_encrypt(&*client_keys, &plan, &mask).unwrap(), Seed::for_test(100 + client))
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
    let plan = LinearStep { shape, packing: choose_packing(&shape, &weights).unwrap() };
    let all = PreparedLinear::ntt_bytes(&plan);
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
        let taps = Geometry::new(&LinearStep { shape, packing }).taps(&weights);
        assert_eq!(taps.iter().map(Vec::len).sum::<usize>(), weights.len());
        assert!(taps.iter().all(|taps| taps.capacity() == taps.len()), "{packing:?}");
    }
}
