//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tacit_client::Engine;

use tacit_bench::BenchArguments;

/// Private neural-network inference: the server never sees the input.
#[derive(Debug, Parser)]
#[command(name = "tacit", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Classify inputs privately.
    Infer(InferArguments),
    /// List the models that a server serves.
    Models(ModelsArguments),
    /// Measure what private inference costs: time, bytes, round trips, memory, throughput.
    Bench(Box<BenchCommand>),
}

/// `tacit infer`.
#[derive(Debug, Args)]
pub(crate) struct InferArguments {
    /// Address of the server, for example http://127.0.0.1:7400.
    #[arg(long, env = "TACIT_SERVER", value_name = "URL")]
    pub(crate) server: String,

    /// Name of the model.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: String,

    /// Inputs: .npy arrays, .npz archives (array x) or .png images. Arrays have the shape [n, ...] or that of one
    /// input; float32 is taken as it is, uint8 as pixels.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,

    /// Write the network's outputs here: a .npy file, float32, shape [n, outputs...]; of a network that answers with
    /// classes, int64, one for each input.
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) output: Option<PathBuf>,

    /// Print one JSON object instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) pixels: PixelArguments,

    /// Implementation of the encryption: native or concrete-core.
    #[arg(long, default_value = "native", value_name = "ENGINE", value_parser = engine)]
    pub(crate) engine: Engine,
}

/// How pixels (uint8 arrays and images) become numbers: (pixel / scale - mean) / std.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PixelArguments {
    /// Divide pixels by this [default: 255].
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    pub(crate) scale: Option<f32>,

    /// Subtract this after the division: one number, or one for each channel, separated by commas.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_negative_numbers = true, value_parser = finite)]
    pub(crate) mean: Vec<f32>,

    /// Divide by this at last: one number, or one for each channel, separated by commas.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = positive)]
    pub(crate) std: Vec<f32>,
}

/// `tacit models`.
#[derive(Debug, Args)]
pub(crate) struct ModelsArguments {
    /// Address of the server, for example http://127.0.0.1:7400.
    #[arg(long, env = "TACIT_SERVER", value_name = "URL")]
    pub(crate) server: String,

    /// Print a JSON array instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tacit bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchCommand {
    #[command(flatten)]
    pub(crate) bench: BenchArguments,

    /// Inputs, in turn, as `tacit infer` takes them [default: random values of the plan's range].
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) pixels: PixelArguments,
}

/// An engine by its name.
pub(crate) fn engine(name: &str) -> Result<Engine, String> {
    name.parse().map_err(|error: tacit_client::UnknownEngine| error.to_string())
}

fn finite(text: &str) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("not a finite number".to_string()),
    }
}

fn positive(text: &str) -> Result<f32, String> {
    let number = finite(text)?;
    // Its reciprocal must be a number too.
    if number > 0.0 && number.recip().is_finite() { Ok(number) } else { Err("not a positive number".to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const INFER: [&str; 6] = ["tacit", "infer", "--server", "http://h:1", "--model", "m2"];

    fn parse(more: &[&str]) -> Result<InferArguments, clap::Error> {
        Arguments::try_parse_from(INFER.iter().chain(more)).map(|arguments| match arguments.command {
            Command::Infer(arguments) => arguments,
            other => unreachable!("{other:?}"),
        })
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn infer_takes_many_inputs() {
        let arguments = parse(&["--input", "a.png", "b.png", "--json", "--input", "c.npy"]).unwrap();
        assert_eq!(arguments.input, ["a.png", "b.png", "c.npy"].map(PathBuf::from));
        assert!(arguments.json && arguments.output.is_none());
        assert_eq!(arguments.engine, Engine::Native);
        assert_eq!(arguments.pixels.scale, None);
    }

    #[test]
    fn pixels_have_channels() {
        let arguments = parse(&["--input", "a.npy", "--mean", "0.5,-0.25,0", "--std", "0.2", "--scale", "1"]).unwrap();
        assert_eq!(arguments.pixels.mean, [0.5, -0.25, 0.0]);
        assert_eq!(arguments.pixels.std, [0.2]);
        assert_eq!(arguments.pixels.scale, Some(1.0));
    }

    #[test]
    fn usage_errors_have_status_2() {
        for more in [
            &[][..],
            &["--input"],
            &["--input", "a.npy", "--std", "0"],
            &["--input", "a.npy", "--scale", "-1"],
            &["--input", "a.npy", "--scale", "1e-45"],
            &["--input", "a.npy", "--mean", "NaN"],
            &["--input", "a.npy", "--engine", "other"],
            &["--input", "a.npy", "--unknown"],
        ] {
            assert_eq!(parse(more).unwrap_err().exit_code(), 2, "{more:?}");
        }
    }

    #[test]
    fn models_needs_a_server_only() {
        let arguments = Arguments::try_parse_from(["tacit", "models", "--server", "http://h:1", "--json"]).unwrap();
        assert!(matches!(arguments.command, Command::Models(ModelsArguments { json: true, .. })));
    }
}
