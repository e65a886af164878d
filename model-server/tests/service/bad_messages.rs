//! Messages that no honest client sends: each gets a typed error, and the server goes on serving.

use tacit_proto::{Reason, pb};
use tacit_protocol::plan::PlanDigest;
use tacit_protocol::session::{Message, MessageKind, OnlineRequest, Open, OtSetup, PreprocessRequest, SessionId};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::harness::{TestClient, TestServer, assert_reason};

fn open(client: &TestClient) -> Open {
    match client.start(1).1.swap_remove(0) {
        PreprocessRequest::Open(open) => open,
        other => panic!("the first message is {other:?}"),
    }
}

fn piece(kind: MessageKind, node: usize, offset: u64, length: usize) -> Message {
    Message { session: 0, node, kind, round: 0, offset, data: vec![7; length] }
}

async fn preprocess(client: &TestClient, messages: Vec<PreprocessRequest>) -> Result<(), tonic::Status> {
    let call = client.preprocess().await;
    messages.into_iter().for_each(|message| call.send(message));
    call.end().await
}

async fn online(client: &TestClient, messages: Vec<OnlineRequest>) -> Result<(), tonic::Status> {
    let call = client.online().await;
    messages.into_iter().for_each(|message| call.send(message));
    call.end().await
}

#[tokio::test]
async fn an_unknown_model() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let request = pb::GetModelRequest { name: "other".to_owned() };
    assert_reason(client.stubs.get_model(request).await, Reason::UnknownModel);
    let unknown = Open { model: "other".to_owned(), ..open(&client) };
    assert_reason(preprocess(&client, vec![PreprocessRequest::Open(unknown)]).await, Reason::UnknownModel);
    for name in [String::new(), "n".repeat(257)] {
        let request = pb::GetModelRequest { name };
        assert_reason(client.stubs.get_model(request).await, Reason::InvalidMessage);
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn another_plan() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let other = Open { digest: PlanDigest([1; 32]), ..open(&client) };
    assert_reason(preprocess(&client, vec![PreprocessRequest::Open(other)]).await, Reason::DigestMismatch);
    server.assert_serves().await;
}

#[tokio::test]
async fn keys_or_transfers_that_are_unfit() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let keyless = Open { public_keys: vec![], ..open(&client) };
    assert_reason(preprocess(&client, vec![PreprocessRequest::Open(keyless)]).await, Reason::InvalidMessage);
    let short = Open { base_receiver: vec![1, 2, 3], ..open(&client) };
    assert_reason(preprocess(&client, vec![PreprocessRequest::Open(short)]).await, Reason::InvalidMessage);
    server.assert_serves().await;
}

#[tokio::test]
async fn preprocessing_out_of_order() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let opened = || PreprocessRequest::Open(open(&client));
    let setup = || PreprocessRequest::OtSetup(OtSetup { base_sender: vec![], silent_request: vec![] });
    let step = |kind, node, offset| PreprocessRequest::Step(piece(kind, node, offset, 16));
    let cases = [
        vec![setup()],
        vec![step(MessageKind::MaskCiphertexts, 1, 0)],
        vec![opened(), opened()],
        vec![opened(), step(MessageKind::MaskCiphertexts, 2, 0)],
        vec![opened(), step(MessageKind::MaskCiphertexts, 1, 16)],
        vec![opened(), step(MessageKind::ClientCorrections, 2, 0)],
    ];
    for messages in cases {
        assert_reason(preprocess(&client, messages).await, Reason::OutOfOrder);
    }
    let stranger = Message { session: 5, ..piece(MessageKind::MaskCiphertexts, 1, 0, 16) };
    let messages = vec![opened(), PreprocessRequest::Step(stranger)];
    assert_reason(preprocess(&client, messages).await, Reason::OutOfOrder);
    server.assert_serves().await;
}

#[tokio::test]
async fn online_out_of_order() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let step = |kind, node, offset| OnlineRequest::Step(piece(kind, node, offset, 4));
    assert_reason(online(&client, vec![step(MessageKind::MaskedInput, 0, 0)]).await, Reason::OutOfOrder);
    for wrong in [
        step(MessageKind::ClientOpening, 2, 0),
        step(MessageKind::MaskedInput, 1, 0),
        step(MessageKind::MaskedInput, 0, 4),
        OnlineRequest::Open(SessionId([0; 16])),
    ] {
        let mut messages = client.prepare_requests().await;
        messages.truncate(1);
        messages.push(wrong);
        assert_reason(online(&client, messages).await, Reason::OutOfOrder);
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn calls_that_end_early() {
    let server = TestServer::start().await;
    let client = server.client().await;
    assert_reason(client.preprocess().await.half_close().await, Reason::OutOfOrder);
    assert_reason(client.online().await.half_close().await, Reason::OutOfOrder);

    let call = client.preprocess().await;
    call.send(PreprocessRequest::Open(open(&client)));
    assert_reason(call.half_close().await, Reason::OutOfOrder);

    let call = client.online().await;
    call.send(client.prepare_requests().await.swap_remove(0));
    call.send(OnlineRequest::Step(piece(MessageKind::MaskedInput, 0, 0, 15)));
    assert_reason(call.half_close().await, Reason::OutOfOrder);
    server.assert_serves().await;
}

#[tokio::test]
async fn messages_that_are_too_long() {
    let server = TestServer::start().await;
    let client = server.client().await;
    // Longer than the step's message.
    let call = client.online().await;
    call.send(client.prepare_requests().await.swap_remove(0));
    call.send(OnlineRequest::Step(piece(MessageKind::MaskedInput, 0, 0, 17)));
    assert_reason(call.end().await, Reason::InvalidMessage);
    // Longer than a piece may be, and longer than a message may be.
    for length in [Message::MAX_DATA + 1, 1 << 20, 3 << 20] {
        let call = client.online().await;
        call.send(OnlineRequest::Step(piece(MessageKind::MaskedInput, 0, 0, length)));
        assert_reason(call.end().await, Reason::InvalidMessage);
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn messages_without_content() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let call = client.preprocess().await;
    call.send(pb::PreprocessRequest { payload: None });
    assert_reason(call.end().await, Reason::InvalidMessage);
    let call = client.online().await;
    let short = pb::OnlineOpen { session_id: vec![1; 15] };
    call.send(pb::OnlineRequest { payload: Some(pb::online_request::Payload::Open(short)) });
    assert_reason(call.end().await, Reason::InvalidMessage);
    server.assert_serves().await;
}

#[tokio::test]
async fn bytes_that_are_no_message() {
    let server = TestServer::start().await;
    // Field 1 of both requests is a message; as its content, these bytes name a field that cannot exist.
    let garbage = || pb::GetModelRequest { name: "\u{7}garbage".to_owned() };
    for path in ["/tacit.v1.PrivateInference/Preprocess", "/tacit.v1.PrivateInference/Online"] {
        let mut grpc = Grpc::new(server.channel().await);
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<pb::GetModelRequest, pb::PreprocessResponse>::default();
        let request = tonic::Request::new(tokio_stream::once(garbage()));
        let call = grpc.streaming(request, PathAndQuery::from_static(path), codec).await;
        assert_reason(call.unwrap().into_inner().message().await, Reason::InvalidMessage);
    }
    server.assert_serves().await;
}
