//! Values of flags, read from text.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use humantime::{format_duration, parse_duration};
use tacit_proto::limits::NAME_BYTES;

use super::ConfigError;

/// `NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Name of a model, 1 to 256 bytes.
    pub name: String,
    /// Path of a file.
    pub file: PathBuf,
}

/// The two sides of the first `=`, of which the left one is the name of a model.
pub(super) fn named<'a>(text: &'a str, expected: &str) -> Result<(String, &'a str), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected {expected}"))?;
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(format!("the name must be 1 to {NAME_BYTES} bytes long"));
    }
    Ok((name.to_owned(), value))
}

impl FromStr for NamedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = named(text, "NAME=FILE")?;
        if file.is_empty() {
            return Err("the file is missing after the '='".to_owned());
        }
        Ok(Self { name, file: PathBuf::from(file) })
    }
}

/// Refuses a path where there is no file.
pub(super) fn check_file(flag: &'static str, path: &Path) -> Result<(), ConfigError> {
    let problem = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => format!("{} is not a file", path.display()),
        Err(error) => format!("{}: {error}", path.display()),
    };
    Err(ConfigError::new(flag, problem))
}

/// An address, or a name that has one, with a port.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let resolved = text.to_socket_addrs();
    resolved
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| "expected ADDR:PORT, for example 127.0.0.1:7400".to_owned())
}

/// Bytes, more than none, with an optional decimal or binary unit.
pub(super) fn byte_count(text: &str) -> Result<usize, String> {
    match byte_count_or_none(text)? {
        0 => Err("must be more than 0".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Bytes, with an optional decimal or binary unit.
pub(super) fn byte_count_or_none(text: &str) -> Result<usize, String> {
    let ByteSize(bytes) = text.parse().map_err(|_| "expected bytes or a size such as 256MB or 1GiB".to_owned())?;
    // A number that does not fit into 64 bits is read as the largest one.
    usize::try_from(bytes).ok().filter(|bytes| *bytes < usize::MAX).ok_or_else(|| "too large".to_owned())
}

/// A time within bounds, such as `90s`, `2m` or `1h 30m`; a plain number is seconds.
pub(super) fn duration_within(
    bounds: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let parsed = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => parse_duration(text).map_err(|_| "expected seconds or a time such as 90s or 2m".to_owned())?,
        };
        if bounds.contains(&parsed) {
            return Ok(parsed);
        }
        let [least, most] = [bounds.start(), bounds.end()].map(|bound| format_duration(*bound));
        Err(format!("must be {least} to {most}"))
    }
}
