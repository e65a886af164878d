//! The noise, and what each side could learn from what it sees.

use super::*;
use crate::steps::linear::server_respond;
use crate::uniformity::assert_uniform;

/// A step small enough that the noise of all its parts can be watched, with both parameter sets.
fn watched_plan(parameters: ParameterSet) -> (LinearStep, Vec<i16>) {
    let shape = LinearShape::fully_connected(40, 30);
    let weights = random_weights(1200, if parameters == ParameterSet::N4096 { 20_000 } else { 20 }, 8);
    let packing = Packing {
        parameters,
        group_tile: 1,
        channel_tile: 40,
        output_tile: 30,
        window: [1, 1],
        upload_bits: if parameters == ParameterSet::N4096 { 58 } else { 62 },
        response_mask_bits: 41,
        response_body_bits: 36,
    };
    (LinearStep { shape, packing }, weights)
}

/// Phases of the outputs of a response, and the noise in them: the phase less `2^32 W r - rho`.
fn phases_and_noise(plan: &LinearStep, weights: &[i16], responses: u64, way: Way) -> (Vec<u64>, Vec<i64>) {
    let client_keys = NativeBackend.generate(plan.packing.parameters).unwrap();
    let key = PreparedPublicKey::new(&client_keys.public_key().unwrap()).unwrap();
    let prepared = way.prepare(plan, weights);
    let geometry = Geometry::new(plan);
    let (mut phases, mut noise) = (Vec::new(), Vec::new());
    let numbers: Vec<u64> = (0..responses).collect();
    let mask = |number: u64| Seed::for_test(number).uniform_u32(plan.shape.input.elements());
    let seeds: Vec<Seed> = numbers.iter().map(|number| Seed::for_test(1000 + number)).collect();
    let uploads: Vec<Vec<u8>> =
        numbers.iter().map(|number| client_encrypt(&*client_keys, plan, &mask(*number)).unwrap()).collect();
    let requests: Vec<LinearRequest> =
        uploads.iter().zip(&seeds).map(|(upload, seed)| LinearRequest { public_key: &key, upload, seed }).collect();
    let responses = requests.chunks(way.together).flat_map(|requests| server_respond(&prepared, requests).unwrap());
    for ((number, seed), (response, _)) in numbers.iter().zip(&seeds).zip(responses) {
        let exact = convolve(&plan.shape, weights, &mask(*number));
        for (index, (mask, body)) in read_response(plan, &response).unwrap().iter().enumerate() {
            let phase = client_keys.phase(mask, body).unwrap();
            let mut masks = seed.derive("mask", index as u64).stream();
            for (position, element) in geometry.outputs(index) {
                let expected = (u64::from(exact[element]) << 32).wrapping_sub(masks.next_u64());
                phases.push(phase[position]);
                noise.push(phase[position].wrapping_sub(expected) as i64);
            }
        }
    }
    (phases, noise)
}

#[test]
fn measured_noise_stays_below_its_bound_and_near_its_deviation() {
    for (parameters, way) in ParameterSet::ALL.into_iter().flat_map(|set| WAYS.map(|way| (set, way))) {
        let (plan, weights) = watched_plan(parameters);
        let report = noise_report(&plan, &weights).unwrap();
        let (_, noise) = phases_and_noise(&plan, &weights, 100, way);
        let largest = noise.iter().map(|noise| noise.unsigned_abs()).max().unwrap() as f64;
        assert!(largest < report.bound, "{parameters:?}: {largest} against {report:?}");
        let deviation = (noise.iter().map(|noise| (*noise as f64).powi(2)).sum::<f64>() / noise.len() as f64).sqrt();
        // Outputs of one ciphertext share the cuts of its mask, so the estimate itself is off by some percent.
        assert!(deviation < report.deviation * 1.3, "{parameters:?}: {deviation} against {report:?}");
        assert!(
            deviation > report.deviation / 4.0,
            "{parameters:?}: the bound is loose: {deviation} against {report:?}"
        );
    }
}

#[test]
fn fresh_noise_has_the_stated_deviation() {
    for parameters in ParameterSet::ALL {
        let mut noise = vec![0; 1 << 18];
        add_noise(parameters, &mut noise, &mut Seed::for_test(2).stream());
        let square: f64 = noise.iter().map(|noise| (*noise as i64 as f64).powi(2)).sum::<f64>() / noise.len() as f64;
        // Rounding adds 1/12 to the variance.
        let expected = parameters.deviation().powi(2) + 1.0 / 12.0;
        assert!((square / expected - 1.0).abs() < 0.02, "{parameters:?}: {square} against {expected}");
    }
}

#[test]
fn what_the_server_sees_is_uniform() {
    for parameters in ParameterSet::ALL {
        let (plan, _) = watched_plan(parameters);
        let client_keys = NativeBackend.generate(parameters).unwrap();
        let uploads: Vec<u8> = (0..8).flat_map(|_| client_encrypt(&*client_keys, &plan, &[0; 40]).unwrap()).collect();
        assert_uniform("uploads of zero", uploads);
        let key = client_keys.public_key().unwrap();
        assert_uniform("the public key", key.body.iter().flat_map(|word| word.to_le_bytes()));
    }
}

/// Fails if the masks are drawn from the plaintext ring only: the low halves of the phases would be the bare noise
/// `sum k e`, from which the client, who knows `e`, computes the weights.
#[test]
fn what_the_client_decrypts_is_uniform_in_the_whole_ciphertext_ring() {
    for (parameters, way) in ParameterSet::ALL.into_iter().flat_map(|set| WAYS.map(|way| (set, way))) {
        let (plan, weights) = watched_plan(parameters);
        let (phases, noise) = phases_and_noise(&plan, &weights, 200, way);
        assert_uniform("high halves", phases.iter().flat_map(|phase| (phase >> 32).to_le_bytes().into_iter().take(4)));
        // The response's body is cut, so its lowest bits are not there to look at.
        assert_uniform("upper part of the low halves", phases.iter().map(|phase| (phase >> 24) as u8));
        let products = phases.iter().zip(&noise).map(|(phase, noise)| f64::from(*phase as u32 as i32) * *noise as f64);
        let scale = phases.iter().map(|phase| f64::from(*phase as u32 as i32).powi(2)).sum::<f64>().sqrt()
            * noise.iter().map(|noise| (*noise as f64).powi(2)).sum::<f64>().sqrt();
        let correlation = products.sum::<f64>() / scale;
        assert!(correlation.abs() < 6.0 / (phases.len() as f64).sqrt(), "noise shows in the phases: {correlation}");
    }
}

/// Fails if the fresh encryption of zero is left out: the returned mask would be `sum k a`, and a client that divides it
/// by its own `a` would hold the weights.
#[test]
fn returned_masks_do_not_give_the_weights_away() {
    let shape = LinearShape::fully_connected(1, 1);
    let weights = [37i16];
    let plan = LinearStep { shape, packing: choose_packing(&shape, &weights).unwrap() };
    let client_keys = NativeBackend.generate(plan.packing.parameters).unwrap();
    let key = PreparedPublicKey::new(&client_keys.public_key().unwrap()).unwrap();
    let upload = client_encrypt(&*client_keys, &plan, &[5]).unwrap();
    let seed: [u8; SEED_BYTES] = upload[..SEED_BYTES].try_into().unwrap();
    let own = expand_masks(&seed, plan.packing.parameters, 1);
    // With one weight the kernel polynomial is that weight, so sum k a = 37 a.
    let attack = |mask: &[u64]| {
        let near = |(returned, own): (&u64, &u64)| {
            (returned.wrapping_sub(own.wrapping_mul(37)) as i64).unsigned_abs() < 1 << 40
        };
        mask.iter().zip(&own).filter(|pair| near(*pair)).count()
    };
    for way in WAYS {
        // The same upload twice, in turn or together.
        let prepared = way.prepare(&plan, &weights);
        let request = LinearRequest { public_key: &key, upload: &upload, seed: &Seed::for_test(6) };
        let mut respond = std::iter::repeat_with(|| prepared.respond(&vec![request; way.together]).unwrap()).flatten();
        let [first, second] = [(); 2].map(|()| {
            let (response, _) = respond.next().unwrap();
            read_response(&plan, &response).unwrap().remove(0).0
        });
        // By chance 2^41 of 2^64 differences are that small.
        assert_eq!(attack(&first) + attack(&second), 0, "the returned mask is the product of the client's own");
        let differences = first.iter().zip(&second).map(|(first, second)| first.wrapping_sub(*second));
        assert_uniform("difference of two returned masks", differences.map(|difference| (difference >> 56) as u8));
    }
}

#[test]
fn mask_expansion_is_as_specified() {
    // AES-128 of the zero block under the zero key is a well-known value; the stream starts at its second byte.
    let masks = expand_masks(&[0; 16], ParameterSet::N2048, 2);
    assert_eq!(masks.len(), 4096);
    assert_eq!(masks[0].to_le_bytes(), [0xe9, 0x4b, 0xd4, 0xef, 0x8a, 0x2c, 0x3b, 0x88]);
    assert_eq!(masks[1].to_le_bytes()[..7], [0x4c, 0xfa, 0x59, 0xca, 0x34, 0x2b, 0x2e]);
    assert_eq!(expand_masks(&[0; 16], ParameterSet::N2048, 1), masks[..2048]);
}

#[test]
fn secret_keys_do_not_show_in_debug() {
    let key = SecretKey::generate(ParameterSet::N2048).unwrap();
    assert_eq!(format!("{key:?}"), "SecretKey(N2048, redacted)");
    assert_eq!(format!("{:?}", Share(vec![12345, 67890])), "Share(2 elements)");
}

/// Fails if the second noise of the rerandomisation is left out: the mask's part would be `a_pk u`, an exact product.
#[test]
fn returned_masks_carry_their_own_noise() {
    let shape = LinearShape::fully_connected(1, 1);
    let packing = Packing { response_mask_bits: 64, ..choose_packing(&shape, &[0]).unwrap() };
    let plan = LinearStep { shape, packing };
    let client_keys = NativeBackend.generate(packing.parameters).unwrap();
    let public_key = client_keys.public_key().unwrap();
    // A key whose mask is zero: what is left in the returned mask of a zero weight is the noise alone.
    let key = PreparedPublicKey::with_mask(&public_key, &vec![0; packing.parameters.dimension()]);
    let upload = client_encrypt(&*client_keys, &plan, &[9]).unwrap();
    for way in WAYS {
        let request = LinearRequest { public_key: &key, upload: &upload, seed: &Seed::for_test(2) };
        for (response, _) in way.prepare(&plan, &[0]).respond(&vec![request; way.together]).unwrap() {
            let mask = &read_response(&plan, &response).unwrap()[0].0;
            let square = mask.iter().map(|value| (*value as i64 as f64).powi(2)).sum::<f64>() / mask.len() as f64;
            let expected = packing.parameters.deviation().powi(2);
            assert!((square / expected - 1.0).abs() < 0.2, "{square} against {expected}");
        }
    }
}

#[test]
fn only_output_coefficients_are_sent() {
    let shape = LinearShape::fully_connected(60, 7);
    let packing = choose_packing(&shape, &[1; 420]).unwrap();
    let plan = LinearStep { shape, packing };
    let geometry = Geometry::new(&plan);
    let mut elements: Vec<usize> = Vec::new();
    let mut bytes = 0;
    for index in 0..geometry.output_ciphertexts() {
        elements.extend(geometry.outputs(index).map(|(_, element)| element));
        bytes += packed_len(packing.parameters.dimension(), packing.response_mask_bits);
        bytes += packed_len(geometry.output_count(index), packing.response_body_bits);
    }
    elements.sort_unstable();
    assert_eq!(elements, (0..7).collect::<Vec<_>>());
    assert_eq!(message_lengths(&plan).1, bytes);
}
