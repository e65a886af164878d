//! Whole sessions: results, cost, and what each side sees.

use super::*;
use crate::uniformity::assert_uniform;

#[test]
fn private_inference_stays_in_the_last_place_rule() {
    for model in models() {
        let inputs = inputs();
        let (clients, servers, _) = prepare(model, inputs.len() as u32);
        for ((client, server), input) in clients.into_iter().zip(servers).zip(inputs) {
            let (logits, ..) = infer(model, client, server, &ring(&input));
            for (logit, (low, high)) in logits.iter().zip(model.bounds(&input)) {
                let logit = i64::from(*logit as i32);
                assert!((low..=high).contains(&logit), "{logit} is not in {low}..={high}");
            }
        }
    }
}

#[test]
fn bytes_are_as_predicted() {
    models().into_iter().for_each(assert_bytes_are_as_predicted);
}

fn assert_bytes_are_as_predicted(model: &Arc<TestModel>) {
    // One session: the prediction's set-up is that of a stream with one.
    let (mut clients, mut servers, transcript) = prepare(model, 1);
    let data = |message: &Message| message.data.len() as u64;
    let prediction = predict(&model.plan);
    let (mut sent, mut set_up_sent) = (0, 0);
    for request in &transcript.requests {
        match request {
            PreprocessRequest::Open(open) => {
                let keys: usize = open.public_keys.iter().map(|key| key.seed.len() + 8 * key.body.len()).sum();
                set_up_sent += (keys + open.base_receiver.len()) as u64;
            }
            PreprocessRequest::OtSetup(setup) => {
                set_up_sent += (setup.base_sender.len() + setup.silent_request.len()) as u64;
            }
            PreprocessRequest::Step(message) if message.kind == MessageKind::ClientSilentReply => {
                set_up_sent += data(message);
            }
            PreprocessRequest::Step(message) => sent += data(message),
        }
    }
    let (mut received, mut set_up_received) = (0, 0);
    for response in &transcript.responses {
        match response {
            PreprocessResponse::Accept(accept) => {
                let Accept { base_sender, base_receiver, silent_request } = accept;
                set_up_received += (base_receiver.len() + base_sender.len() + silent_request.len()) as u64;
            }
            PreprocessResponse::Step(message) if message.kind == MessageKind::ServerSilentReply => {
                set_up_received += data(message);
            }
            PreprocessResponse::Step(message) => received += data(message),
            PreprocessResponse::Prepared(_) => {}
        }
    }
    assert_eq!((set_up_sent, set_up_received), (prediction.setup.bytes_sent, prediction.setup.bytes_received));
    assert_eq!(sent, prediction.preprocessing.bytes_sent);
    assert_eq!(received, prediction.preprocessing.bytes_received);

    let (_, sent, received) = infer(model, clients.remove(0), servers.remove(0), &ring(&inputs()[3]));
    let sent: u64 =
        sent.iter().map(|request| if let OnlineRequest::Step(message) = request { data(message) } else { 0 }).sum();
    let received: u64 = received.iter().map(|OnlineResponse::Step(message)| data(message)).sum();
    assert_eq!((sent, received), (prediction.online.bytes_sent, prediction.online.bytes_received));
    // Square, ReLU, maximum (three, for five digits), truncation, output.
    assert_eq!(prediction.online.round_trips, 1 + 2 + 3 + 1 + 1);
}

#[test]
fn secrets_do_not_show_in_debug() {
    let (clients, servers, transcript) = prepare(&MODEL, 1);
    assert!(format!("{:?}", clients[0]).len() < 60);
    assert!(format!("{:?}", servers[0]).len() < 60);
    let PreprocessRequest::Step(message) = &transcript.requests[1] else { panic!("masks come second") };
    assert!(format!("{message:?}").len() < 100);
}

#[test]
fn what_each_side_sees_is_uniform() {
    models().into_iter().for_each(assert_views_are_uniform);
}

fn assert_views_are_uniform(model: &Arc<TestModel>) {
    let count = 40;
    let (clients, servers, transcript) = prepare(model, count);
    let mut seen: Vec<(MessageKind, Vec<u8>)> = Vec::new();
    let mut note = |message: &Message| match seen.iter_mut().find(|(kind, _)| *kind == message.kind) {
        Some((_, bytes)) => bytes.extend(&message.data),
        None => seen.push((message.kind, message.data.clone())),
    };
    for request in &transcript.requests {
        if let PreprocessRequest::Step(message) = request {
            note(message);
        }
    }
    for response in &transcript.responses {
        if let PreprocessResponse::Step(message) = response {
            note(message);
        }
    }
    // The same input every time: only the masks make the messages differ.
    for (client, server) in clients.into_iter().zip(servers) {
        let (_, sent, received) = infer(model, client, server, &ring(&[16; 72]));
        for request in &sent {
            if let OnlineRequest::Step(message) = request {
                note(message);
            }
        }
        for OnlineResponse::Step(message) in &received {
            note(message);
        }
    }
    for (kind, bytes) in &seen {
        // The last byte of an array of bit fields may be partly filled, so only large messages are judged.
        if bytes.len() > 5_000 {
            assert_uniform(&format!("{kind:?}"), bytes.iter().copied());
        }
    }
    assert!(seen.iter().filter(|(_, bytes)| bytes.len() > 5_000).count() >= 6);
}
