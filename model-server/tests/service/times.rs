//! What a server tells about its own work.

use std::time::Instant;

use tacit_model_server::Limits;
use tacit_proto::StepTimes;
use tacit_protocol::session::OnlineProgress;

use crate::harness::{TestServer, limits};

/// Prepares two sessions and uses one of them: what came beside `Prepared` each time, and beside the messages online.
async fn reports(limits: Limits) -> ([Option<StepTimes>; 2], Vec<Option<StepTimes>>) {
    let server = TestServer::with(limits).await;
    let client = server.client().await;
    let times = |wire: Option<tacit_proto::pb::StepTimes>| wire.map(|times| times.try_into().unwrap());

    let (mut machine, messages) = client.start(2);
    let mut call = client.preprocess().await;
    messages.into_iter().for_each(|message| call.send(message));
    let (mut prepared, mut preprocessing) = (Vec::new(), Vec::new());
    while !machine.is_finished() {
        let response = call.responses.message().await.unwrap().unwrap();
        let reported = times(response.times);
        let progress = machine.handle(response.try_into().unwrap()).unwrap();
        if progress.prepared.is_empty() {
            assert_eq!(reported, None);
        } else {
            preprocessing.push(reported);
        }
        progress.messages.into_iter().for_each(|message| call.send(message));
        prepared.extend(progress.prepared);
    }
    call.half_close().await.unwrap();

    let input = client.plan.encode_input(&[0.5; 4]).unwrap();
    let (mut machine, messages) = prepared.pop().unwrap().start(&input).unwrap();
    let mut call = client.online().await;
    messages.into_iter().for_each(|message| call.send(message));
    let mut online = Vec::new();
    loop {
        let response = call.responses.message().await.unwrap().unwrap();
        online.push(times(response.times));
        match machine.handle(response.try_into().unwrap()).unwrap() {
            OnlineProgress::Continue(messages) => messages.into_iter().for_each(|message| call.send(message)),
            OnlineProgress::Finished(_) => return (preprocessing.try_into().unwrap(), online),
        }
    }
}

#[tokio::test]
async fn times_are_reported_at_the_end_if_they_may_be() {
    let start = Instant::now();
    let (preprocessing, online) = reports(Limits { report_times: true, ..limits() }).await;
    let elapsed = start.elapsed();
    let [first, second] = preprocessing.map(Option::unwrap);
    assert!(!first.encryption.is_zero() && !first.transfers.is_zero(), "{first:?}");
    assert!(first.linear.is_zero() && first.activation.is_zero(), "{first:?}");
    // Each says what was computed since the stream began.
    assert!(first.total() <= second.total() && second.total() <= elapsed, "{first:?}, {second:?}");
    let (last, before) = online.split_last().unwrap();
    assert!(before.iter().all(Option::is_none));
    let last = last.unwrap();
    assert!(!last.linear.is_zero() && !last.activation.is_zero(), "{last:?}");
    assert!(last.encryption.is_zero() && last.transfers.is_zero() && last.total() <= elapsed, "{last:?}");
}

#[tokio::test]
async fn a_server_is_silent_about_its_times_unless_told_otherwise() {
    let (preprocessing, online) = reports(limits()).await;
    assert!(preprocessing.into_iter().chain(online).all(|times| times.is_none()));
}
