//! Compiled networks evaluated privately, client against server in memory.

use std::collections::VecDeque;

use tacit_protocol::rlwe::NativeBackend;
use tacit_protocol::session::{
    ClientSession, OnlineProgress, OnlineRequest, Prepared, PreprocessClient, PreprocessRequest, PreprocessResponse,
    PreprocessServer, ServerSession, SessionId,
};
use tacit_protocol::share::Share;

use super::*;

/// Sessions of a model, ready for the online phase.
fn prepare(model: &Arc<PreparedModel>, sessions: u32) -> Vec<(ClientSession, ServerSession)> {
    let plan = Arc::clone(model.plan());
    let (mut client, requests) = PreprocessClient::start(plan, "test", sessions, &NativeBackend).expect("starts");
    let mut requests: VecDeque<PreprocessRequest> = requests.into();
    let Some(PreprocessRequest::Open(open)) = requests.pop_front() else { panic!("Open comes first") };
    let (mut server, responses) = PreprocessServer::open(Arc::clone(model) as _, open).expect("opens");
    let mut responses: VecDeque<PreprocessResponse> = responses.into();
    let (mut client_sessions, mut server_sessions) = (Vec::new(), Vec::new());
    while !client.is_finished() {
        if let Some(response) = responses.pop_front() {
            let progress = client.handle(response).expect("the client goes on");
            requests.extend(progress.messages);
            client_sessions.extend(progress.prepared);
        } else {
            let progress = server.handle(requests.pop_front()).expect("the server goes on");
            responses.extend(progress.messages);
            for (session, prepared) in progress.prepared {
                server_sessions.push(prepared);
                let id = SessionId::random().expect("random");
                responses.push_back(PreprocessResponse::Prepared(Prepared { session, id, lifetime_seconds: 60 }));
            }
        }
    }
    client_sessions.into_iter().zip(server_sessions).collect()
}

/// What the client gets on the ring.
fn infer(model: &Arc<PreparedModel>, (client, server): (ClientSession, ServerSession), input: &Share) -> Vec<u32> {
    let mut server = server.start(Arc::clone(model) as _).expect("starts");
    let (mut client, requests) = client.start(input).expect("starts");
    let mut requests: VecDeque<OnlineRequest> = requests.into_iter().skip(1).collect();
    loop {
        let request = requests.pop_front().expect("a request");
        for response in server.handle(request).expect("the server goes on") {
            match client.handle(response).expect("the client goes on") {
                OnlineProgress::Continue(messages) => requests.extend(messages),
                OnlineProgress::Finished(logits) => return logits,
            }
        }
    }
}

/// Private logits of all images stay in the last-place rule.
pub(super) fn assert_private(compiled: &CompiledModel, images: &[Vec<f32>]) {
    let model = Arc::new(compiled.prepare(usize::MAX).expect("prepares"));
    let sessions = prepare(&model, images.len() as u32);
    for (session, image) in sessions.into_iter().zip(images) {
        let input = compiled.plan.encode_input(image).expect("encodes");
        let ranges = fixed_point::evaluate_range(&compiled.plan, &compiled.parameters, &input);
        let logits = infer(&model, session, &input);
        for (logit, (low, high)) in logits.iter().zip(ranges) {
            let logit = i64::from(*logit as i32);
            assert!((low..=high).contains(&logit), "{logit} is not in {low}..={high}");
        }
        // The rule adds up worst cases; what happens is near the plain evaluation.
        let plain = fixed_point::evaluate(&compiled.plan, &compiled.parameters, &input);
        let [plain, private] = [plain, logits].map(|logits| compiled.plan.decode_output(&logits));
        let size = plain.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
        let off = plain.iter().zip(&private).fold(0.0f32, |most, (plain, private)| most.max((plain - private).abs()));
        assert!(off <= 0.02 * size + 1e-3, "{off} off, logits up to {size}");
    }
}

/// The class that private inference reveals is that of the plain evaluation, wherever the logits are not nearly equal.
pub(super) fn assert_private_class(graph: &Graph, round_trips: u32) {
    let options =
        CompileOptions { answer: Answer::Class, comparison_round_trips: round_trips, ..CompileOptions::default() };
    let compiled = compile(graph.clone(), Some(&samples(graph, 1)), &options).expect("compiles");
    let images = images(graph.layers[0].shape, 6, 3);
    let model = Arc::new(compiled.prepare(usize::MAX).expect("prepares"));
    for (session, image) in prepare(&model, images.len() as u32).into_iter().zip(&images) {
        let input = compiled.plan.encode_input(image).expect("encodes");
        let code = infer(&model, session, &input);
        let class = compiled.plan.decode_class(&code).expect("a class");
        let plain = fixed_point::evaluate(&compiled.plan, &compiled.parameters, &input);
        let exact = graph.evaluate(image).expect("evaluates");
        let largest = exact.iter().fold(f32::NEG_INFINITY, |most, logit| most.max(*logit));
        let size = exact.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
        assert!(exact[class] >= largest - 0.02 * size, "class {class} of {exact:?}");
        let plain_class = compiled.plan.decode_class(&plain).expect("a class");
        assert!(exact[plain_class] >= largest - 0.02 * size, "class {plain_class} of {exact:?}");
    }
}
