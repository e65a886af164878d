//! Which packings are taken, and which are refused.

use super::*;

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
            let (upload, response) = message_lengths(&LinearStep { shape, packing });
            (upload + response) as f64
        };
        let packing = choose_packing(&shape, &weights).unwrap();
        let alone = cheapest(&shape, &weights, &[1]).unwrap();
        assert!(bytes(packing) < fraction * bytes(alone), "{channels}: {} of {}", bytes(packing), bytes(alone));
        let plan = LinearStep { shape, packing };
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
