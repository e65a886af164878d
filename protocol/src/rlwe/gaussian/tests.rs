//! The noise's distribution, and that no instruction set changes it.

use super::*;
use crate::random::Seed;

const DEVIATIONS: [f64; 2] = [4.0, 52_486.0];

fn samples(deviation: f64, count: usize, seed: u64) -> Vec<i64> {
    let mut samples = vec![0; count];
    add_gaussian(deviation, &mut samples, &mut Seed::for_test(seed).stream());
    samples.into_iter().map(|sample| sample as i64).collect()
}

/// The probability that a standard normal variate is below `x`, by the series of its density's integral.
fn below(x: f64) -> f64 {
    if x.abs() > 7.0 {
        return if x < 0.0 { 0.0 } else { 1.0 };
    }
    let (mut term, mut sum, mut index) = (x, x, 1.0);
    while term.abs() > 1e-18 {
        index += 2.0;
        term *= x * x / index;
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
fn variates_are_those_of_their_uniforms() {
    let mut stream = Seed::for_test(1).stream();
    let words: Vec<u64> = [0, 1, 2, 3, 1 << 32, (1 << 53) - 1, 1 << 63, u64::MAX - 1, u64::MAX]
        .into_iter()
        .chain((0..20_000).map(|index| stream.next_u64() >> (index % 64)))
        .collect();
    let mut largest = 0f64;
    for (index, radius) in words.iter().enumerate() {
        for angle in [0, u64::MAX, words[words.len() - 1 - index], stream.next_u64()] {
            let u = (*radius as f64 + 0.5) / 2f64.powi(64);
            let square = if u > 0.5 {
                -2.0 * (-((u64::MAX - radius) as f64 + 0.5) / 2f64.powi(64)).ln_1p()
            } else {
                -2.0 * u.ln()
            };
            let turn = ((angle >> 12) as f64 + 0.5) / 2f64.powi(52) - 0.5;
            let (sine, cosine) = (turn * std::f64::consts::FRAC_PI_2).sin_cos();
            let cosine = if angle & 1 == 1 { -cosine } else { cosine };
            let expected = if angle & 2 == 2 { (sine, cosine) } else { (cosine, sine) };
            let got = normal_pair(*radius, angle);
            // The smallest radii are left out: there the floor of the square, not an error, decides.
            if square > 1e-6 {
                let error = (got.0 - square.sqrt() * expected.0).abs().max((got.1 - square.sqrt() * expected.1).abs());
                largest = largest.max(error);
            } else {
                assert!(got.0.hypot(got.1) < 1e-3 + f64::EPSILON);
            }
        }
    }
    assert!(largest < 2f64.powi(-47), "2^{}", largest.log2());
}

#[test]
fn moments_are_those_of_a_rounded_gaussian() {
    let count = 1 << 20;
    for deviation in DEVIATIONS {
        let samples = samples(deviation, count, 2);
        let moment = |power: i32| {
            samples.iter().map(|sample| (*sample as f64 / deviation).powi(power)).sum::<f64>() / count as f64
        };
        let variance = 1.0 + 1.0 / (12.0 * deviation * deviation);
        // Five standard deviations of each estimate.
        let slack = |of_square: f64| 5.0 * (of_square / count as f64).sqrt();
        assert!(moment(1).abs() < slack(1.0), "mean {}", moment(1));
        assert!((moment(2) - variance).abs() < slack(2.0), "variance {}", moment(2));
        assert!(moment(3).abs() < slack(15.0), "skewness {}", moment(3));
        assert!((moment(4) - 3.0 * variance * variance).abs() < slack(96.0), "kurtosis {}", moment(4));
    }
}

#[test]
fn counts_are_those_of_a_rounded_gaussian() {
    let count = 1 << 20;
    for deviation in DEVIATIONS {
        // Integers themselves for the small deviation, 64 classes over four deviations to both sides for the large one.
        let width = (deviation / 8.0).max(1.0).round();
        let mut counts = [0u32; 67];
        for sample in samples(deviation, count, 3) {
            let class = ((sample as f64 + 0.5 * (width - 1.0)) / width).round().clamp(-33.0, 33.0);
            counts[(class + 33.0) as usize] += 1;
        }
        let mut statistic = 0.0;
        for (index, counted) in counts.iter().enumerate() {
            // Class `c` has the integers from `c width - (width - 1) / 2` on, up to rounding at halves.
            let edge = |class: f64| ((class * width - 0.5 * (width - 1.0) - 0.5 * width).ceil() - 0.5) / deviation;
            let class = index as f64 - 33.0;
            let low = if index == 0 { 0.0 } else { below(edge(class)) };
            let high = if index == 66 { 1.0 } else { below(edge(class + 1.0)) };
            let expected = (high - low) * count as f64;
            if expected > 5.0 {
                statistic += (f64::from(*counted) - expected).powi(2) / expected;
            }
        }
        // At most 66 degrees of freedom, each of which adds 1 to the mean and 2 to the variance.
        assert!(statistic < 66.0 + 5.0 * 132f64.sqrt() && statistic > 15.0, "{deviation}: {statistic}");
    }
}

#[test]
fn tails_are_reached_and_not_exceeded() {
    for deviation in DEVIATIONS {
        let samples = samples(deviation, 1 << 20, 4);
        let beyond = |bound: f64| samples.iter().filter(|sample| (**sample as f64).abs() > bound * deviation).count();
        // Expected: 65 beyond 4, 0.6 beyond 5.
        assert!((30..120).contains(&beyond(4.0)) && beyond(6.5) == 0);
    }
    let (largest, _) = normal_pair(0, 1 << 63);
    assert!((9.4..9.5).contains(&largest.abs()), "{largest}");
}

#[test]
fn both_of_a_pair_and_neighbours_are_uncorrelated() {
    let count = 1 << 18;
    let samples = samples(52_486.0, count, 5);
    let scale = 52_486.0f64.powi(2) * count as f64;
    for distance in [1, PAIRS, 2 * PAIRS] {
        let shifted = samples.iter().skip(distance);
        let product: f64 = samples.iter().zip(shifted).map(|(left, right)| *left as f64 * *right as f64).sum();
        assert!((product / scale).abs() < 5.0 / (count as f64).sqrt(), "{distance}");
    }
}

/// Whatever the compiler makes of the same code: the target's own instructions, AVX2 and what this processor has best.
#[test]
fn every_instruction_set_gives_the_same_samples() {
    let mut stream = Seed::for_test(8).stream();
    for deviation in DEVIATIONS {
        for round in 0..64 {
            let words: [[u64; PAIRS]; 2] =
                [(); 2].map(|()| std::array::from_fn(|index| stream.next_u64() >> (index * round % 64)));
            let mut samples = [[[0; PAIRS]; 2]; 3];
            let [own, avx2, best] = &mut samples;
            Sampler { deviation, words: &words, samples: own }.call();
            Arch::new().dispatch(Sampler { deviation, words: &words, samples: best });
            *avx2 = *best;
            #[cfg(target_arch = "x86_64")]
            if let Some(instructions) = pulp::x86::V3::try_new() {
                avx2.as_flattened_mut().fill(0);
                pulp::Simd::vectorize(instructions, Sampler { deviation, words: &words, samples: avx2 });
            }
            assert!(samples[0] == samples[1] && samples[1] == samples[2]);
        }
    }
}

#[test]
fn any_number_of_coefficients() {
    let all = samples(4.0, 3000, 6);
    for count in [0, 1, 255, 256, 511, 512, 513, 2999] {
        assert_eq!(samples(4.0, count, 6), all[..count]);
    }
    assert_ne!(all, samples(4.0, 3000, 7));
}
