//! Wires the parts of the binary together.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Arguments, Command, HealthcheckArguments, ServeArguments};
use crate::server::{Server, ShutdownHandle};
use crate::{health, inspect, load, telemetry};

/// Runs the command line. Errors go to standard error; the exit code is 2 for unusable settings, else 1.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = telemetry::install(arguments.log_format) {
        return fail(&error.into());
    }
    let result = match arguments.command {
        Command::Serve(arguments) => serve(arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // With its causes.
    eprintln!("error: {error:#}");
    ExitCode::from(if error.is::<crate::config::ConfigError>() { 2 } else { 1 })
}

fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    let config = arguments.into_config()?;
    let threads = config.limits.threads;
    let mut builder = Server::builder().limits(config.limits);
    let mut weight_memory = config.weight_memory;
    for source in &config.models {
        builder = builder.model(source.name.as_str(), load::model(source, &mut weight_memory)?);
    }
    // What moves messages takes no more threads than what computes.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let server = builder.bind(config.listen).await?;
        let shutdown = server.shutdown_handle();
        tokio::spawn(stop_on_signal(shutdown)?);
        announce(&server)?;
        Ok(server.serve().await?)
    })
}

/// The line that scripts wait for.
fn announce(server: &Server) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "listening on {}", server.local_address())?;
    output.flush()
}

/// Shuts the server down at the first SIGTERM or SIGINT, and aborts what is left at the second.
fn stop_on_signal(shutdown: ShutdownHandle) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        shutdown.shut_down();
        next().await;
        shutdown.abort();
    })
}

fn healthcheck(arguments: HealthcheckArguments) -> anyhow::Result<()> {
    Ok(Runtime::new()?.block_on(health::check(arguments.url(), arguments.timeout))?)
}
