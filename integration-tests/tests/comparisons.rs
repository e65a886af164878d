//! What can go wrong in the middle of a ReLU or a maximum: a typed reason, a session that is gone, and a server that
//! goes on serving.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

mod support;

use support::{OnlineCall, RawClient, Served, assert_reason};
use tacit_compiler::CompileOptions;
use tacit_proto::Reason;
use tacit_protocol::plan::{NodeId, Step};
use tacit_protocol::session::{
    Message, MessageKind, OnlineClient, OnlineProgress, OnlineRequest, OnlineResponse, PreprocessRequest,
};

/// LeNet-5 has both: maxima, with ReLUs behind them.
const NETWORK: &str = "m3";

/// The first ReLU and the first maximum.
fn comparisons(client: &RawClient) -> Vec<NodeId> {
    let first = |wanted: fn(&Step) -> bool| client.plan.nodes.iter().position(|node| wanted(&node.step)).unwrap();
    vec![first(|step| matches!(step, Step::Relu { .. })), first(|step| matches!(step, Step::Maximum { .. }))]
}

/// Runs an honest inference up to the answer to the first opening of a node, which is not sent.
async fn up_to(client: &RawClient, node: NodeId) -> (OnlineClient, OnlineCall, Vec<Message>) {
    let (mut machine, mut call) = client.start_online().await;
    loop {
        let OnlineProgress::Continue(messages) = machine.handle(call.next().await.unwrap()).unwrap() else {
            panic!("the inference is over before node {node}")
        };
        let answers: Vec<Message> = messages
            .into_iter()
            .map(|message| match message {
                OnlineRequest::Step(message) => message,
                OnlineRequest::Open(_) => panic!("opened twice"),
            })
            .collect();
        if answers.iter().any(|answer| answer.node == node) {
            return (machine, call, answers);
        }
        answers.into_iter().for_each(|answer| call.send(OnlineRequest::Step(answer)));
    }
}

/// A fault: its name, what is sent instead of the right answers, and the reason that the server gives.
type Fault<M> = (&'static str, fn(Vec<Message>) -> Vec<M>, Reason);

fn change(mut answers: Vec<Message>, change: fn(&mut Message)) -> Vec<Message> {
    change(answers.last_mut().unwrap());
    answers
}

const ONLINE_FAULTS: &[Fault<Message>] = &[
    ("another round", |answers| change(answers, |answer| answer.round += 1), Reason::OutOfOrder),
    ("another node", |answers| change(answers, |answer| answer.node += 1), Reason::OutOfOrder),
    ("another kind", |answers| change(answers, |answer| answer.kind = MessageKind::MaskedInput), Reason::OutOfOrder),
    ("a gap", |answers| change(answers, |answer| answer.offset += 1), Reason::OutOfOrder),
    ("one byte too many", |answers| change(answers, |answer| answer.data.push(0)), Reason::InvalidMessage),
    (
        "one byte too few, then the side closed",
        |answers| change(answers, |answer| answer.data.truncate(answer.data.len() - 1)),
        Reason::OutOfOrder,
    ),
    ("the answer twice", |answers| [answers.clone(), answers].concat(), Reason::OutOfOrder),
];

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_end_the_session_with_a_reason() {
    let served = Served::start(NETWORK, &CompileOptions::default()).await;
    let client = served.client().await;
    for node in comparisons(&client) {
        for (name, fault, reason) in ONLINE_FAULTS {
            let (_, call, answers) = up_to(&client, node).await;
            fault(answers).into_iter().for_each(|answer| call.send(OnlineRequest::Step(answer)));
            assert_reason(&format!("{name}, node {node}"), call.half_close().await, *reason);
            served.assert_idle().await;
        }
    }
    served.assert_serves().await;
    served.server.stop().await;
}

/// Bits that are flipped in an answer cannot be told from others: the inference goes on, to a wrong result.
#[tokio::test(flavor = "multi_thread")]
async fn tampered_answers_harm_nobody_else() {
    let served = Served::start(NETWORK, &CompileOptions::default()).await;
    let client = served.client().await;
    for node in comparisons(&client) {
        let (mut machine, mut call, mut answers) = up_to(&client, node).await;
        answers.iter_mut().flat_map(|answer| &mut answer.data).for_each(|byte| *byte ^= 0xff);
        answers.into_iter().for_each(|answer| call.send(OnlineRequest::Step(answer)));
        while let OnlineProgress::Continue(messages) = machine.handle(call.next().await.unwrap()).unwrap() {
            messages.into_iter().for_each(|message| call.send(message));
        }
        served.assert_idle().await;
    }
    served.assert_serves().await;
    served.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_session_along() {
    let served = Served::start(NETWORK, &CompileOptions::default()).await;
    let client = served.client().await;
    for node in comparisons(&client) {
        // With the first round trip under way, and with the second.
        for answered in [false, true] {
            let (machine, mut call, answers) = up_to(&client, node).await;
            if answered {
                answers.into_iter().for_each(|answer| call.send(OnlineRequest::Step(answer)));
                let OnlineResponse::Step(opening) = call.next().await.unwrap();
                assert_eq!((opening.node, opening.round), (node, 1));
            }
            drop(call);
            drop(machine);
            served.assert_idle().await;
        }
        served.assert_serves().await;
    }
    served.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_used_once() {
    let served = Served::start(NETWORK, &CompileOptions::default()).await;
    let client = served.client().await;
    let session = client.prepare().await;
    let open = OnlineRequest::Open(session.id());
    let input = client.plan.encode_input(&vec![0.5; client.plan.input_shape().elements()]).unwrap();
    let (mut machine, messages) = session.start(&input).unwrap();
    let mut call = client.online().await;
    messages.iter().for_each(|message| call.send(message.clone()));
    // In the middle of the first comparison, and again once all is done.
    let mut opened = false;
    loop {
        let progress = machine.handle(call.next().await.unwrap()).unwrap();
        if !std::mem::replace(&mut opened, true) {
            let again = client.online().await;
            messages.iter().for_each(|message| again.send(message.clone()));
            assert_reason("a session in use", again.end().await, Reason::UnknownSession);
        }
        match progress {
            OnlineProgress::Continue(answers) => answers.into_iter().for_each(|answer| call.send(answer)),
            OnlineProgress::Finished(_) => break,
        }
    }
    let again = client.online().await;
    again.send(open);
    assert_reason("a used session", again.end().await, Reason::UnknownSession);
    served.assert_serves().await;
    served.server.stop().await;
}

const PREPARATION_FAULTS: &[Fault<Message>] = &[
    ("another round", |answers| change(answers, |answer| answer.round += 1), Reason::OutOfOrder),
    ("another session", |answers| change(answers, |answer| answer.session += 1), Reason::OutOfOrder),
    ("another node", |answers| change(answers, |answer| answer.node = 0), Reason::OutOfOrder),
    ("another kind", |answers| change(answers, |answer| answer.kind = MessageKind::ShareChoices), Reason::OutOfOrder),
    ("a gap", |answers| change(answers, |answer| answer.offset += 1), Reason::OutOfOrder),
    ("one byte too many", |answers| change(answers, |answer| answer.data.push(0)), Reason::InvalidMessage),
    ("the corrections twice", |answers| [answers.clone(), answers].concat(), Reason::OutOfOrder),
];

#[tokio::test(flavor = "multi_thread")]
async fn wrong_corrections_end_the_preparation_with_a_reason() {
    let served = Served::start(NETWORK, &CompileOptions::default()).await;
    let client = served.client().await;
    for node in comparisons(&client) {
        for (name, fault, reason) in PREPARATION_FAULTS {
            let prepared = client.prepare_with(|message| match message {
                PreprocessRequest::Step(message)
                    if message.node == node && message.kind == MessageKind::ClientCorrections =>
                {
                    fault(vec![message]).into_iter().map(PreprocessRequest::Step).collect()
                }
                other => vec![other],
            });
            let outcome = prepared.await.map(|_| ());
            assert_reason(&format!("{name}, node {node}"), outcome, *reason);
            served.assert_idle().await;
        }
    }
    served.assert_serves().await;
    served.server.stop().await;
}
