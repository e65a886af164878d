//! Private inference over real gRPC gives what the network gives in the clear, at the predicted cost.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use ndarray::{ArrayD, Axis, stack};
use support::{TestServer, network::Network};
use tacit_client::{Inference, PhaseStatistics};

/// What the low bits that are dropped may change.
const TOLERANCE: f32 = 0.05;

fn picture(values: [f32; 4]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(vec![1, 2, 2], values.to_vec()).unwrap()
}

fn assert_close(inference: &Inference, input: &ArrayD<f32>) {
    for (logit, expected) in inference.logits().unwrap().iter().zip(Network::plain(input)) {
        assert!((logit - expected).abs() < TOLERANCE, "{logit} is not near {expected}");
    }
}

#[tokio::test]
async fn logits_are_those_of_the_network() {
    let server = TestServer::start().await;
    let model = server.model().await;
    let inputs = [[0.0; 4], [1.0; 4], [-1.0; 4], [0.5, -0.25, 1.0, 0.125], [-0.9, 0.8, 0.1, 0.0]].map(picture);
    model.preprocess(inputs.len() as u32).await.unwrap();
    assert_eq!(model.available(), inputs.len());
    for input in &inputs {
        let inference = model.infer(input).await.unwrap();
        assert_close(&inference, input);
        assert_eq!(inference.logits().unwrap().shape(), [2]);
        assert_eq!(inference.ranking()[0], inference.class());
        assert_eq!(inference.label.as_deref(), Some(["left", "right"][inference.class()]));
    }
    assert_eq!(model.available(), 0);
    assert_eq!((server.preprocess_calls(), server.online_calls()), (1, inputs.len()));
}

#[tokio::test]
async fn sessions_are_prepared_when_there_are_none() {
    let server = TestServer::start().await;
    let model = server.model().await;
    let input = picture([0.25, 0.5, -0.5, 1.0]);
    assert_close(&model.infer(&input).await.unwrap(), &input);
    assert_eq!(server.preprocess_calls(), 1);
}

#[tokio::test]
async fn batches_keep_their_order() {
    let server = TestServer::start().await;
    let model = server.model().await;
    let inputs: Vec<ArrayD<f32>> = (0..5).map(|index| picture([0.2 * index as f32, -0.5, 0.3, 0.9])).collect();
    let views: Vec<_> = inputs.iter().map(|input| input.view()).collect();
    let inferences = model.infer_batch(&stack(Axis(0), &views).unwrap()).await.unwrap();
    assert_eq!(inferences.len(), inputs.len());
    for (inference, input) in inferences.iter().zip(&inputs) {
        assert_close(inference, input);
    }
    assert_eq!(server.preprocess_calls(), 1);
    assert!(model.infer_batch(&ArrayD::zeros(vec![0, 1, 2, 2])).await.unwrap().is_empty());
}

#[tokio::test]
async fn large_requests_are_cut() {
    let server = TestServer::start().await;
    let client = server.client_with(tacit_client::Client::builder().sessions_per_stream(2)).await;
    let model = client.model("tiny").await.unwrap();
    model.preprocess(5).await.unwrap();
    assert_eq!((model.available(), server.preprocess_calls()), (5, 3));
}

#[tokio::test]
async fn several_inferences_run_at_a_time() {
    let server = TestServer::start().await;
    let model = server.model().await;
    model.preprocess(8).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|index| {
            let model = model.clone();
            let input = picture([0.1 * index as f32, 0.3, -0.7, 0.5]);
            tokio::spawn(async move {
                let inference = model.infer(&input).await.unwrap();
                assert_close(&inference, &input);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(model.available(), 0);
}

#[tokio::test]
async fn costs_are_as_predicted() {
    let server = TestServer::start().await;
    let model = server.model().await;
    let prediction = model.prediction();
    let preprocessing = model.preprocess(1).await.unwrap();
    let inference = model.infer(&picture([0.5; 4])).await.unwrap();

    let framing_is_small = |phase: &PhaseStatistics| {
        // A tag, lengths and numbers for each of a few messages.
        (1..600).contains(&(phase.bytes_sent - phase.data_sent))
            && (1..600).contains(&(phase.bytes_received - phase.data_received))
    };
    let (setup, each) = (prediction.setup, prediction.preprocessing);
    assert_eq!(preprocessing.data_sent, setup.bytes_sent + each.bytes_sent);
    assert_eq!(preprocessing.data_received, setup.bytes_received + each.bytes_received);
    assert_eq!(preprocessing.round_trips, setup.round_trips + each.round_trips);
    assert!(framing_is_small(&preprocessing), "{preprocessing:?}");

    let online = inference.online;
    assert_eq!(online.data_sent, prediction.online.bytes_sent);
    assert_eq!(online.data_received, prediction.online.bytes_received);
    assert_eq!(online.round_trips, prediction.online.round_trips);
    assert!(framing_is_small(&online), "{online:?}");
    assert!(online.seconds > 0.0 && preprocessing.seconds > 0.0);

    let batch = model.preprocess(3).await.unwrap();
    assert_eq!(batch.data_sent, setup.bytes_sent + 3 * each.bytes_sent);
    assert_eq!(batch.round_trips, each.round_trips, "the sessions of a batch overlap");
}

#[tokio::test]
async fn models_are_listed() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let models = client.models().await.unwrap();
    let model = client.model("tiny").await.unwrap();
    assert_eq!(models.len(), 1);
    assert_eq!((models[0].name.as_str(), models[0].digest), (model.name(), model.digest()));
    assert_eq!(models[0].input, model.plan().input);
    assert_eq!(models[0].online, model.prediction().online);
}

#[cfg(feature = "concrete-core")]
#[tokio::test]
async fn the_other_engine_gives_the_same_logits() {
    let server = TestServer::start().await;
    let builder = tacit_client::Client::builder().engine(tacit_client::Engine::ConcreteCore);
    let model = server.client_with(builder).await.model("tiny").await.unwrap();
    let input = picture([0.5, -0.25, 1.0, 0.125]);
    let preprocessing = model.preprocess(2).await.unwrap();
    assert_eq!(
        preprocessing.data_sent,
        model.prediction().setup.bytes_sent + 2 * model.prediction().preprocessing.bytes_sent
    );
    for _ in 0..2 {
        assert_close(&model.infer(&input).await.unwrap(), &input);
    }
}
