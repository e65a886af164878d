//! How networks are compiled: what `serve` and `inspect` have in common.

use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::Args;
use tacit_compiler::{Answer, CompileOptions};
use tacit_protocol::plan::{ExtensionKind, TreeHeight};

use super::values::named;

/// Fewest and most bits that a ReLU may compare: fewer say nothing of a value, more no value has.
const COMPARED_BITS: RangeInclusive<i64> = 4..=30;

/// Choices that hold for all models of a command line.
#[derive(Clone, Debug, Args)]
pub struct CompileArguments {
    /// Bits that must be left between the largest value that calibration saw in a layer and the largest that fits.
    #[arg(long, alias = "head-room", env = "TACIT_HEADROOM", value_name = "BITS", default_value_t = CompileOptions::default().headroom_bits,
          value_parser = clap::value_parser!(u32).range(0..=15))]
    pub headroom: u32,
    /// Bits that a ReLU compares and keeps, the sign apart, 4 to 30: more are more exact, and cost more bytes and time; more
    /// than 24 take three round trips.
    #[arg(long, env = "TACIT_COMPARED_BITS", value_name = "BITS",
          default_value_t = CompileOptions::default().compared_bits,
          value_parser = clap::value_parser!(u32).range(COMPARED_BITS))]
    pub compared_bits: u32,
    /// Most round trips of a comparison, 2 or 3: with 3 preprocessing sends fewer bytes.
    #[arg(long, env = "TACIT_COMPARISON_ROUND_TRIPS", value_name = "N",
          default_value_t = CompileOptions::default().comparison_round_trips,
          value_parser = clap::value_parser!(u32).range(2..=3))]
    pub comparison_round_trips: u32,
    /// How oblivious transfers are made. `soft-spoken` rests on AES alone; `soft-spoken:HEIGHT` sets the height of its
    /// trees, 1 to 8 instead of 6: the higher, the fewer bytes and the more computation, 8 for slow networks. `silent`
    /// also rests on learning parity with noise, and sends a sixth of the bytes.
    #[arg(long, env = "TACIT_TRANSFERS", value_name = "KIND", default_value = SOFT_SPOKEN, value_parser = transfers)]
    pub transfers: ExtensionKind,
}

/// Name of the extension that rests on AES alone.
const SOFT_SPOKEN: &str = "soft-spoken";

/// `soft-spoken`, `soft-spoken:HEIGHT` or `silent`.
fn transfers(text: &str) -> Result<ExtensionKind, String> {
    if text == "silent" {
        return Ok(ExtensionKind::Silent);
    }
    let height = match text.strip_prefix(SOFT_SPOKEN).ok_or("expected soft-spoken, soft-spoken:HEIGHT or silent")? {
        "" => return Ok(ExtensionKind::DEFAULT),
        rest => rest.strip_prefix(':').and_then(|height| height.parse().ok()).and_then(TreeHeight::new),
    };
    height.map(ExtensionKind::SoftSpoken).ok_or_else(|| "HEIGHT must be 1 to 8".to_owned())
}

impl CompileArguments {
    /// With what is said about one model.
    #[allow(clippy::needless_update, reason = "what has no flag keeps its default, whatever that may be one day")]
    pub(super) fn options(&self, class_only: bool, range: Option<InputRange>) -> CompileOptions {
        CompileOptions {
            headroom_bits: self.headroom,
            compared_bits: self.compared_bits,
            comparison_round_trips: self.comparison_round_trips,
            transfers: self.transfers,
            input_range: range.map(|InputRange { low, high }| (low, high)),
            answer: if class_only { Answer::Class } else { Answer::Logits },
            ..CompileOptions::default()
        }
    }
}

/// `LOW:HIGH`, two numbers of which the first is smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputRange {
    /// Smallest input value.
    pub low: f32,
    /// Largest input value.
    pub high: f32,
}

impl FromStr for InputRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once(':').ok_or("expected LOW:HIGH")?;
        let number = |text: &str| {
            let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| format!("{text:?} is not a finite number"))
        };
        let (low, high) = (number(low)?, number(high)?);
        if low < high { Ok(Self { low, high }) } else { Err("LOW must be smaller than HIGH".to_owned()) }
    }
}

/// `NAME=LOW:HIGH`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRange {
    /// Name of a model, 1 to 256 bytes.
    pub name: String,
    /// Its input range.
    pub range: InputRange,
}

impl FromStr for NamedRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, range) = named(text, "NAME=LOW:HIGH")?;
        Ok(Self { name, range: range.parse()? })
    }
}
