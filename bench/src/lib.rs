//! What private inference costs, end to end: time by kind of work, bytes, round trips, memory and throughput.
//!
//! `tacit bench` runs it. The network emulator (`proxy`) and the pictures are part of it.

mod arguments;
mod clock;
mod figures;
mod measure;
mod network;
mod pictures;
mod process;
mod proxy;
mod report;
mod subject;
pub mod terminal;
mod throughput;
mod usage;

use std::io::Write as _;

use ndarray::ArrayD;
use rand::RngExt as _;
use tacit_client::Model;
use tonic::transport::Uri;

pub use arguments::BenchArguments;

use figures::{Figures, MemoryFigures, phases};
use measure::Measurements;
use process::ServerProcess;
use proxy::Proxy;
use subject::Bench;
use terminal::Failure;
use usage::Process;

/// Random inputs that are used in turn.
const RANDOM_INPUTS: usize = 8;

/// Measures and reports, unless a signal ends it before. `inputs` gives the inputs that are used in turn, of shape
/// `[n, dimensions...]`; without any, random values of the plan's range are used.
///
/// # Errors
/// What went wrong, in one line.
pub async fn run(
    arguments: BenchArguments,
    inputs: impl FnOnce(&Model) -> Result<Option<ArrayD<f32>>, Failure>,
) -> Result<(), Failure> {
    // Signals are waited for before a server is started: it ends with this program.
    tokio::select! {
        biased;
        () = interrupted() => Err(Failure::message("interrupted")),
        result = measure_and_report(&arguments, inputs) => result,
    }
}

async fn measure_and_report(
    arguments: &BenchArguments,
    inputs: impl FnOnce(&Model) -> Result<Option<ArrayD<f32>>, Failure>,
) -> Result<(), Failure> {
    arguments.pictures.as_deref().map_or(Ok(()), pictures::make_folder)?;
    let mut started = match &arguments.onnx {
        Some(onnx) => Some(ServerProcess::start(onnx, arguments).await?),
        None => None,
    };
    let server = started.as_ref().map(ServerProcess::url).or(arguments.server.as_deref()).unwrap_or_default();
    let proxy = emulation(arguments, server)?;
    let url = proxy.as_ref().map_or_else(|| server.to_string(), |proxy| format!("http://{}", proxy.address()));
    let model = subject::builder(arguments).connect(&url).await?.model(process::model_name(arguments)).await?;
    let inputs = tokio::task::block_in_place(|| inputs(&model))?.unwrap_or_else(|| random_inputs(&model));
    let server = started.as_ref().map(|started| Process::Other(started.id()));
    let bench = Bench { arguments, url: &url, server, model, inputs };
    let measurements = match (bench.run().await, &mut started) {
        (Err(failure), Some(started)) => return Err(started.has_ended().await.unwrap_or(failure)),
        (result, _) => result?,
    };
    let figures = figures(&bench, &measurements);
    print(&figures, arguments.json)?;
    // Last, so that figures that took minutes are not lost with the pictures.
    arguments.pictures.as_deref().map_or(Ok(()), |folder| pictures::write(&figures, folder))
}

fn print(figures: &Figures, as_json: bool) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::new("cannot print", error);
    let text = if as_json {
        serde_json::to_string(figures).map_err(|error| failed(&error))? + "\n"
    } else {
        figures.to_string()
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| failed(&error))
}

/// The proxy in front of the server, if a network is to be emulated.
fn emulation(arguments: &BenchArguments, server: &str) -> Result<Option<Proxy>, Failure> {
    let Some(network) = arguments.network else {
        return Ok(None);
    };
    let uri: Uri = server.parse().map_err(|error| Failure::new(server, &error))?;
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(Failure::message(format!("--network needs a server of the form http://HOST:PORT, not {server}")));
    };
    // An address of IPv6 has brackets in a URL only.
    let host = host.trim_matches(['[', ']']).to_string();
    let proxy = Proxy::start(network, host, uri.port_u16().unwrap_or(80));
    proxy.map(Some).map_err(|error| Failure::new("cannot emulate a network", &error))
}

/// Uniform in the range that the plan declares.
fn random_inputs(model: &Model) -> ArrayD<f32> {
    let input = &model.plan().input;
    let shape: Vec<usize> = std::iter::once(RANDOM_INPUTS).chain(input.dimensions.iter().copied()).collect();
    let mut generator = rand::rng();
    ArrayD::from_shape_simple_fn(shape, || generator.random_range(input.low..=input.high))
}

fn figures(bench: &Bench<'_>, measurements: &Measurements) -> Figures {
    let Bench { arguments, model, .. } = bench;
    let [preprocessing, preprocessing_batch, online, first_online] = phases(measurements, model, arguments.network);
    let mut notes = Vec::new();
    let mut note = |text: &str| notes.push(text.to_string());
    if preprocessing.processor_seconds.client.is_none() {
        note("processor time and memory are known on Linux only");
    }
    if bench.server.is_none() {
        note("a server's times, processor time and memory are known only if it was started here");
    }
    if arguments.network.is_some() {
        note("the network is emulated by this program, on the same processors; its own work is not counted");
    }
    if measurements.memory.server_peak.is_some() && measurements.memory.server_held.is_none() {
        note(
            "the server has no room for the sessions that it was to hold; -- --session-memory SIZE gives it more, and \
             -- --sessions-per-connection N lets one client have more",
        );
    }
    for clients in &measurements.crowds {
        note(&format!(
            "the server has no room for a session of each of {clients} clients; if it was started here, \
             -- --session-memory SIZE gives it more"
        ));
    }
    if measurements.throughput.iter().any(|level| level.latencies.len() < 100) {
        note("with fewer than 100 inferences the p99 is the slowest of them");
    }
    let file = arguments.onnx.as_ref().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    Figures {
        model: model.name().to_string(),
        file,
        digest: model.digest().to_string(),
        engine: arguments.engine.to_string(),
        runs: arguments.runs,
        threads: arguments.threads.map(std::num::NonZeroUsize::get),
        network: arguments.network.map(Into::into),
        preprocessing,
        preprocessing_batch,
        online,
        first_online,
        memory: MemoryFigures::new(&measurements.memory, arguments.held),
        throughput: measurements.throughput.iter().map(Into::into).collect(),
        notes,
    }
}

/// Waits for the signals that end programs.
#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        // Then it ends as programs without handlers do.
        Err(_) => std::future::pending().await,
    }
}

/// Waits for the signal that ends programs.
#[cfg(not(unix))]
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
