//! The command line of `tacit bench`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use tacit_client::Engine;

use crate::network::Network;

/// What is measured, and where.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Address of a running server, for example http://127.0.0.1:7400.
    #[arg(long, value_name = "URL", requires = "model", required_unless_present = "onnx", conflicts_with = "onnx")]
    pub(crate) server: Option<String>,

    /// Start a server of this network, and end it when done.
    #[arg(long, value_name = "FILE.onnx")]
    pub(crate) onnx: Option<PathBuf>,

    /// Name of the model; of a server that is started here the default is "network".
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,

    /// Calibration inputs of the server that is started (.npy or .npz).
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub(crate) calibration: Option<PathBuf>,

    /// The program that is started as the server [default: model-server beside this program].
    #[arg(long, value_name = "PATH", conflicts_with = "server")]
    pub(crate) model_server: Option<PathBuf>,

    /// Runs of each measurement.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,

    /// Sessions that are prepared together in the batch measurement.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) batch: u32,

    /// Prepared sessions that the server holds when its memory is read, if it is started here.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) held: u32,

    /// Inferences of each throughput measurement, and at least 4 of each client; fewer than 100 have no 99th percentile to
    /// speak of.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) inferences: u32,

    /// Clients that infer at the same time, each over a connection of its own, in the throughput measurements: at most 1000, as
    /// a server takes 1024 connections.
    #[arg(long, default_value = "1,8,64", value_name = "NUMBERS", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) clients: Vec<u32>,

    /// Threads that compute, of this program and of the server that is started [default: one per processor].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Emulate a network: lan (1 Gbit/s, 0.5 ms), wan (100 Mbit/s, 40 ms), or rate in each direction and round trip, for
    /// example 100Mbit:40ms.
    #[arg(long, value_name = "lan|wan|RATE:DELAY")]
    pub(crate) network: Option<Network>,

    /// Implementation of the encryption: native or concrete-core.
    #[arg(long, default_value = "native", value_name = "ENGINE", value_parser = engine)]
    pub(crate) engine: Engine,

    /// Write pictures of throughput and of time by kind (SVG) into this folder, which is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) pictures: Option<PathBuf>,

    /// Print one JSON object instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// More arguments for `model-server serve`.
    #[arg(last = true, conflicts_with = "server", value_name = "SERVER_ARGUMENTS")]
    pub(crate) server_arguments: Vec<OsString>,
}

/// An engine by its name.
fn engine(name: &str) -> Result<Engine, String> {
    name.parse().map_err(|error: tacit_client::UnknownEngine| error.to_string())
}

/// Parses a command with these arguments alone.
#[cfg(test)]
pub(crate) fn parse(arguments: &[&str]) -> Result<BenchArguments, clap::Error> {
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Bench {
        #[command(flatten)]
        arguments: BenchArguments,
    }

    Bench::try_parse_from(["bench"].iter().chain(arguments)).map(|bench| bench.arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_published_figures() {
        let arguments = parse(&["--server", "http://h:1", "--model", "m2"]).unwrap();
        assert_eq!((arguments.runs, arguments.batch, arguments.held, arguments.inferences), (20, 10, 10, 200));
        assert_eq!(arguments.clients, [1, 8, 64]);
        assert!(arguments.network.is_none() && arguments.threads.is_none() && !arguments.json);
    }

    #[test]
    fn a_server_is_started_with_what_it_needs() {
        let arguments =
            ["--onnx", "a.onnx", "--calibration", "c.npz", "--threads", "2", "--network", "wan", "--clients", "1,2"];
        let arguments = parse(&[&arguments[..], &["--", "--class-only", "network"]].concat()).unwrap();
        assert_eq!(arguments.onnx, Some(PathBuf::from("a.onnx")));
        assert_eq!(arguments.threads.map(NonZeroUsize::get), Some(2));
        assert_eq!(arguments.network, Some(Network::WAN));
        assert_eq!(arguments.clients, [1, 2]);
        assert_eq!(arguments.server_arguments, ["--class-only", "network"]);
    }

    #[test]
    fn usage_errors_have_status_2() {
        let server = ["--server", "http://h:1", "--model", "m2"];
        for arguments in [
            &[][..],
            &["--server", "http://h:1"],
            &["--model", "m2"],
            &["--server", "http://h:1", "--model", "m2", "--onnx", "a.onnx"],
            &["--server", "http://h:1", "--model", "m2", "--calibration", "c.npz"],
            &["--server", "http://h:1", "--model", "m2", "--", "--class-only", "m2"],
            &[&server[..], &["--runs", "0"]].concat(),
            &[&server[..], &["--batch", "257"]].concat(),
            &[&server[..], &["--held", "0"]].concat(),
            &[&server[..], &["--inferences", "0"]].concat(),
            &[&server[..], &["--clients", "1,0"]].concat(),
            &[&server[..], &["--clients", "1,1001"]].concat(),
            &[&server[..], &["--threads", "0"]].concat(),
            &[&server[..], &["--network", "moon"]].concat(),
        ] {
            assert_eq!(parse(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }
}
