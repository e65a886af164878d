//! Answers that are a class only: that of the fixed-point evaluation, and nothing else.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

use ndarray::Axis;
use tacit_client::{Answer as Revealed, Client};
use tacit_compiler::{Answer, CompileOptions};
use tacit_demo::bundled;
use tacit_demo::images::{class, flat};
use tacit_demo::local_server::{LocalServer, compile_with};
use tacit_engine::fixed_point;

async fn classify(name: &str, images: usize, round_trips: u32) {
    let network = bundled::find(name).unwrap();
    let options =
        CompileOptions { answer: Answer::Class, comparison_round_trips: round_trips, ..CompileOptions::default() };
    let compiled = compile_with(network.onnx, &network.calibration().unwrap(), &options).unwrap();
    let server = LocalServer::start(name, &compiled).await.unwrap();
    let model = Client::connect(&server.url).await.unwrap().model(name).await.unwrap();
    assert!(model.reveals_class_only());
    let (inputs, expected) = (network.images().unwrap(), network.expected().unwrap());
    for index in 0..images {
        let inference = model.infer(&inputs.index_axis(Axis(0), index).to_owned()).await.unwrap();
        let input = compiled.plan.encode_input(&flat(&inputs, index)).unwrap();
        let plain = fixed_point::evaluate(&compiled.plan, &compiled.parameters, &input);
        let plain = compiled.plan.decode_class(&plain).unwrap();
        assert_eq!(inference.answer, Revealed::Class(plain), "{name}, image {index}");
        assert_eq!((inference.class(), inference.logits()), (plain, None));
        assert_eq!(plain, class(&expected.row(index).to_vec()), "{name}, image {index}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_squares() {
    classify("m4", 10, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_relu() {
    classify("m1", 5, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_maxima_in_three_round_trips() {
    classify("m3", 5, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garments_with_relu() {
    classify("f1", 5, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn photographs_with_a_residual_network() {
    classify("m5", 2, 2).await;
}
