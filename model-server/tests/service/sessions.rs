//! A session is used at most once, by whoever knows its name, before it expires.

use std::time::Duration;

use tacit_model_server::Limits;
use tacit_proto::Reason;
use tacit_protocol::session::{OnlineRequest, SessionId};

use crate::harness::{TestServer, assert_reason, eventually, limits};

#[tokio::test]
async fn an_unknown_or_foreign_session() {
    let (here, there) = (TestServer::start().await, TestServer::start().await);
    let client = here.client().await;
    let call = client.online().await;
    call.send(OnlineRequest::Open(SessionId([9; 16])));
    assert_reason(call.end().await, Reason::UnknownSession);

    let foreign = there.client().await.prepare_requests().await;
    let call = client.online().await;
    foreign.into_iter().for_each(|message| call.send(message));
    assert_reason(call.end().await, Reason::UnknownSession);
    here.assert_serves().await;
    there.assert_serves().await;
}

#[tokio::test]
async fn an_expired_session() {
    let lifetime = Duration::from_secs(1);
    let server = TestServer::with(Limits { session_lifetime: lifetime, ..limits() }).await;
    let client = server.client().await;
    let messages = client.prepare_requests().await;
    tokio::time::sleep(lifetime).await;
    let call = client.online().await;
    messages.into_iter().for_each(|message| call.send(message));
    assert_reason(call.end().await, Reason::UnknownSession);
    eventually(|| server.handle.occupancy().bytes == 0).await;
    server.assert_serves().await;
}

#[tokio::test]
async fn a_session_is_used_up_by_the_first_message() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let messages = client.prepare_requests().await;
    let call = client.online().await;
    call.send(messages[0].clone());
    eventually(|| server.handle.occupancy().sessions == 0).await;
    drop(call);

    let again = client.online().await;
    messages.into_iter().for_each(|message| again.send(message));
    assert_reason(again.end().await, Reason::UnknownSession);
    server.assert_serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_uses_exactly_one_gets_an_answer() {
    let server = TestServer::start().await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(server.client().await);
    }
    for _ in 0..4 {
        let messages = clients[0].prepare_requests().await;
        let mut attempts = tokio::task::JoinSet::new();
        for client in clients.clone() {
            let messages = messages.clone();
            attempts.spawn(async move {
                let mut call = client.online().await;
                messages.into_iter().for_each(|message| call.send(message));
                call.responses.message().await
            });
        }
        let answers = attempts.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for answer in lost {
            assert_reason(answer, Reason::UnknownSession);
        }
    }
}
