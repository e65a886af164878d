//! Times that a server reports. They come beside a message, not in it: the state machines never see them.

use std::time::Duration;

use tacit_protocol::session::{OnlineResponse, PreprocessResponse};

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

/// A message of the server, and what it reports beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed<T> {
    /// The message.
    pub message: T,
    /// How long the server has computed for the stream, if it tells.
    pub times: Option<StepTimes>,
}

impl TryFrom<pb::PreprocessResponse> for Timed<PreprocessResponse> {
    type Error = ConvertError;

    fn try_from(wire: pb::PreprocessResponse) -> Result<Self, ConvertError> {
        let times = wire.times.map(StepTimes::try_from).transpose()?;
        Ok(Self { message: wire.try_into()?, times })
    }
}

impl TryFrom<Timed<PreprocessResponse>> for pb::PreprocessResponse {
    type Error = ConvertError;

    fn try_from(timed: Timed<PreprocessResponse>) -> Result<Self, ConvertError> {
        Ok(Self { times: timed.times.map(Into::into), ..timed.message.try_into()? })
    }
}

impl TryFrom<pb::OnlineResponse> for Timed<OnlineResponse> {
    type Error = ConvertError;

    fn try_from(wire: pb::OnlineResponse) -> Result<Self, ConvertError> {
        let times = wire.times.map(StepTimes::try_from).transpose()?;
        Ok(Self { message: wire.try_into()?, times })
    }
}

impl TryFrom<Timed<OnlineResponse>> for pb::OnlineResponse {
    type Error = ConvertError;

    fn try_from(timed: Timed<OnlineResponse>) -> Result<Self, ConvertError> {
        Ok(Self { times: timed.times.map(Into::into), ..timed.message.try_into()? })
    }
}
