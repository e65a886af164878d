//! Classifies bundled images privately, over real gRPC, and compares with plain inference.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use ndarray::Axis;
use tacit_client::{Client, Inference, PhaseStatistics};
use tacit_compiler::{Answer, CompileOptions};
use tacit_demo::images::class;
use tacit_demo::{bundled, local_server};

/// Private inference on bundled images: a server and a client over loopback.
#[derive(Parser)]
struct Arguments {
    /// Bundled network; --list shows them.
    #[arg(long, default_value = "m2")]
    model: String,
    /// How many of the bundled images, at most 20.
    #[arg(long, default_value_t = 20)]
    images: usize,
    /// Reveal the class only: the largest logit is found under the protocol, and no logit leaves it.
    #[arg(long)]
    class_only: bool,
    /// List the bundled networks and stop.
    #[arg(long)]
    list: bool,
}

/// How far a private logit may be from the plain network's before this demo calls it a disagreement.
const TOLERANCE: f32 = 1.0;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        bundled::NETWORKS.iter().for_each(|network| println!("{}  {}", network.name, network.about));
        return ExitCode::SUCCESS;
    }
    match run(arguments).await {
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

    let answer = if arguments.class_only { Answer::Class } else { Answer::Logits };
    let options = CompileOptions { answer, ..CompileOptions::default() };
    let compiled = local_server::compile_with(network.onnx, &network.calibration()?, &options)?;
    let server = local_server::LocalServer::start(network.name, &compiled).await?;
    println!("{}: {}", network.name, network.about);
    println!("server at {}, client in its own task, real gRPC between them\n", server.url);

    let client = Client::connect(&server.url).await?;
    let model = client.model(network.name).await?;
    let mut preparation = model.preprocess(u32::try_from(arguments.images)?).await?;
    preparation.seconds /= arguments.images as f64;

    println!(
        "{:>5}  {:>5}  {:>7}  {:>5}  {:>10}  {:>9}  {:>9}  {:>9}",
        "image", "truth", "private", "plain", "logits off", "online", "sent", "received"
    );
    let mut disagreements = 0;
    let mut online = PhaseStatistics::default();
    for (index, label) in labels.iter().enumerate().take(arguments.images) {
        let image = images.index_axis(Axis(0), index).to_owned();
        let plain: Vec<f32> = expected.row(index).to_vec();
        let inference = model.infer(&image).await?;
        let difference = largest_difference(&inference, &plain);
        let agrees = inference.class() == class(&plain) && difference.is_none_or(|difference| difference <= TOLERANCE);
        disagreements += usize::from(!agrees);
        println!(
            "{index:>5}  {label:>5}  {:>7}  {:>5}  {:>10}  {:>6.2} ms  {:>6.1} kB  {:>6.1} kB{}",
            inference.class(),
            class(&plain),
            difference.map_or_else(|| "-".to_string(), |difference| format!("{difference:.4}")),
            inference.online.seconds * 1e3,
            inference.online.bytes_sent as f64 / 1e3,
            inference.online.bytes_received as f64 / 1e3,
            if agrees { "" } else { "  DISAGREES" },
        );
        online += inference.online;
    }
    online.seconds /= arguments.images as f64;

    println!("\nper inference       time        sent    received   round trips");
    print_cost("preprocessing", &preparation, arguments.images);
    print_cost("online", &online, arguments.images);
    let agreeing = arguments.images - disagreements;
    println!("\n{agreeing} of {} private answers agree with plain inference", arguments.images);
    server.stop().await;
    Ok(disagreements == 0)
}

/// Largest distance of a private logit from the plain one; nothing if no logits were revealed.
fn largest_difference(inference: &Inference, plain: &[f32]) -> Option<f32> {
    let differences = inference.logits()?.iter().zip(plain).map(|(left, right)| (left - right).abs());
    Some(differences.fold(0.0, f32::max))
}

/// One line of the table of costs; all but the seconds are those of `count` inferences.
fn print_cost(name: &str, cost: &PhaseStatistics, count: usize) {
    let share = |number: f64| number / count as f64;
    println!(
        "{name:<14} {:>6.1} ms  {:>7.0} kB  {:>7.0} kB  {:>12.1}",
        cost.seconds * 1e3,
        share(cost.bytes_sent as f64) / 1e3,
        share(cost.bytes_received as f64) / 1e3,
        share(f64::from(cost.round_trips)),
    );
}
