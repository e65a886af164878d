//! Times that a server reports. They come beside a message, not in it: the state machines never see them.

use std::time::Duration;

use super::ConvertError;
use super::check::wide;
use crate::times::StepTimes;
use crate::{limits, pb};

fn duration(field: &str, nanoseconds: u64) -> Result<Duration, ConvertError> {
    wide(field, nanoseconds, 0..=limits::TIME_NANOSECONDS - 1).map(Duration::from_nanos)
}

impl TryFrom<pb::StepTimes> for StepTimes {
    type Error = ConvertError;

    fn try_from(wire: pb::StepTimes) -> Result<Self, ConvertError> {
        let times = || {
            Ok(Self {
                encryption: duration("encryption", wire.encryption)?,
                transfers: duration("transfers", wire.transfers)?,
                linear: duration("linear", wire.linear)?,
                activation: duration("activation", wire.activation)?,
            })
        };
        times().map_err(|error: ConvertError| error.within("times"))
    }
}

impl From<StepTimes> for pb::StepTimes {
    fn from(times: StepTimes) -> Self {
        // Nobody waits for a hundred days; a time beyond them is the largest that can be told.
        let nanoseconds =
            |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(limits::TIME_NANOSECONDS - 1);
        Self {
            encryption: nanoseconds(times.encryption),
            transfers: nanoseconds(times.transfers),
            linear: nanoseconds(times.linear),
            activation: nanoseconds(times.activation),
        }
    }
}
