//! What an honest client gets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tacit_proto::{Reason, convert, pb};
use tacit_protocol::plan::Plan;
use tacit_protocol::session::predict;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ListServiceResponse, ServerReflectionRequest};

use crate::harness::{MODEL, TestServer, assert_reason};

#[tokio::test]
async fn a_batch_of_sessions_serves_as_many_inferences() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let sessions = client.prepare(3).await.unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!(server.handle.occupancy().sessions, 3);
    for (index, session) in sessions.into_iter().enumerate() {
        assert_eq!(session.lifetime_seconds(), 3600);
        let input = [index as f32 / 4.0, -0.5, 0.75, 0.25];
        let logits = client.infer(session, &input).await.unwrap();
        for (private, plain) in logits.iter().zip(server.model.evaluate(&input)) {
            assert!((private - plain).abs() < 4.0, "{private} instead of {plain}");
        }
    }
    assert_eq!(server.handle.occupancy().sessions, 0);
    assert_eq!(server.handle.occupancy().bytes, 0);
}

#[tokio::test]
async fn several_clients_are_served_at_a_time() {
    let server = TestServer::start().await;
    tokio::join!(
        server.assert_serves(),
        server.assert_serves(),
        server.assert_serves(),
        server.assert_serves(),
        server.assert_serves(),
        server.assert_serves(),
    );
}

#[tokio::test]
async fn models_are_listed_and_described() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let listed = client.stubs.list_models(pb::ListModelsRequest {}).await.unwrap().into_inner().models;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, MODEL);
    assert_eq!(listed[0].output_dimensions, [2]);

    let request = pb::GetModelRequest { name: MODEL.to_owned() };
    let model = client.stubs.get_model(request).await.unwrap().into_inner().model.unwrap();
    assert_eq!(model.digest, listed[0].digest);
    let plan = Plan::try_from(model.plan.unwrap()).unwrap();
    assert_eq!(&plan, client.plan.as_ref());
    assert_eq!(convert::digest("digest", &model.digest).unwrap(), plan.digest());
    let online = model.prediction.unwrap().online.unwrap();
    assert_eq!(online.bytes_sent, predict(&plan).online.bytes_sent);
    assert_eq!(online.round_trips, 2);
}

#[tokio::test]
async fn a_defect_ends_one_call_and_gives_nothing_away() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let session = client.prepare(1).await.unwrap().pop().unwrap();
    server.model.defective.store(true, Ordering::SeqCst);
    let status = client.infer(session, &[0.0; 4]).await.unwrap_err();
    assert_eq!(status.message(), "the server failed");
    assert_reason(Err::<(), _>(status), Reason::Internal);
    server.model.defective.store(false, Ordering::SeqCst);
    server.assert_serves().await;
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let server = TestServer::start().await;
    let url = format!("http://{}", server.address);
    tacit_model_server::health::check(url, Duration::from_secs(5)).await.unwrap();

    let mut reflection = ServerReflectionClient::new(server.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(ListServiceResponse { service }) = answer else {
        panic!("not a list of services: {answer:?}");
    };
    let names: Vec<_> = service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"tacit.v1.PrivateInference"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
}
