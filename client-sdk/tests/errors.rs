//! Every failure has its type, and a session is never used twice.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use ndarray::ArrayD;
use support::{Fault, TestServer};
use tacit_client::{Client, ClientError, InputError, Model};
use tacit_proto::Reason;

fn zeros() -> ArrayD<f32> {
    ArrayD::zeros(vec![1, 2, 2])
}

/// A model on a connection that tries nothing twice and is not patient.
async fn impatient(server: &TestServer) -> Model {
    let builder = Client::builder().retries(0).message_timeout(Duration::from_millis(300));
    server.client_with(builder).await.model("tiny").await.unwrap()
}

#[tokio::test]
async fn nobody_there() {
    for url in ["http://127.0.0.1:1", "not an address", "https://127.0.0.1:1", ""] {
        let error = Client::connect(url).await.unwrap_err();
        assert!(matches!(&error, ClientError::Connect { url: given, .. } if given == url), "{error}");
    }
}

#[tokio::test]
async fn unknown_models() {
    let server = TestServer::start().await;
    let error = server.client().await.model("huge").await.unwrap_err();
    assert!(matches!(error, ClientError::UnknownModel(name) if name == "huge"));
}

#[tokio::test]
async fn plans_that_are_not_what_they_say() {
    let server = TestServer::start().await;
    let client = server.client().await;
    server.state.set_fault(Fault::WrongDigest);
    assert!(matches!(client.model("tiny").await, Err(ClientError::Digest)));
    server.state.set_fault(Fault::InvalidPlan);
    let error = client.model("tiny").await.unwrap_err();
    assert!(matches!(&error, ClientError::Schema(_)), "{error}");
}

#[tokio::test]
async fn bad_inputs_are_refused_before_anything_is_sent() {
    let server = TestServer::start().await;
    let model = server.model().await;
    model.preprocess(1).await.unwrap();
    let mut not_a_number = zeros();
    not_a_number[[0, 1, 0]] = f32::NAN;
    let shape = model.infer(&ArrayD::zeros(vec![2, 2])).await.unwrap_err();
    assert!(matches!(shape, ClientError::Input(InputError::Shape { .. })));
    for input in [not_a_number, ArrayD::from_elem(vec![1, 2, 2], 1.5)] {
        let error = model.infer(&input).await.unwrap_err();
        assert!(matches!(error, ClientError::Input(InputError::Value(_))));
        let batch = input.insert_axis(ndarray::Axis(0));
        assert!(matches!(model.infer_batch(&batch).await, Err(ClientError::Input(_))));
    }
    assert_eq!((model.available(), server.online_calls()), (1, 0));
}

#[tokio::test]
async fn a_changed_model() {
    let server = TestServer::start().await;
    let model = server.model().await;
    server.state.set_fault(Fault::ModelChanged);
    assert!(matches!(model.preprocess(1).await, Err(ClientError::ModelChanged)));
}

#[tokio::test]
async fn an_overloaded_server() {
    let server = TestServer::start().await;
    let model = server.model().await;
    server.state.set_fault(Fault::Busy);
    let error = model.preprocess(1).await.unwrap_err();
    assert!(matches!(error, ClientError::Status { reason: Some(Reason::Capacity), .. }), "{error}");
}

#[tokio::test]
async fn forgotten_sessions_are_replaced_once() {
    let server = TestServer::start().await;
    let model = server.model().await;
    model.preprocess(3).await.unwrap();
    server.state.forget_sessions();
    model.infer(&zeros()).await.unwrap();
    // One attempt with a session of the old stock, one with a new session; the rest of the stock is thrown away.
    assert_eq!((server.online_calls(), server.preprocess_calls(), model.available()), (2, 2, 0));
}

#[tokio::test]
async fn forgotten_sessions_without_retries() {
    let server = TestServer::start().await;
    let model = impatient(&server).await;
    model.preprocess(1).await.unwrap();
    server.state.forget_sessions();
    assert!(matches!(model.infer(&zeros()).await, Err(ClientError::SessionExpired)));
    assert_eq!((server.online_calls(), model.available()), (1, 0));
}

#[tokio::test]
async fn servers_that_break_the_protocol() {
    let server = TestServer::start().await;
    let model = impatient(&server).await;
    for (fault, expected) in [
        (Fault::EmptyMessage, "unusable message"),
        (Fault::WrongStep, "protocol: unexpected"),
        (Fault::EndsEarly, "ended the stream early"),
        (Fault::Silent, "no answer from the server for 0.3 seconds"),
    ] {
        server.state.set_fault(Fault::None);
        model.preprocess(1).await.unwrap();
        server.state.set_fault(fault);
        let error = model.infer(&zeros()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{fault:?}: {error}");
        assert_eq!(model.available(), 0, "the session of a failed attempt is gone");
    }
    assert!(matches!(model.preprocess(1).await, Err(ClientError::Timeout(_))));
    // The connection survives all of it.
    server.state.set_fault(Fault::None);
    model.infer(&zeros()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_inference_leaves_the_rest_working() {
    let server = TestServer::start().await;
    let model = server.model().await;
    model.preprocess(2).await.unwrap();
    server.state.set_fault(Fault::Silent);
    let abandoned = tokio::time::timeout(Duration::from_millis(100), model.infer(&zeros())).await;
    assert!(abandoned.is_err());
    server.state.set_fault(Fault::None);
    model.infer(&zeros()).await.unwrap();
    assert_eq!(model.available(), 0);
}

#[tokio::test]
async fn a_server_that_goes_away() {
    let mut server = TestServer::start().await;
    let model = impatient(&server).await;
    model.preprocess(2).await.unwrap();
    server.stop();
    let error = model.infer(&zeros()).await.unwrap_err();
    assert!(matches!(error, ClientError::Disconnected(_)), "{error}");
    assert_eq!(model.available(), 1);
}
