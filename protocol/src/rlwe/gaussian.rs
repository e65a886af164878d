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
mod tests;
