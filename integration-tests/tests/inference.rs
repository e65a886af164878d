//! Trained networks over real gRPC: the same answers as plain inference, at the predicted cost.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

use ndarray::Axis;
use tacit_client::{Client, Engine, Model, PhaseStatistics};
use tacit_compiler::CompiledModel;
use tacit_demo::bundled::{self, Bundled};
use tacit_demo::images::{class, flat};
use tacit_demo::last_place::violations;
use tacit_demo::local_server::{LocalServer, compile_network};
use tacit_protocol::session::predict;

/// What the issue allows on average; the compiler does much better.
const MEAN_LOGIT_DIFFERENCE: f32 = 0.1;

async fn serve(network: &Bundled, engine: Engine) -> (CompiledModel, LocalServer, Model) {
    let compiled = compile_network(network.onnx, &network.calibration().unwrap()).unwrap();
    let server = LocalServer::start(network.name, &compiled).await.unwrap();
    let client = Client::builder().engine(engine).connect(&server.url).await.unwrap();
    let model = client.model(network.name).await.unwrap();
    (compiled, server, model)
}

/// Every bundled image: class, logits, and the last-place rule of the specification's section 10.
async fn classify(name: &str, engine: Engine, count: usize) {
    let network = bundled::find(name).unwrap();
    let (compiled, server, model) = serve(network, engine).await;
    let (images, expected) = (network.images().unwrap(), network.expected().unwrap());
    model.preprocess(u32::try_from(count).unwrap()).await.unwrap();
    let mut total = 0.0;
    for index in 0..count {
        let image = images.index_axis(Axis(0), index).to_owned();
        let plain = expected.row(index).to_vec();
        let inference = model.infer(&image).await.unwrap();
        assert_eq!(inference.class(), class(&plain), "{name}, image {index}");
        let logits = inference.logits().unwrap();
        total += logits.iter().zip(&plain).map(|(left, right)| (left - right).abs()).sum::<f32>();
        assert_eq!(violations(&compiled, &flat(&images, index), logits).unwrap(), 0, "{name}, image {index}");
    }
    let mean = total / (count * expected.ncols()) as f32;
    assert!(mean < MEAN_LOGIT_DIFFERENCE, "{name}: logits are off by {mean} on average");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_trained_quadratic_activations() {
    classify("m2", Engine::Native, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_squares() {
    classify("m4", Engine::Native, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garments_with_trained_quadratic_activations() {
    classify("f2", Engine::Native, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_relu() {
    classify("m1", Engine::Native, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_relu_and_maxima() {
    classify("m3", Engine::Native, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garments_with_relu() {
    classify("f1", Engine::Native, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn photographs_with_a_residual_network() {
    classify("m5", Engine::Native, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_with_the_concrete_core_backend() {
    classify("m2", Engine::ConcreteCore, 2).await;
}

/// Random weights, uniform noise as input: the network that peers were measured on.
#[tokio::test(flavor = "multi_thread")]
async fn noise_with_random_squares() {
    let read = |file: &str| -> ndarray::ArrayD<f32> {
        ndarray_npy::read_npy(format!("{}/../models/expected/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let onnx = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/Asq.onnx")).unwrap();
    let mut state = 1u32;
    let noise = ndarray::ArrayD::from_shape_fn(vec![64, 1, 28, 28], |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    });
    let compiled = compile_network(&onnx, &noise).unwrap();
    let server = LocalServer::start("Asq", &compiled).await.unwrap();
    let model = Client::connect(&server.url).await.unwrap().model("Asq").await.unwrap();
    let input = read("Asq_input.npy");
    let expected = read("Asq.npy");
    let inference = model.infer(&input.index_axis(Axis(0), 0).to_owned()).await.unwrap();
    let largest = expected.iter().fold(0f32, |largest, logit| largest.max(logit.abs()));
    for (private, plain) in inference.logits().unwrap().iter().zip(expected.iter()) {
        assert!((private - plain).abs() < 0.05 * largest, "{private} against {plain}");
    }
    assert_eq!(violations(&compiled, &flat(&input, 0), inference.logits().unwrap()).unwrap(), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_round_trips_are_those_that_the_plan_predicts() {
    // Three activations: one round trip for each square, two for each ReLU, and one.
    let squares = costs("m2").await;
    assert_eq!(squares.1.round_trips, 4);
    assert!(squares.1.bytes_sent + squares.1.bytes_received <= 150_000, "{squares:?}");
    assert!(squares.0.bytes_sent + squares.0.bytes_received <= 4_000_000, "{squares:?}");
    assert_eq!(costs("m1").await.1.round_trips, 7);
    costs("m3").await;
}

/// What preprocessing and an inference cost, held against the prediction.
async fn costs(name: &str) -> (PhaseStatistics, PhaseStatistics) {
    let (_, server, model) = serve(bundled::find(name).unwrap(), Engine::Native).await;
    let prediction = predict(model.plan());
    let batch = 3;
    let preparation = model.preprocess(batch).await.unwrap();
    let sessions = |phase: u64| phase * u64::from(batch);
    assert_eq!(preparation.data_sent, prediction.setup.bytes_sent + sessions(prediction.preprocessing.bytes_sent));
    assert_eq!(
        preparation.data_received,
        prediction.setup.bytes_received + sessions(prediction.preprocessing.bytes_received)
    );
    let image = ndarray::ArrayD::from_elem(vec![1, 28, 28], 0.5);
    let online = model.infer(&image).await.unwrap().online;
    assert_eq!(
        (online.data_sent, online.data_received),
        (prediction.online.bytes_sent, prediction.online.bytes_received)
    );
    assert_eq!(online.round_trips, prediction.online.round_trips);
    // Framing costs little.
    assert!(online.bytes_sent + online.bytes_received < (online.data_sent + online.data_received) * 101 / 100 + 1000);

    let single = model.preprocess(1).await.unwrap();
    assert_eq!(single.round_trips, prediction.preprocessing.round_trips);
    server.stop().await;
    (single, online)
}

#[tokio::test(flavor = "multi_thread")]
async fn several_clients_at_a_time_get_their_own_answers() {
    let network = bundled::find("m2").unwrap();
    let (_, server, _) = serve(network, Engine::Native).await;
    let (images, expected) = (network.images().unwrap(), network.expected().unwrap());
    let tasks = (0..4).map(|index| {
        let url = server.url.clone();
        let image = images.index_axis(Axis(0), index).to_owned();
        let plain = expected.row(index).to_vec();
        tokio::spawn(async move {
            let model = Client::connect(&url).await.unwrap().model("m2").await.unwrap();
            model.preprocess(2).await.unwrap();
            for _ in 0..2 {
                assert_eq!(model.infer(&image).await.unwrap().class(), class(&plain));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edge_inputs_stay_in_the_last_place_rule() {
    let (compiled, server, model) = serve(bundled::find("m2").unwrap(), Engine::Native).await;
    for value in [0.0f32, 1.0] {
        let inference = model.infer(&ndarray::ArrayD::from_elem(vec![1, 28, 28], value)).await.unwrap();
        assert_eq!(violations(&compiled, &[value; 784], inference.logits().unwrap()).unwrap(), 0);
    }
    server.stop().await;
}
