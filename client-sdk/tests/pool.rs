//! The pool keeps sessions prepared, replaces what is used or expires, and says when the server is gone.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use ndarray::ArrayD;
use support::{Fault, TestServer};
use tacit_client::{Client, ClientError, Model};

fn zeros() -> ArrayD<f32> {
    ArrayD::zeros(vec![1, 2, 2])
}

/// Waits until `count` sessions are prepared.
async fn filled(model: &Model, count: usize) {
    let wait = async {
        while model.available() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the pool is filled");
}

#[tokio::test]
async fn the_pool_refills() {
    let server = TestServer::start().await;
    let model = server.model().await;
    model.keep_prepared(3);
    filled(&model, 3).await;
    for _ in 0..5 {
        model.infer(&zeros()).await.unwrap();
    }
    filled(&model, 3).await;
    model.keep_prepared(0);
    model.infer(&zeros()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(model.available(), 2);
}

#[tokio::test]
async fn inferences_wait_for_the_pool() {
    let server = TestServer::start().await;
    let model = server.model().await;
    model.keep_prepared(1);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let model = model.clone();
            tokio::spawn(async move { model.infer(&zeros()).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn expired_sessions_are_replaced() {
    let server = TestServer::start().await;
    server.state.lifetime_seconds.store(1, Ordering::SeqCst);
    let model = server.model().await;
    model.keep_prepared(2);
    filled(&model, 2).await;
    let before = server.preprocess_calls();
    server.state.lifetime_seconds.store(600, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    filled(&model, 2).await;
    assert!(server.preprocess_calls() > before);
    server.state.set_fault(Fault::None);
    model.infer(&zeros()).await.unwrap();
    assert_eq!(server.online_calls(), 1, "no attempt with an expired session");
}

#[tokio::test]
async fn a_server_that_refuses_is_reported_and_forgiven() {
    let server = TestServer::start().await;
    let client = server.client_with(Client::builder().retries(0)).await;
    let model = client.model("tiny").await.unwrap();
    server.state.set_fault(Fault::Busy);
    model.keep_prepared(1);
    let error = model.infer(&zeros()).await.unwrap_err();
    assert!(matches!(&error, ClientError::NoSession(_)), "{error}");
    assert!(error.is_transient());
    server.state.set_fault(Fault::None);
    filled(&model, 1).await;
    model.infer(&zeros()).await.unwrap();
}

#[tokio::test]
async fn a_stopped_server_is_a_typed_error() {
    let mut server = TestServer::start().await;
    let client = server.client_with(Client::builder().retries(0)).await;
    let model = client.model("tiny").await.unwrap();
    server.stop();
    model.keep_prepared(2);
    let error = model.infer(&zeros()).await.unwrap_err();
    let ClientError::NoSession(cause) = error else { panic!("{error}") };
    assert!(matches!(*cause, ClientError::Disconnected(_)), "{cause}");
}

#[tokio::test]
async fn the_task_ends_with_the_model() {
    let server = TestServer::start().await;
    let model = server.model().await;
    model.keep_prepared(2);
    filled(&model, 2).await;
    drop(model);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let calls = server.preprocess_calls();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.preprocess_calls(), calls);
}
