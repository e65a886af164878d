//! What the tests mean by uniform.

/// Fails if bytes are less or more even than uniform ones are but for a negligible probability: chi-square with 255
/// degrees of freedom, mean 255 and standard deviation 22.6, has to be within seven of those.
pub(crate) fn assert_uniform(what: &str, bytes: impl IntoIterator<Item = u8>) {
    let mut counts = [0f64; 256];
    bytes.into_iter().for_each(|byte| counts[usize::from(byte)] += 1.0);
    let expected = counts.iter().sum::<f64>() / 256.0;
    assert!(expected > 7.0, "{what}: too few bytes to judge");
    let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    assert!((statistic - 255.0).abs() < 7.0 * 22.6, "{what}: chi-square {statistic}");
}
