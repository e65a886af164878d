//! Classifies bundled images privately, over real gRPC, and compares with plain inference.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use ndarray::Axis;
use tacit_client::{Client, PhaseStatistics};
use tacit_demo::images::class;
use tacit_demo::{bundled, local_server};

/// Private inference on bundled images: a server and a client over loopback.
#[derive(Parser)]
struct Arguments {
    /// Bundled network: m2, m4 or f2.
    #[arg(long, default_value = "m2")]
    model: String,
    /// How many of the bundled images, at most 20.
    #[arg(long, default_value_t = 20)]
    images: usize,
}

/// How far a private logit may be from the plain network's before this demo calls it a disagreement.
const TOLERANCE: f32 = 1.0;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let network = bundled::find(&arguments.model)?;
    let (images, labels, expected) = (network.images()?, network.labels()?, network.expected()?);
    let available = images.len_of(Axis(0)).min(labels.len()).min(expected.nrows());
    ensure!((1..=available).contains(&arguments.images), "between 1 and {available} images are bundled");

    let compiled = local_server::compile_network(network.onnx, &network.calibration()?)?;
    let server = local_server::LocalServer::start(network.name, &compiled).await?;
    println!("{}: {}", network.name, network.about);
    println!("server at {}, client in its own task, real gRPC between them\n", server.url);

    let client = Client::connect(&server.url).await?;
    let model = client.model(network.name).await?;
    let mut preparation = model.preprocess(u32::try_from(arguments.images)?).await?;
    let count = arguments.images as f64;
    preparation.seconds /= count;

    println!(
        "{:>5}  {:>5}  {:>7}  {:>5}  {:>10}  {:>9}  {:>8}  {:>8}",
        "image", "digit", "private", "plain", "logits off", "online", "sent", "received"
    );
    let mut disagreements = 0;
    let mut online = PhaseStatistics::default();
    for (index, label) in labels.iter().enumerate().take(arguments.images) {
        let image = images.index_axis(Axis(0), index).to_owned();
        let plain: Vec<f32> = expected.row(index).to_vec();
        let inference = model.infer(&image).await?;
        let difference =
            inference.logits.iter().zip(&plain).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max);
        let agrees = inference.class == class(&plain) && difference <= TOLERANCE;
        disagreements += usize::from(!agrees);
        println!(
            "{index:>5}  {label:>5}  {:>7}  {:>5}  {difference:>10.4}  {:>6.2} ms  {:>5.1} kB  {:>5.1} kB{}",
            inference.class,
            class(&plain),
            inference.online.seconds * 1e3,
            inference.online.bytes_sent as f64 / 1e3,
            inference.online.bytes_received as f64 / 1e3,
            if agrees { "" } else { "  DISAGREES" },
        );
        online += inference.online;
    }

    println!("\nper inference       time        sent    received   round trips");
    let row = |name: &str, seconds: f64, sent: f64, received: f64, trips: f64| {
        println!(
            "{name:<14} {:>6.1} ms  {:>7.0} kB  {:>7.0} kB  {trips:>12.1}",
            seconds * 1e3,
            sent / 1e3,
            received / 1e3
        );
    };
    let share = |bytes: u64| bytes as f64 / count;
    row(
        "preprocessing",
        preparation.seconds,
        share(preparation.bytes_sent),
        share(preparation.bytes_received),
        f64::from(preparation.round_trips) / count,
    );
    row(
        "online",
        online.seconds / count,
        share(online.bytes_sent),
        share(online.bytes_received),
        f64::from(online.round_trips) / count,
    );
    let agreeing = arguments.images - disagreements;
    println!("\n{agreeing} of {} private answers agree with plain inference", arguments.images);
    server.stop().await;
    Ok(disagreements == 0)
}
