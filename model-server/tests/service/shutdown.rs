//! Shutting down: inferences finish, all else ends.

use std::time::Duration;

use tacit_model_server::Limits;
use tacit_protocol::session::OnlineProgress;
use tokio::net::TcpStream;
use tonic::Code;

use crate::harness::{TestServer, assert_code, limits};

#[tokio::test]
async fn an_inference_finishes_and_preprocessing_ends() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let session = client.prepare(1).await.unwrap().pop().unwrap();
    let input = client.plan.encode_input(&[0.25; 4]).unwrap();
    let (mut machine, messages) = session.start(&input).unwrap();
    let mut online = client.online().await;
    messages.into_iter().for_each(|message| online.send(message));
    let first = online.responses.message().await.unwrap().unwrap();
    let preprocess = client.preprocess().await;
    preprocess.send(client.start(1).1.swap_remove(0));

    server.handle.shut_down();
    assert_code(preprocess.end().await, Code::Unavailable);
    let mut response = first;
    while let OnlineProgress::Continue(messages) = machine.handle(response.try_into().unwrap()).unwrap() {
        messages.into_iter().for_each(|message| online.send(message));
        response = online.responses.message().await.unwrap().unwrap();
    }
    drop(online);
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn an_inference_that_stalls_ends_with_the_grace_period() {
    let grace_period = Duration::from_millis(300);
    let server = TestServer::with(Limits { grace_period, ..limits() }).await;
    let client = server.client().await;
    let online = client.online().await;
    online.send(client.prepare_requests().await.swap_remove(0));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let asked = std::time::Instant::now();
    server.handle.shut_down();
    assert_code(online.end().await, Code::Unavailable);
    assert!(asked.elapsed() >= grace_period);
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_server_stops_at_once_although_a_client_is_connected() {
    let server = TestServer::start().await;
    let client = server.client().await;
    server.handle.shut_down();
    tokio::time::timeout(Duration::from_secs(2), server.task).await.unwrap().unwrap().unwrap();
    drop(client);
}
