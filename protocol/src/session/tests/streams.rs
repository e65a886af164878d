//! What a stream of several sessions costs, and what it tells an observer.

use std::sync::Mutex;

use super::*;

#[test]
fn streams_of_several_sessions_cost_what_is_predicted() {
    for (model, sessions) in models().into_iter().flat_map(|model| [(model, 1), (model, 3)]) {
        let (_, _, transcript) = prepare(model, sessions);
        let sent: usize = transcript.requests.iter().map(request_bytes).sum();
        let received: usize = transcript.responses.iter().map(response_bytes).sum();
        let predicted = predict_stream(&model.plan, sessions);
        assert_eq!((sent as u64, received as u64), (predicted.bytes_sent, predicted.bytes_received), "{sessions}");
    }
    let [one, three] = [1, 3].map(|sessions| predict_stream(&MODEL.plan, sessions));
    assert_eq!((three.transfers, three.round_trips), (3 * one.transfers, one.round_trips));
}

fn request_bytes(request: &PreprocessRequest) -> usize {
    match request {
        PreprocessRequest::Open(open) => {
            let keys = open.public_keys.iter().map(|key| key.seed.len() + 8 * key.body.len());
            keys.sum::<usize>() + open.base_receiver.len()
        }
        PreprocessRequest::OtSetup(setup) => setup.base_sender.len() + setup.silent_request.len(),
        PreprocessRequest::Step(message) => message.data.len(),
    }
}

fn response_bytes(response: &PreprocessResponse) -> usize {
    match response {
        PreprocessResponse::Accept(accept) => {
            accept.base_sender.len() + accept.base_receiver.len() + accept.silent_request.len()
        }
        PreprocessResponse::Step(message) => message.data.len(),
        PreprocessResponse::Prepared(_) => 0,
    }
}

/// Remembers what it was told.
#[derive(Default)]
struct Diary(Mutex<Vec<Work>>);

impl WorkObserver for Diary {
    fn begins(&self, work: Work) {
        self.0.lock().unwrap().push(work);
    }
}

impl Diary {
    /// What was told since the last time, without repetitions.
    fn read(&self) -> Vec<Work> {
        let mut works = std::mem::take(&mut *self.0.lock().unwrap());
        works.dedup();
        works
    }
}

#[test]
fn observers_are_told_each_kind_of_work() {
    use Work::{Activation, Encryption, Linear, Transfers};
    let [client_diary, server_diary] = [(); 2].map(|()| Arc::new(Diary::default()));
    let plan = MODEL.plan.clone();
    let (mut client, requests) =
        PreprocessClient::start_observed(plan, "test", 1, &NativeBackend, client_diary.clone()).unwrap();
    // Keys, base OTs, masks.
    assert_eq!(client_diary.read(), [Encryption, Transfers, Encryption, Transfers]);
    let mut queue: VecDeque<PreprocessRequest> = requests.into();
    let Some(PreprocessRequest::Open(open)) = queue.pop_front() else { panic!("Open comes first") };
    let (mut server, responses) = PreprocessServer::open_observed(MODEL.clone(), open, server_diary.clone()).unwrap();
    assert_eq!(server_diary.read(), [Encryption, Transfers]);
    let mut sessions = Vec::new();
    let mut answer = |client: &mut PreprocessClient, responses: Vec<PreprocessResponse>| {
        let mut requests = Vec::new();
        for response in responses {
            let is_product =
                matches!(&response, PreprocessResponse::Step(message) if message.kind == MessageKind::LinearResponses);
            let progress = client.handle(response).unwrap();
            // What comes in is about transfers unless it is products to decrypt.
            let works = client_diary.read();
            assert_eq!((works[0], works.contains(&Encryption)), (Transfers, is_product));
            requests.extend(progress.messages);
            sessions.extend(progress.prepared);
        }
        requests
    };
    queue.extend(answer(&mut client, responses));
    let mut prepared = None;
    while let Some(request) = queue.pop_front() {
        let is_upload =
            matches!(&request, PreprocessRequest::Step(message) if message.kind == MessageKind::MaskCiphertexts);
        let mut progress = server.handle([request]).unwrap();
        assert_eq!(server_diary.read().contains(&Encryption), is_upload);
        if let Some((session, ready)) = progress.prepared.pop() {
            prepared = Some(ready);
            let id = SessionId([0; 16]);
            progress.messages.push(PreprocessResponse::Prepared(Prepared { session, id, lifetime_seconds: 60 }));
        }
        queue.extend(answer(&mut client, progress.messages));
    }

    let mut server = prepared.unwrap().start_observed(MODEL.clone(), server_diary.clone()).unwrap();
    let (mut client, requests) = sessions.remove(0).start(&ring(&inputs()[0])).unwrap();
    let mut queue: VecDeque<OnlineRequest> = requests.into_iter().skip(1).collect();
    while let Some(request) = queue.pop_front() {
        let responses = server.handle(request).unwrap();
        let works = server_diary.read();
        assert_eq!((works.first(), works.last()), (Some(&Activation), Some(&Activation)));
        assert!(works.iter().all(|work| [Activation, Linear].contains(work)), "{works:?}");
        for response in responses {
            if let OnlineProgress::Continue(messages) = client.handle(response).unwrap() {
                queue.extend(messages);
            }
        }
    }
    assert!(server.is_finished());
}

#[test]
fn uploads_that_have_arrived_together_are_answered_together() {
    let (mut client, requests) = PreprocessClient::start(MODEL.plan.clone(), "test", 5, &NativeBackend).unwrap();
    let mut queue: VecDeque<PreprocessRequest> = requests.into();
    let Some(PreprocessRequest::Open(open)) = queue.pop_front() else { panic!("Open comes first") };
    let diary = Arc::new(Diary::default());
    let (mut server, mut responses) = PreprocessServer::open_observed(MODEL.clone(), open, diary.clone()).unwrap();
    diary.read();
    let (mut client_sessions, mut server_sessions, mut passes, mut most) = (Vec::new(), Vec::new(), 0, 0);
    while !client.is_finished() {
        for response in std::mem::take(&mut responses) {
            let progress = client.handle(response).unwrap();
            queue.extend(progress.messages);
            client_sessions.extend(progress.prepared);
        }
        // All that is on its way arrives at once; then no more until everything is answered.
        let mut arrived = std::mem::take(&mut queue);
        loop {
            let mut progress = server.handle(arrived.drain(..)).unwrap();
            let answers = progress.messages.iter().filter(|message| {
                matches!(message, PreprocessResponse::Step(message) if message.kind == MessageKind::LinearResponses)
            });
            let answers = answers.count();
            passes += diary.read().iter().filter(|work| **work == Work::Encryption).count();
            most = most.max(answers);
            for (session, prepared) in progress.prepared {
                server_sessions.push(prepared);
                let id = SessionId::random().unwrap();
                progress.messages.push(PreprocessResponse::Prepared(Prepared { session, id, lifetime_seconds: 60 }));
            }
            responses.extend(progress.messages);
            if server.waiting_bytes() == 0 {
                break;
            }
        }
    }
    assert!(server.is_finished());
    // Three linear steps, each for four sessions and then for the fifth.
    assert_eq!((passes, most), (6, 4));
    for ((client, server), input) in client_sessions.into_iter().zip(server_sessions).zip(inputs()) {
        let bounds = MODEL.bounds(&input);
        let (logits, _, _) = infer(&MODEL, client, server, &ring(&input));
        assert!(logits.iter().zip(bounds).all(|(logit, (low, high))| (low..=high).contains(&i64::from(*logit as i32))));
    }
}
