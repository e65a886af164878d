//! End-to-end measurements: a server process and a client process over loopback gRPC.
//!
//! The server runs in a process of its own (this program, started again), so that its memory can be told apart.

mod measure;
mod network;
mod report;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tacit_client::Engine;
use tacit_demo::pixels::PixelArguments;

/// Measures private inference over loopback: medians of preprocessing and online, bytes, memory.
#[derive(Parser)]
struct Arguments {
    /// Bundled network (`demo --list` shows them), or a file: then give --inputs too.
    #[arg(long, default_value = "m2", value_name = "NAME|FILE.onnx")]
    model: String,
    /// Calibration inputs of a file's network (.npy, or .npz with array x) [default: uniform noise from 0 to 1].
    #[arg(long, value_name = "FILE", requires = "inputs")]
    calibration: Option<PathBuf>,
    /// Inputs of a file's network (.npy, or .npz with array x).
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Logits of those inputs in plain inference (.npy, or .npz with array logits), to compare with.
    #[arg(long, value_name = "FILE", requires = "inputs")]
    expected: Option<PathBuf>,
    #[command(flatten)]
    pixels: PixelArguments,
    /// Measure answers that reveal the class only.
    #[arg(long)]
    class_only: bool,
    /// Most round trips of a comparison, 2 or 3.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=3))]
    comparison_round_trips: u32,
    /// Runs of each measurement.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Sessions prepared on one stream in the batch measurement.
    #[arg(long, default_value_t = 10)]
    batch: u32,
    /// Prepared sessions that the server holds when its memory is read; more than 1 GiB of them it refuses.
    #[arg(long, default_value_t = 10)]
    held: u32,
    /// Encryption backend of the client.
    #[arg(long, default_value = "native")]
    engine: Engine,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Serves the network and prints its address: how this program starts its server.
    #[arg(long, hide = true)]
    serve: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = if arguments.serve { server::serve(&arguments).await } else { run(&arguments).await };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let measurements = measure::run(arguments).await?;
    if arguments.json {
        println!("{}", report::json(arguments, &measurements));
    } else {
        report::print(arguments, &measurements);
    }
    Ok(())
}
