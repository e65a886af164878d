//! Numbers with units.

/// Three significant digits and a unit.
fn scaled(value: f64, units: [&str; 4]) -> String {
    let mut value = value;
    let mut units = units.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {unit}")
}

/// A duration in seconds, three significant digits and a unit.
pub fn seconds(value: f64) -> String {
    if value >= 1.0 { format!("{value:.2} s") } else { scaled(value * 1e6, ["us", "ms", "s", "s"]) }
}

/// A number of bytes with a unit, in powers of 1000.
pub fn bytes(value: u64) -> String {
    if value < 1000 { format!("{value} B") } else { scaled(value as f64, ["B", "kB", "MB", "GB"]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [0, 999, 1000, 99_949, 999_499, 999_500, 3_000_000_000].map(bytes),
            ["0 B", "999 B", "1.00 kB", "99.9 kB", "999 kB", "1.00 MB", "3.00 GB"]
        );
        assert_eq!(
            [0.000_000_4, 0.001_234, 0.0999, 0.9, 1.0, 321.0].map(seconds),
            ["0.40 us", "1.23 ms", "99.9 ms", "900 ms", "1.00 s", "321.00 s"]
        );
    }
}
