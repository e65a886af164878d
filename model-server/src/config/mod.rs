//! Command line and environment, parsed and checked before anything is loaded or bound.
//!
//! Every error names the flag that it comes from.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tacit_compiler::CompileOptions;

use crate::limits::Limits;

mod compile;
mod values;

pub use compile::{CompileArguments, InputRange, NamedRange};
pub use values::NamedFile;
use values::{byte_count, byte_count_or_none, check_file, duration_within, listen_address};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Longest lifetime of a session: ten years.
const MAX_SESSION_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Longest time that a call may wait for its client.
const MAX_IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Longest wait for inferences at shutdown, and for the answer of a health check.
const MAX_SHORT_WAIT: Duration = HOUR;

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {problem}")]
pub struct ConfigError {
    /// The flag, for example `--model`.
    pub flag: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

impl ConfigError {
    fn new(flag: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { flag, problem }
    }
}

/// Serves networks for private inference.
#[derive(Debug, Parser)]
#[command(name = "model-server", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Form of the log on standard error; RUST_LOG chooses what is logged.
    #[arg(long, env = "TACIT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve models over gRPC.
    Serve(ServeArguments),
    /// Show what a network compiles to: plan, merges, noise margins, expected traffic.
    Inspect(InspectArguments),
    /// Ask a running server for its health; succeeds only if it serves.
    Healthcheck(HealthcheckArguments),
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Address to listen on; port 0 takes any free port.
    #[arg(long, env = "TACIT_LISTEN", value_name = "ADDR:PORT", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// A model and the name to serve it under; repeat for more (in the environment separated by ';').
    #[arg(long = "model", env = "TACIT_MODEL", value_name = "NAME=FILE.onnx", required = true, value_delimiter = ';')]
    pub models: Vec<NamedFile>,
    /// Calibration inputs (.npy or .npz) of the model of that name; repeat for more.
    #[arg(long = "calibration", env = "TACIT_CALIBRATION", value_name = "NAME=FILE", value_delimiter = ';')]
    pub calibrations: Vec<NamedFile>,
    /// Reveal only the class of the model of that name, and none of its logits; repeat for more.
    #[arg(long, env = "TACIT_CLASS_ONLY", value_name = "NAME", value_delimiter = ';')]
    pub class_only: Vec<String>,
    /// Smallest and largest input value of the model of that name [default: from its calibration]; repeat for more.
    #[arg(long = "input-range", env = "TACIT_INPUT_RANGE", value_name = "NAME=LOW:HIGH", value_delimiter = ';')]
    pub input_ranges: Vec<NamedRange>,
    /// What holds for all models.
    #[command(flatten)]
    pub compile: CompileArguments,
    /// Threads that compute, for preprocessing and for online work each [default: one per processor].
    #[arg(long, env = "TACIT_THREADS", value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// How long a prepared session is kept: seconds, or with units, for example 30m.
    #[arg(long, env = "TACIT_SESSION_LIFETIME", value_name = "TIME", default_value = "1h",
          value_parser = duration_within(SECOND..=MAX_SESSION_LIFETIME))]
    pub session_lifetime: Duration,
    /// Memory for prepared sessions: bytes, or with a unit, for example 256MB or 1GiB.
    #[arg(long, env = "TACIT_SESSION_MEMORY", value_name = "SIZE", default_value = "1GiB", value_parser = byte_count)]
    pub session_memory: usize,
    /// Memory for transformed weights of all models together, in bytes or with a unit; models take it in the order given.
    /// What does not fit is transformed for every session, which costs time; 0 holds none.
    #[arg(long, env = "TACIT_WEIGHT_MEMORY", value_name = "SIZE", default_value = "512MiB",
          value_parser = byte_count_or_none)]
    pub weight_memory: usize,
    /// Most sessions that one Preprocess call prepares.
    #[arg(long, env = "TACIT_SESSIONS_PER_CALL", value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub sessions_per_call: u32,
    /// Most unused sessions that were prepared over one connection.
    #[arg(long, env = "TACIT_SESSIONS_PER_CONNECTION", value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub sessions_per_connection: u32,
    /// How long a call may wait for its client.
    #[arg(long, env = "TACIT_IDLE_TIMEOUT", value_name = "TIME", default_value = "2m",
          value_parser = duration_within(SECOND..=MAX_IDLE_TIMEOUT))]
    pub idle_timeout: Duration,
    /// How long inferences may go on after SIGTERM or SIGINT.
    #[arg(long, env = "TACIT_GRACE_PERIOD", value_name = "TIME", default_value = "10s",
          value_parser = duration_within(Duration::ZERO..=MAX_SHORT_WAIT))]
    pub grace_period: Duration,
    /// Tell clients how long the server computed for them, by kind of work: for measurements.
    #[arg(long, env = "TACIT_REPORT_TIMES")]
    pub report_times: bool,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// The network.
    #[arg(long, value_name = "FILE.onnx")]
    pub model: PathBuf,
    /// Calibration inputs (.npy or .npz).
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// Other inputs, to see how far they leave the ranges of the calibration inputs; fails if one leaves the headroom.
    #[arg(long, value_name = "FILE", requires = "calibration")]
    pub independent: Option<PathBuf>,
    /// Reveal only the class, and no logits.
    #[arg(long)]
    pub class_only: bool,
    /// Smallest and largest input value [default: from the calibration inputs].
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    pub input_range: Option<InputRange>,
    /// What `serve` takes too.
    #[command(flatten)]
    pub compile: CompileArguments,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArguments {
    /// The server, where it is not the one that `--listen` tells of.
    #[arg(long, env = "TACIT_HEALTHCHECK_SERVER", value_name = "http://ADDR:PORT")]
    pub server: Option<String>,
    /// What the server was told to listen on.
    #[arg(long, env = "TACIT_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:7400",
          value_parser = listen_address)]
    pub listen: SocketAddr,
    /// How long to wait for the answer.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration_within(Duration::ZERO..=MAX_SHORT_WAIT))]
    pub timeout: Duration,
}

impl HealthcheckArguments {
    /// The URL to ask. A server that listens on all addresses of the host is asked on loopback.
    pub fn url(&self) -> String {
        let reachable = match self.listen.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            address => address,
        };
        let listening = || format!("http://{}", SocketAddr::new(reachable, self.listen.port()));
        self.server.clone().unwrap_or_else(listening)
    }
}

/// A model to load.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSource {
    /// Name under which it is served.
    pub name: String,
    /// The network.
    pub network: PathBuf,
    /// Calibration inputs.
    pub calibration: Option<PathBuf>,
    /// How it is compiled.
    pub options: CompileOptions,
}

/// The checked settings of `serve`.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// What to serve, each name once.
    pub models: Vec<ModelSource>,
    /// Bytes for transformed weights of all models together.
    pub weight_memory: usize,
    /// Bounds and times.
    pub limits: Limits,
}

impl ServeArguments {
    /// Checks what the flags say together, and that the files are there.
    ///
    /// # Errors
    /// [`ConfigError`] naming the flag.
    pub fn into_config(self) -> Result<ServeConfig, ConfigError> {
        const MODEL: &str = "--model";
        const CALIBRATION: &str = "--calibration";
        const CLASS_ONLY: &str = "--class-only";
        const INPUT_RANGE: &str = "--input-range";
        let names = unique(MODEL, self.models.iter().map(|model| &model.name))?;
        self.models.iter().try_for_each(|model| check_file(MODEL, &model.file))?;
        let known = |flag, given: BTreeSet<&str>| match given.difference(&names).next() {
            Some(name) => Err(ConfigError::new(flag, format!("there is no model of the name {name:?}"))),
            None => Ok(()),
        };
        known(CALIBRATION, unique(CALIBRATION, self.calibrations.iter().map(|calibration| &calibration.name))?)?;
        self.calibrations.iter().try_for_each(|calibration| check_file(CALIBRATION, &calibration.file))?;
        known(CLASS_ONLY, unique(CLASS_ONLY, &self.class_only)?)?;
        known(INPUT_RANGE, unique(INPUT_RANGE, self.input_ranges.iter().map(|range| &range.name))?)?;
        let models = self.models.iter().map(|model| self.source(model)).collect();
        let defaults = Limits::default();
        Ok(ServeConfig {
            listen: self.listen,
            models,
            weight_memory: self.weight_memory,
            limits: Limits {
                threads: self.threads.map_or(defaults.threads, NonZeroUsize::get),
                session_lifetime: self.session_lifetime,
                session_memory: self.session_memory,
                sessions_per_call: self.sessions_per_call,
                sessions_per_connection: self.sessions_per_connection,
                idle_timeout: self.idle_timeout,
                grace_period: self.grace_period,
                report_times: self.report_times,
                ..defaults
            },
        })
    }

    /// A model with what the other flags say about its name.
    fn source(&self, model: &NamedFile) -> ModelSource {
        let calibration = self.calibrations.iter().find(|other| other.name == model.name);
        let range = self.input_ranges.iter().find(|other| other.name == model.name);
        ModelSource {
            name: model.name.clone(),
            network: model.file.clone(),
            calibration: calibration.map(|calibration| calibration.file.clone()),
            options: self.compile.options(self.class_only.contains(&model.name), range.map(|range| range.range)),
        }
    }
}

/// The names given with one flag, each of them once.
fn unique<'a>(
    flag: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<BTreeSet<&'a str>, ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.as_str()) {
            return Err(ConfigError::new(flag, format!("the name {name:?} is given twice")));
        }
    }
    Ok(seen)
}

impl InspectArguments {
    /// Checks that the files are there.
    ///
    /// # Errors
    /// [`ConfigError`] naming the flag.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_file("--model", &self.model)?;
        let samples = [("--calibration", &self.calibration), ("--independent", &self.independent)];
        samples.into_iter().try_for_each(|(flag, file)| file.as_ref().map_or(Ok(()), |file| check_file(flag, file)))
    }

    /// How the network is compiled.
    pub fn options(&self) -> CompileOptions {
        self.compile.options(self.class_only, self.input_range)
    }
}

#[cfg(test)]
mod tests;
