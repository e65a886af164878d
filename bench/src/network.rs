//! Which network is emulated: how fast, and how far away the other side is.

use std::str::FromStr;
use std::time::Duration;

/// Slowest and fastest link, in bits per second.
const BITS_PER_SECOND: [f64; 2] = [1e3, 1e12];

/// Longest round trip in seconds.
const ROUND_TRIP_SECONDS: f64 = 60.0;

/// One link, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Network {
    /// In each direction.
    pub(crate) bits_per_second: f64,
    /// Half of it in each direction.
    pub(crate) round_trip: Duration,
}

impl Network {
    /// A network in one building.
    pub(crate) const LAN: Self = Self { bits_per_second: 1e9, round_trip: Duration::from_micros(500) };
    /// A network across a continent.
    pub(crate) const WAN: Self = Self { bits_per_second: 1e8, round_trip: Duration::from_millis(40) };

    /// How long the link is busy with `bytes` bytes.
    pub(crate) fn duration(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 8.0 / self.bits_per_second)
    }
}

impl FromStr for Network {
    type Err = String;

    /// `lan`, `wan`, or rate and round trip: `100Mbit:40ms`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lan" => return Ok(Self::LAN),
            "wan" => return Ok(Self::WAN),
            _ => {}
        }
        let (rate, delay) = text.split_once(':').ok_or("expected lan, wan or RATE:DELAY, for example 100Mbit:40ms")?;
        let bits_per_second = quantity(rate, &[("kbit", 1e3), ("Mbit", 1e6), ("Gbit", 1e9)])?;
        let seconds = quantity(delay, &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)])?;
        let [slowest, fastest] = BITS_PER_SECOND;
        if !(slowest..=fastest).contains(&bits_per_second) {
            return Err(format!("{rate} is not a rate from 1kbit to 1000Gbit"));
        }
        if !(0.0..=ROUND_TRIP_SECONDS).contains(&seconds) {
            return Err(format!("{delay} is not a delay from 0s to {ROUND_TRIP_SECONDS}s"));
        }
        Ok(Self { bits_per_second, round_trip: Duration::from_secs_f64(seconds) })
    }
}

/// A number with a unit.
fn quantity(text: &str, units: &[(&str, f64)]) -> Result<f64, String> {
    let parsed = units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Some(number * factor)
    });
    let names: Vec<&str> = units.iter().map(|(unit, _)| *unit).collect();
    parsed.ok_or_else(|| format!("{text:?} is not a number with one of the units {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_names_or_numbers() {
        assert_eq!("lan".parse(), Ok(Network::LAN));
        assert_eq!("wan".parse(), Ok(Network::WAN));
        assert_eq!("100Mbit:40ms".parse(), Ok(Network::WAN));
        assert_eq!("1 Gbit:500us".parse(), Ok(Network::LAN));
        let slow = Network { bits_per_second: 1500.0, round_trip: Duration::from_secs(2) };
        assert_eq!("1.5kbit:2s".parse(), Ok(slow));
        assert_eq!("1Gbit:0s".parse::<Network>().unwrap().round_trip, Duration::ZERO);
    }

    #[test]
    fn other_networks_are_refused() {
        for text in
            ["", "LAN", "100Mbit", "100:40ms", "100Mbit:40", "0Gbit:1ms", "NaNGbit:1ms", "1Gbit:-1ms", "infGbit:1s"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert!("1Gbit:61s".parse::<Network>().unwrap_err().contains("61s"));
    }

    #[test]
    fn the_rate_is_in_bits() {
        assert_eq!(Network::WAN.duration(12_500_000), Duration::from_secs(1));
    }
}
