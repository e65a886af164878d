//! The log. Only the binary installs it; the library emits spans and events.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::LogFormat;

/// Logs to standard error, so that standard output stays free for `listening on`. `RUST_LOG` chooses what is
/// logged (`LEVEL` or `TARGET=LEVEL`, separated by commas), by default everything from `info` up.
///
/// # Errors
/// If a subscriber is installed already.
pub fn install(format: LogFormat) -> Result<(), TryInitError> {
    let chosen = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let log =
        tracing_subscriber::registry().with(chosen.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.with(lines).try_init(),
        LogFormat::Json => log.with(lines.json()).try_init(),
    }
}
