//! `tacit`: private inference from the command line.

mod args;
mod data;
mod infer;
mod models;
mod report;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Arguments, Command};
use tacit_bench::terminal::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = std::env::var("TACIT_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    tracing_subscriber::registry()
        .with(chosen.unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR)))
        .with(fmt::layer().with_writer(std::io::stderr))
        .init();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::new("cannot start", error);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let threads = if let Command::Bench(command) = &command { command.bench.threads } else { None };
    if let Some(threads) = threads {
        builder.worker_threads(threads.get());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
        pool.build_global().map_err(|error| failed(&error))?;
    }
    let runtime = builder.enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        match command {
            Command::Infer(arguments) => infer::run(arguments).await,
            Command::Models(arguments) => models::run(arguments).await,
            Command::Bench(command) => bench(*command).await,
        }
    })
}

async fn bench(command: args::BenchCommand) -> Result<(), Failure> {
    let args::BenchCommand { bench, inputs, pixels } = command;
    let load = |model: &tacit_client::Model| {
        let files = (!inputs.is_empty()).then_some(&inputs);
        files.map(|files| data::load(files, &pixels, model).map(|batch| batch.inputs)).transpose()
    };
    tacit_bench::run(bench, load).await
}
