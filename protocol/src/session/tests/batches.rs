//! How many sessions one stream prepares, and how many at the same time.

use super::*;
use crate::session::in_flight::sessions_in_flight;

/// The test network with so many elements that one session has about `megabytes` of preprocessing. Not to be evaluated.
fn wide(megabytes: usize) -> Plan {
    let mut plan = (*MODEL.plan).clone();
    let shape = Shape::vector(megabytes * 7000);
    plan.nodes.push(Node { shape, inputs: vec![4], ..plan.nodes[5].clone() });
    plan
}

/// The test network with a local step of so many elements, none of which is in a message.
fn wide_locally(elements: usize) -> Plan {
    let mut plan = (*MODEL.plan).clone();
    plan.nodes.push(Node { shape: Shape::vector(elements), inputs: vec![9], ..plan.nodes[10].clone() });
    plan
}

#[test]
fn many_small_sessions_are_in_flight_and_few_large_ones() {
    let bytes = |plan: &Plan| {
        let session = predict(plan).preprocessing;
        let shares: usize = plan.nodes.iter().map(|node| 4 * node.shape.elements()).sum();
        session.bytes_sent + session.bytes_received + 8 * session.transfers + shares as u64
    };
    for (plan, expected) in [
        ((*MODEL.plan).clone(), 1000..2000),
        (wide(20), 4..12),
        (wide(1000), 2..3),
        // The client holds its share of every value: 16 MB, and 128 MB.
        (wide_locally(1 << 22), 10..16),
        (wide_locally(1 << 25), 2..3),
    ] {
        let sessions = sessions_in_flight(&plan, &SessionLayout::new(&plan));
        assert!(expected.contains(&sessions), "{sessions} sessions of {} bytes each", bytes(&plan));
        assert!(sessions == 2 || sessions as u64 * bytes(&plan) <= 1 << 28);
    }
}

/// Lets all messages that are on their way arrive before any answer to them leaves, and counts how often the client waits.
fn round_trips(model: &Arc<TestModel>, sessions: u32, in_flight: Option<usize>) -> u32 {
    let (mut client, mut requests) =
        PreprocessClient::start(model.plan.clone(), "test", sessions, &NativeBackend).unwrap();
    client.in_flight = in_flight.unwrap_or(client.in_flight);
    let mut server = None;
    let mut waits = 0;
    while !client.is_finished() {
        let mut responses = Vec::new();
        for request in requests.drain(..) {
            let Some(server) = &mut server else {
                let PreprocessRequest::Open(open) = request else { panic!("Open comes first") };
                let (machine, answers) = PreprocessServer::open(model.clone(), open).unwrap();
                server = Some(machine);
                responses.extend(answers);
                continue;
            };
            let progress = server.handle([request]).unwrap();
            responses.extend(progress.messages);
            for (session, _) in progress.prepared {
                let id = SessionId::random().unwrap();
                responses.push(PreprocessResponse::Prepared(Prepared { session, id, lifetime_seconds: 60 }));
            }
        }
        waits += 1;
        for response in responses {
            requests.extend(client.handle(response).unwrap().messages);
        }
    }
    waits
}

#[test]
fn a_batch_takes_hardly_more_round_trips_than_one_session() {
    for model in models() {
        let one = round_trips(model, 1, None);
        assert_eq!(one, predict(&model.plan).preprocessing.round_trips);
        assert_eq!(round_trips(model, 4, None), one);
        // Sessions that start with the first answer are one round trip late, unless they wait for the silent set-up anyway.
        assert_eq!(round_trips(model, 12, None), 4);
        assert!(round_trips(model, 12, Some(2)) > 3 * one, "the bound holds");
    }
}

#[test]
fn the_server_refuses_more_sessions_in_flight_than_the_plan_allows() {
    let (_, _, transcript) = prepare(&MODEL, 3);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    let (mut server, _) = PreprocessServer::open(MODEL.clone(), open.clone()).unwrap();
    server.in_flight = 2;
    let masks = transcript.requests.iter().filter_map(|request| match request {
        PreprocessRequest::Step(message) if message.kind == MessageKind::MaskCiphertexts => Some(message),
        _ => None,
    });
    for message in masks.filter(|message| message.node == 1) {
        let answer = server.handle([PreprocessRequest::Step(message.clone())]);
        match message.session {
            0 | 1 => assert!(answer.is_ok()),
            session => assert!(matches!(answer, Err(SessionError::SessionIndex(index)) if index == session)),
        }
    }
}

#[test]
fn a_count_of_sessions_that_is_refused_says_what_is_possible() {
    assert_eq!(max_sessions(&MODEL.plan), Open::MAX_SESSIONS);
    let wide = Plan { transfers: ExtensionKind::Silent, ..wide(100) };
    let most = max_sessions(&wide);
    assert!((2..100).contains(&most), "{most}");
    for (plan, limit) in [(&*MODEL.plan, Open::MAX_SESSIONS), (&wide, most)] {
        for sessions in [0, limit + 1, u32::MAX] {
            let error = transfers::check_sessions(plan, &SessionLayout::new(plan), sessions).unwrap_err();
            let text = format!("{sessions} sessions in one batch: between 1 and {limit} are possible with this plan");
            assert_eq!((error.to_string(), error.blame()), (text, Blame::Peer));
        }
        assert!(
            [1, limit]
                .into_iter()
                .all(|sessions| transfers::check_sessions(plan, &SessionLayout::new(plan), sessions).is_ok())
        );
    }
    for sessions in [0, Open::MAX_SESSIONS + 1] {
        let refused = PreprocessClient::start(MODEL.plan.clone(), "test", sessions, &NativeBackend);
        assert!(matches!(refused, Err(SessionError::SessionCount { .. })));
    }
}
