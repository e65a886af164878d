//! End-to-end measurements: a server process and a client process over loopback gRPC.
//!
//! The server runs in a process of its own (this program, started again), so that its memory can be told apart.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, ensure};
use clap::Parser;
use ndarray::Axis;
use serde_json::json;
use tacit_client::{Client, Engine, PhaseStatistics};
use tacit_demo::{bundled, local_server};

/// Measures private inference over loopback: medians of preprocessing and online, bytes, memory.
#[derive(Parser)]
struct Arguments {
    /// Bundled network: m2, m4 or f2.
    #[arg(long, default_value = "m2")]
    model: String,
    /// Runs of each measurement.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Sessions prepared on one stream in the batch measurement.
    #[arg(long, default_value_t = 10)]
    batch: u32,
    /// Prepared sessions that the server holds when its memory is read.
    #[arg(long, default_value_t = 100)]
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
    let outcome = if arguments.serve { serve(&arguments).await } else { run(&arguments).await };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The server process: serves until its standard input closes.
async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let network = bundled::find(&arguments.model)?;
    let compiled = local_server::compile_network(network.onnx, &network.calibration()?)?;
    let server = local_server::LocalServer::start(network.name, &compiled).await?;
    drop(compiled);
    println!("{}", server.url);
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
    server.stop().await;
    Ok(())
}

/// The server process, ended when this is dropped.
struct ServerProcess {
    child: Child,
    url: String,
}

impl ServerProcess {
    fn start(model: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", "--model", model]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server process")?;
        let output = child.stdout.take().context("the server process has no output")?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url)?;
        ensure!(url.starts_with("http://"), "the server process did not start");
        Ok(Self { child, url: url.trim().to_string() })
    }

    /// Resident memory now and at most, in MB, where the system tells.
    fn memory(&self) -> Option<[f64; 2]> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1e3)
        };
        Some([field("VmRSS:")?, field("VmHWM:")?])
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Median, smallest and largest of some seconds, in milliseconds.
fn spread(mut seconds: Vec<f64>) -> [f64; 3] {
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.len() / 2;
    let median = if seconds.len() % 2 == 1 { seconds[middle] } else { (seconds[middle - 1] + seconds[middle]) / 2.0 };
    [median, seconds[0], seconds[seconds.len() - 1]].map(|value| value * 1e3)
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(arguments.runs > 0 && arguments.batch > 0, "at least one run and one session are needed");
    let network = bundled::find(&arguments.model)?;
    let images = network.images()?;
    let server = ServerProcess::start(network.name)?;
    let client = Client::builder().engine(arguments.engine).connect(&server.url).await?;
    let model = client.model(network.name).await?;
    let image = |index: usize| images.index_axis(Axis(0), index % images.len_of(Axis(0))).to_owned();

    // One of each warms up connections, threads and caches.
    model.preprocess(1).await?;
    model.infer(&image(0)).await?;

    let (mut single, mut online, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    let (mut single_cost, mut online_cost) = (PhaseStatistics::default(), PhaseStatistics::default());
    for index in 0..arguments.runs {
        single_cost = model.preprocess(1).await?;
        single.push(single_cost.seconds);
        online_cost = model.infer(&image(index)).await?.online;
        online.push(online_cost.seconds);
    }
    let mut batch_cost = PhaseStatistics::default();
    for _ in 0..arguments.runs.div_ceil(4) {
        batch_cost = model.preprocess(arguments.batch).await?;
        batch.push(batch_cost.seconds / f64::from(arguments.batch));
        for index in 0..arguments.batch as usize {
            model.infer(&image(index)).await?;
        }
    }
    if arguments.held > 0 {
        model.preprocess(arguments.held).await?;
    }
    let memory = server.memory();

    let rows = [
        ("preprocessing, one session", spread(single), single_cost, 1),
        ("preprocessing, in a batch, each", spread(batch), batch_cost, arguments.batch),
        ("online", spread(online), online_cost, 1),
    ];
    if arguments.json {
        let phases: serde_json::Map<_, _> = rows
            .iter()
            .map(|(name, [median, least, most], cost, sessions)| {
                let value = json!({
                    "median_ms": median, "min_ms": least, "max_ms": most,
                    "bytes_sent": cost.bytes_sent / u64::from(*sessions),
                    "bytes_received": cost.bytes_received / u64::from(*sessions),
                    "round_trips": cost.round_trips,
                });
                ((*name).to_string(), value)
            })
            .collect();
        let object = json!({
            "model": network.name, "engine": format!("{:?}", arguments.engine), "runs": arguments.runs,
            "batch": arguments.batch, "phases": phases,
            "server_memory_mb": memory.map(|[now, most]| json!({"sessions": arguments.held, "now": now, "peak": most})),
        });
        println!("{object}");
        return Ok(());
    }
    println!(
        "{} ({:?} engine), {} runs, batches of {}, loopback",
        network.name, arguments.engine, arguments.runs, arguments.batch
    );
    println!("{:<34} {:>9} {:>9} {:>9} {:>10} {:>10} {:>6}", "", "median", "min", "max", "sent", "received", "trips");
    for (name, [median, least, most], cost, sessions) in rows {
        println!(
            "{name:<34} {median:>6.1} ms {least:>6.1} ms {most:>6.1} ms {:>7.0} kB {:>7.0} kB {:>6}",
            cost.bytes_sent as f64 / 1e3 / f64::from(sessions),
            cost.bytes_received as f64 / 1e3 / f64::from(sessions),
            cost.round_trips,
        );
    }
    if let Some([now, most]) = memory {
        println!("server memory with {} prepared sessions: {now:.0} MB now, {most:.0} MB at most", arguments.held);
    }
    Ok(())
}
