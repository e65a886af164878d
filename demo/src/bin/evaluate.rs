//! Runs a whole test set privately over gRPC and compares every logit with the expected ones, and with all values that
//! the last-place rule of `docs/protocol.md` (section 10) allows.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use ndarray::{ArrayD, Axis};
use tacit_client::Client;
use tacit_demo::pixels::PixelArguments;
use tacit_demo::{images, last_place, local_server};

/// Private inference on a whole test set, over real gRPC.
#[derive(Parser)]
struct Arguments {
    /// The network.
    #[arg(long)]
    model: PathBuf,
    /// Calibration images: `.npy`, or `.npz` with array `x`; 8-bit pixels, or float32 as the network takes it.
    #[arg(long)]
    calibration: PathBuf,
    /// Test images, in the same formats.
    #[arg(long)]
    images: PathBuf,
    /// Expected logits: `.npy`, or `.npz` with array `logits`.
    #[arg(long)]
    expected: PathBuf,
    /// How many images, from the first.
    #[arg(long)]
    count: Option<usize>,
    /// Sessions prepared at a time.
    #[arg(long, default_value_t = 50)]
    batch: usize,
    #[command(flatten)]
    pixels: PixelArguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// 8-bit images with the network's normalisation, or floats that are in its domain already.
fn read_inputs(path: &PathBuf, channels: &[images::Channel]) -> anyhow::Result<ArrayD<f32>> {
    images::inputs(&read(path)?, channels).with_context(|| path.display().to_string())
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let channels = arguments.pixels.channels()?;
    let inputs = read_inputs(&arguments.images, &channels)?;
    let calibration = read_inputs(&arguments.calibration, &channels)?;
    let expected = images::logits(&read(&arguments.expected)?)?;
    let available = inputs.len_of(Axis(0)).min(expected.nrows());
    let count = arguments.count.unwrap_or(available);
    ensure!((1..=available).contains(&count), "there are {available} images");

    let compiled = local_server::compile_network(&read(&arguments.model)?, &calibration)?;
    let server = local_server::LocalServer::start("network", &compiled).await?;
    let client = Client::connect(&server.url).await?;
    let model = client.model("network").await?;
    let (mut same, mut differences, mut largest, mut outside) = (0, 0.0, 0f32, 0);
    for index in 0..count {
        if index % arguments.batch == 0 {
            model.preprocess(u32::try_from(arguments.batch.min(count - index))?).await?;
        }
        let image = inputs.index_axis(Axis(0), index).to_owned();
        let plain = expected.row(index).to_vec();
        let inference = model.infer(&image).await?;
        let private: Vec<f32> = inference.logits().context("the plan reveals classes only")?.iter().copied().collect();
        same += usize::from(inference.class() == images::class(&plain));
        for (left, right) in private.iter().zip(&plain) {
            differences += f64::from((left - right).abs());
            largest = largest.max((left - right).abs());
        }
        outside += last_place::violations(&compiled, &images::flat(&inputs, index), &private)?;
    }
    server.stop().await;
    println!("{count} images, {same} with the expected class");
    println!("logit difference: mean {:.4}, largest {largest:.4}", differences / (count * expected.ncols()) as f64);
    println!("{outside} logits outside the last-place rule");
    ensure!(outside == 0, "private inference broke the last-place rule");
    Ok(())
}
