//! Every way to disturb the messages of a session: each gives an error, none a panic.

use super::*;

/// All ways to spoil one step message.
fn spoiled(message: &Message) -> Vec<Message> {
    let change = |change: &dyn Fn(&mut Message)| {
        let mut message = message.clone();
        change(&mut message);
        message
    };
    vec![
        change(&|message| message.data.push(0)),
        change(&|message| message.data.clear()),
        change(&|message| message.offset += 1),
        change(&|message| message.offset = u64::MAX),
        change(&|message| message.session = 77),
        change(&|message| message.round += 1),
        change(&|message| message.round = u32::MAX),
        change(&|message| message.node += 1),
        change(&|message| message.node = usize::MAX),
        change(&|message| message.kind = MessageKind::ServerOpening),
        change(&|message| message.kind = MessageKind::OutputShare),
    ]
}

#[test]
fn the_server_refuses_every_disturbed_preprocessing_message() {
    models().into_iter().for_each(assert_server_refuses_disturbed_preprocessing);
}

fn assert_server_refuses_disturbed_preprocessing(model: &Arc<TestModel>) {
    let (_, _, transcript) = prepare(model, 1);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    for (position, request) in transcript.requests.iter().enumerate().skip(1) {
        // The server is brought to just before this message with fresh state each time; that its own random values
        // differ from those of the transcript does not matter for what it accepts.
        let server = || {
            let (mut server, _) = PreprocessServer::open(model.clone(), open.clone()).unwrap();
            transcript.requests[1..position].iter().for_each(|request| _ = server.handle([request.clone()]).unwrap());
            server
        };
        assert!(server().handle([PreprocessRequest::Open(open.clone())]).is_err(), "a second Open");
        let mut repeated = server();
        repeated.handle([request.clone()]).unwrap();
        assert!(repeated.handle([request.clone()]).is_err(), "message {position} repeated");
        match request {
            PreprocessRequest::Step(message) => {
                for message in spoiled(message) {
                    assert!(server().handle([PreprocessRequest::Step(message)]).is_err(), "message {position} spoiled");
                }
                let mut short = message.clone();
                short.data.pop();
                let progress = server().handle([PreprocessRequest::Step(short)]).unwrap();
                assert!(progress.prepared.is_empty(), "a short message finishes nothing");
            }
            PreprocessRequest::OtSetup(setup) => {
                for length in [0, setup.base_sender.len() - 1, setup.base_sender.len() + 1] {
                    let mut base_sender = setup.base_sender.clone();
                    base_sender.resize(length, 1);
                    assert!(
                        server()
                            .handle([PreprocessRequest::OtSetup(OtSetup { base_sender, ..setup.clone() })])
                            .is_err()
                    );
                }
            }
            PreprocessRequest::Open(_) => panic!("one Open only"),
        }
    }
}

#[test]
fn the_server_refuses_a_wrong_opening() {
    let (_, _, transcript) = prepare(&MODEL, 1);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    let changes: &[fn(&mut Open)] = &[
        |open| open.digest.0[31] ^= 1,
        |open| open.sessions = 0,
        |open| open.sessions = Open::MAX_SESSIONS + 1,
        |open| open.public_keys.clear(),
        |open| open.public_keys.push(open.public_keys[0].clone()),
        |open| _ = open.public_keys[0].body.pop(),
        |open| open.public_keys[0].body.push(0),
        |open| _ = open.base_receiver.pop(),
        |open| open.base_receiver.clear(),
        |open| open.base_receiver.push(0),
        |open| open.base_receiver.fill(0xff),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut open = open.clone();
        change(&mut open);
        assert!(PreprocessServer::open(MODEL.clone(), open).is_err(), "change {index}");
    }
}

#[test]
fn messages_out_of_order_are_refused() {
    models().into_iter().for_each(assert_order_is_kept);
}

fn assert_order_is_kept(model: &Arc<TestModel>) {
    let (_, _, transcript) = prepare(model, 1);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    let choices = transcript.requests.iter().find(
        |request| matches!(request, PreprocessRequest::Step(message) if message.kind == MessageKind::ShareChoices),
    );
    let corrections = transcript.requests.iter().find(
        |request| matches!(request, PreprocessRequest::Step(message) if message.kind == MessageKind::ClientCorrections),
    );
    for early in [choices.unwrap(), corrections.unwrap()] {
        let (mut server, _) = PreprocessServer::open(model.clone(), open.clone()).unwrap();
        assert!(server.handle([early.clone()]).is_err());
    }
    for early in &transcript.responses[1..] {
        let (mut client, _) = PreprocessClient::start(model.plan.clone(), "test", 1, &NativeBackend).unwrap();
        let is_linear =
            matches!(early, PreprocessResponse::Step(message) if message.kind == MessageKind::LinearResponses);
        assert!(is_linear || client.handle(early.clone()).is_err(), "{early:?}");
    }
}

#[test]
fn the_client_refuses_every_disturbed_preprocessing_message() {
    models().into_iter().for_each(assert_client_refuses_disturbed_preprocessing);
}

fn assert_client_refuses_disturbed_preprocessing(model: &Arc<TestModel>) {
    let (_, _, transcript) = prepare(model, 1);
    for response in &transcript.responses {
        let PreprocessResponse::Step(message) = response else { continue };
        let (mut client, _) = PreprocessClient::start(model.plan.clone(), "test", 1, &NativeBackend).unwrap();
        for message in spoiled(message) {
            assert!(client.handle(PreprocessResponse::Step(message)).is_err());
        }
    }
    let (mut client, _) = PreprocessClient::start(model.plan.clone(), "test", 1, &NativeBackend).unwrap();
    let PreprocessResponse::Accept(accept) = &transcript.responses[0] else { panic!("Accept comes first") };
    let mut short = accept.clone();
    short.base_sender.pop();
    assert!(client.handle(PreprocessResponse::Accept(short)).is_err());
    assert!(client.handle(PreprocessResponse::Accept(accept.clone())).is_err(), "a second Accept");
}

#[test]
fn both_sides_refuse_disturbed_online_messages() {
    models().into_iter().for_each(assert_disturbed_online_messages_are_refused);
}

fn assert_disturbed_online_messages_are_refused(model: &Arc<TestModel>) {
    let input = ring(&inputs()[3]);
    let (mut clients, mut servers, _) = prepare(model, 2);
    let (_, sent, received) = infer(model, clients.remove(0), servers.remove(0), &input);
    let requests = &sent[1..];

    let mut server = servers.remove(0).start(model.clone()).unwrap();
    assert!(server.handle(sent[0].clone()).is_err(), "a second Open");
    for request in requests {
        let OnlineRequest::Step(message) = request else { panic!("one Open only") };
        for message in spoiled(message) {
            assert!(server.handle(OnlineRequest::Step(message)).is_err());
        }
        for other in requests.iter().filter(|other| *other != request) {
            assert!(server.handle(other.clone()).is_err(), "another step's message");
        }
        server.handle(request.clone()).unwrap();
    }
    assert!(server.is_finished());
    assert!(server.handle(requests[0].clone()).is_err(), "anything after the end");

    let session = clients.remove(0);
    let (mut client, _) = session.start(&input).unwrap();
    for response in &received {
        let OnlineResponse::Step(message) = response;
        for spoilt in spoiled(message).into_iter().filter(|spoilt| spoilt != message) {
            assert!(client.handle(OnlineResponse::Step(spoilt)).is_err());
        }
        for other in received.iter().filter(|other| *other != response) {
            assert!(client.handle(other.clone()).is_err(), "another step's message");
        }
        client.handle(response.clone()).unwrap();
    }
    assert!(client.handle(received[0].clone()).is_err(), "anything after the end");
}

#[test]
fn garbage_in_messages_gives_no_panic() {
    let mut stream = Seed::for_test(9).stream();
    let (_, _, transcript) = prepare(&MODEL, 1);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    let (mut server, _) = PreprocessServer::open(MODEL.clone(), open.clone()).unwrap();
    for request in &transcript.requests[1..] {
        let mut request = request.clone();
        if let PreprocessRequest::Step(message) = &mut request {
            stream.fill_bytes(&mut message.data);
        }
        // A payload of the right length is accepted whatever it says: it can only spoil the client's own answer.
        server.handle([request]).unwrap();
    }
    assert!(server.is_finished());
}

#[test]
fn sessions_do_not_fit_another_model() {
    let (_, mut servers, _) = prepare(&MODEL, 1);
    let other: Arc<dyn ServerModel> = Arc::new(TestModel::new(2, ExtensionKind::DEFAULT));
    let mut plan = (**other.plan()).clone();
    plan.output.name = "other".into();
    let other = TestModel { plan: Arc::new(plan), layers: TestModel::new(2, ExtensionKind::DEFAULT).layers };
    assert!(matches!(servers.remove(0).start(Arc::new(other)), Err(SessionError::Digest)));
}

#[test]
fn an_input_of_a_wrong_length_sends_nothing() {
    let (mut clients, ..) = prepare(&MODEL, 1);
    let error = clients.remove(0).start(&Share::zeros(71)).err().unwrap();
    assert!(matches!(error, SessionError::InputLength { expected: 72, got: 71 }));
    assert_eq!(error.blame(), Blame::Caller);
}
