//! Infers one input privately and prints what the network gives.
//!
//! ```sh
//! cargo run --release --example infer -p tacit-client-sdk -- http://127.0.0.1:7400 m2
//! ```

use ndarray::ArrayD;
use tacit_client::{Client, ClientError};

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:7400".to_string());
    let name = arguments.next().unwrap_or_else(|| "m2".to_string());

    let client = Client::connect(&url).await?;
    let model = client.model(&name).await?;

    // Before the input exists: keys, encrypted masks, oblivious transfers.
    let preprocessing = model.preprocess(1).await?;
    println!("prepared a session in {:.3} s", preprocessing.seconds);

    // A grey picture in the middle of the accepted range stands for a real one.
    let input = &model.plan().input;
    let picture = ArrayD::from_elem(input.dimensions.as_slice(), (input.low + input.high) / 2.0);
    let inference = model.infer(&picture).await?;
    println!(
        "class {} in {:.4} s and {} round trips",
        inference.class(),
        inference.online.seconds,
        inference.online.round_trips
    );
    println!("outputs {}", inference.outputs());
    Ok(())
}
