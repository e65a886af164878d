//! Gaussian noise, many samples at a time, without branches, divisions or addresses that depend on them.
//!
//! Box and Muller's transform: for `u` uniform in (0, 1) and an angle `t` uniform on the circle, `sqrt(-2 ln u) cos t` and
//! `sqrt(-2 ln u) sin t` are independent normal variates. Logarithm, sine and cosine are polynomials, the root is Newton's
//! iteration, all in double precision with additions and multiplications only, which take the same time for all normal
//! numbers. None is fused, so every instruction set gives the same samples.
//!
//! **How exact.** `u` is an odd multiple of `2^-65`, the angle has 53 bits, each polynomial is within `2^-53`, and with all
//! roundings a variate is within `2^-47` of the exact one for its uniforms (measured: `2^-48`), or `2^-51` over its radius for
//! the few with a small radius; the mean is smaller still. A sample rounds otherwise than an exact one only where that is within
//! `deviation 2^-47` of half an integer, so the statistical distance from the rounded Gaussian is below `deviation 2^-45`:
//! `2^-43` for `N4096`, `2^-29` for `N2048`. What counts for the hardness of RLWE is Renyi's divergence of order 2 (Bai,
//! Langlois, Lepoint, Stehle, Steinfeld, ASIACRYPT 2015; Prest, ASIACRYPT 2017), which for relative errors of the probabilities
//! below `d` is at most `1 + d^2` a sample: over the `2^30` samples that one key can make it stays below `1 + 2^-28`. No sample
//! is beyond 9.5 standard deviations, where an exact one is with a probability of `2^-69`.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes256Enc, Block};
use chacha20::ChaCha20Rng;
use pulp::{Arch, NullaryFnOnce};
use rand::Rng;
use zeroize::{Zeroize, Zeroizing};

/// Pairs of variates made at once, each from a block of the cipher.
const PAIRS: usize = 256;

/// `1.5 * 2^52`: a number of absolute value below `2^51` added to it is rounded to an integer, which its low bits hold.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Bits of the exponent of 1, and of the mantissa, of a double.
const ONE: u64 = 1.0f64.to_bits();
const MANTISSA: u64 = (1 << 52) - 1;

/// `ln(1.5 + t)` for `|t| <= 1/2`, within `2^-56`: interpolated at Chebyshev's points, as are the others.
const LOGARITHM: [f64; 21] = [
    0.4054651081081644,
    0.6666666666666663,
    -0.22222222222222202,
    0.09876543209885852,
    -0.04938271604944208,
    0.026337448551654746,
    -0.014631915861371577,
    0.008361095096671958,
    -0.0048773054902392235,
    0.002890248165579537,
    -0.0017341486421301076,
    0.0010510900039154595,
    -0.000642335123693839,
    0.00039453805651686177,
    -0.000244224633352191,
    0.00015582161723400083,
    -9.743350586589393e-05,
    4.8876714487850656e-05,
    -3.0689401459419294e-05,
    4.117173716733841e-05,
    -2.6143387477310773e-05,
];

/// `sin(t pi/2) / t` in powers of `t^2`, for `|t| <= 1/2`, within `2^-57`.
const SINE: [f64; 7] = [
    std::f64::consts::FRAC_PI_2,
    -0.6459640975062443,
    0.07969262624604301,
    -0.004681754132340976,
    0.0001604411507421909,
    -3.59864335298231e-06,
    5.633933781537854e-08,
];

/// `cos(t pi/2)` in powers of `t^2`, for `|t| <= 1/2`, within `2^-54`.
const COSINE: [f64; 7] = [
    1.0,
    -1.2337005501361513,
    0.25366950789986475,
    -0.02086348073494657,
    0.000919259950041661,
    -2.520013526428479e-05,
    4.6552961874867623e-07,
];

/// Adds an independent Gaussian of the given standard deviation (below `2^40`), rounded to integers, to each coefficient.
///
/// The bits come from AES-256 in counter mode under a key that is drawn from `stream`: it is many times faster than ChaCha20
/// where processors have instructions for it.
pub(super) fn add_gaussian(deviation: f64, polynomial: &mut [u64], stream: &mut ChaCha20Rng) {
    let mut key = Zeroizing::new([0; 32]);
    stream.fill_bytes(&mut *key);
    // Where it lies: a copy of it would not be wiped.
    let cipher = Aes256Enc::new((&*key).into());
    let mut blocks = [Block::default(); PAIRS];
    let mut words = Zeroizing::new([[0; PAIRS]; 2]);
    let mut samples = Zeroizing::new([[0; PAIRS]; 2]);
    let mut counter = 0u128;
    for coefficients in polynomial.chunks_mut(2 * PAIRS) {
        for block in &mut blocks {
            block.0 = counter.to_le_bytes();
            counter += 1;
        }
        cipher.encrypt_blocks(&mut blocks);
        for (index, block) in blocks.iter().enumerate() {
            let block = u128::from_le_bytes(block.0);
            words[0][index] = block as u64;
            words[1][index] = (block >> 64) as u64;
        }
        Arch::new().dispatch(Sampler { deviation, words: &words, samples: &mut samples });
        for (coefficient, sample) in coefficients.iter_mut().zip(samples.as_flattened()) {
            *coefficient = coefficient.wrapping_add(*sample);
        }
    }
    blocks.iter_mut().for_each(|block| block.0.zeroize());
}

/// Turns pairs of uniform words into pairs of samples, modulo `2^64`: with the widest vectors that the processor has.
struct Sampler<'a> {
    deviation: f64,
    words: &'a [[u64; PAIRS]; 2],
    samples: &'a mut [[u64; PAIRS]; 2],
}

impl NullaryFnOnce for Sampler<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let words = self.words[0].iter().zip(&self.words[1]);
        let [first, second] = self.samples;
        for ((first, second), (radius, angle)) in first.iter_mut().zip(second).zip(words) {
            let (cosine, sine) = normal_pair(*radius, *angle);
            *first = rounded(self.deviation * cosine);
            *second = rounded(self.deviation * sine);
        }
    }
}

/// The nearest integer, modulo `2^64`, of a number of absolute value below `2^51`.
#[inline(always)]
fn rounded(value: f64) -> u64 {
    (value + ROUND).to_bits().wrapping_sub(ROUND.to_bits())
}

/// Two independent standard normal variates from 128 uniform bits.
#[inline(always)]
fn normal_pair(radius_bits: u64, angle_bits: u64) -> (f64, f64) {
    // 2^64 u, whose exponent and mantissa give the two parts of the logarithm.
    let scaled = radius_bits as f64 + 0.5;
    let exponent = small_integer(scaled.to_bits() >> 52) - 1023.0;
    let mantissa = f64::from_bits(scaled.to_bits() & MANTISSA | ONE);
    let logarithm = polynomial(&LOGARITHM, mantissa - 1.5);
    let square = 2.0 * ((64.0 - exponent) * std::f64::consts::LN_2 - logarithm);
    // Away from zero, where the root is not differentiable, and from what rounding can make negative.
    let radius = root(square.max(f64::EPSILON));

    // An angle within an eighth of the circle to both sides of an axis, and which of the four half axes that is.
    let turn = f64::from_bits(angle_bits >> 12 | ONE) - 1.5 + f64::EPSILON / 2.0;
    let (along, across) = (polynomial(&COSINE, turn * turn), turn * polynomial(&SINE, turn * turn));
    let along = f64::from_bits(along.to_bits() ^ angle_bits << 63);
    let difference = (along.to_bits() ^ across.to_bits()) & (angle_bits >> 1 & 1).wrapping_neg();
    let swap = |value: f64| f64::from_bits(value.to_bits() ^ difference);
    (radius * swap(along), radius * swap(across))
}

/// An integer below `2^52` as a double.
#[inline(always)]
fn small_integer(value: u64) -> f64 {
    const OFFSET: f64 = 4_503_599_627_370_496.0;
    f64::from_bits(OFFSET.to_bits() | value) - OFFSET
}

/// Horner's rule, coefficients from the constant up.
#[inline(always)]
fn polynomial<const TERMS: usize>(coefficients: &[f64; TERMS], at: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

/// The square root of a number between `2^-52` and `2^52`: Newton's iteration for its inverse, from the usual first guess,
/// which is off by 3.5 %, and each time by 1.5 times the square of the error before. The processor's instruction may
/// take a time that depends on the number.
#[inline(always)]
fn root(square: f64) -> f64 {
    let mut inverse = f64::from_bits(0x5fe6_eb50_c7b5_37a9 - (square.to_bits() >> 1));
    for _ in 0..4 {
        inverse *= 1.5 - 0.5 * square * inverse * inverse;
    }
    square * inverse
}

#[cfg(test)]
mod tests {
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
                    let error =
                        (got.0 - square.sqrt() * expected.0).abs().max((got.1 - square.sqrt() * expected.1).abs());
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
            let beyond =
                |bound: f64| samples.iter().filter(|sample| (**sample as f64).abs() > bound * deviation).count();
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
}
