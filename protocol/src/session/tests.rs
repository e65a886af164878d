//! Client against server in memory: whole sessions, and every way to disturb their messages.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use rand::{Rng, RngExt};

use super::*;
use crate::he::{NativeBackend, PreparedLinear, choose_packing};
use crate::plan::{
    InputSpec, LinearPlan, LinearShape, Node, NodeId, OutputSpec, Padding, Plan, PlanDigest, Shape, Step,
};
use crate::random::Seed;
use crate::share::Share;

/// A small network with every kind of step: a residual square, a pool, two fully connected layers.
struct TestModel {
    plan: Arc<Plan>,
    layers: Vec<Option<Layer>>,
}

struct Layer {
    shape: LinearShape,
    weights: Vec<i16>,
    bias: Vec<u32>,
    prepared: PreparedLinear,
}

impl Layer {
    /// `W x + bias` in any arithmetic, here integers wide enough for bounds.
    fn apply(&self, input: &[i64]) -> Vec<i64> {
        let LinearShape { input: from, output: to, kernel, padding, .. } = self.shape;
        let mut outputs = Vec::new();
        for channel in 0..to.channels {
            for row in 0..to.height {
                for column in 0..to.width {
                    let mut sum = 0;
                    for source in 0..from.channels {
                        for (tap, weight) in self.taps(channel, source).iter().enumerate() {
                            let row = (row + tap / kernel[1]).wrapping_sub(padding.top);
                            let column = (column + tap % kernel[1]).wrapping_sub(padding.left);
                            if row < from.height && column < from.width {
                                let element = input[(source * from.height + row) * from.width + column];
                                sum += i64::from(*weight) * element;
                            }
                        }
                    }
                    sum += i64::from(self.bias[outputs.len()] as i32);
                    outputs.push(sum);
                }
            }
        }
        outputs
    }

    fn taps(&self, channel: usize, source: usize) -> &[i16] {
        let taps = self.shape.kernel[0] * self.shape.kernel[1];
        &self.weights[(channel * self.shape.input.channels + source) * taps..][..taps]
    }

    /// The absolute row sums: what an error of one in every input can add up to.
    fn spread(&self) -> i64 {
        let count = self.weights.len() / self.shape.output.channels;
        self.weights.chunks(count).map(|row| row.iter().map(|w| i64::from(w.unsigned_abs())).sum()).max().unwrap()
    }
}

impl TestModel {
    fn new(seed: u64) -> Self {
        let mut stream = Seed::for_test(seed).stream();
        let image = Shape::new(2, 6, 6);
        let features = Shape::new(3, 6, 6);
        let pooled = Shape::new(3, 3, 3);
        let convolution = LinearShape {
            input: image,
            output: features,
            kernel: [3, 3],
            padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
            ..LinearShape::fully_connected(1, 1)
        };
        let mut layers: Vec<Option<Layer>> = Vec::new();
        let mut nodes: Vec<Node> = Vec::new();
        let mut add = |step: Step, inputs: &[NodeId], shape: Shape, fraction_bits: i32, layer: Option<Layer>| {
            nodes.push(Node { step, inputs: inputs.to_vec(), shape, fraction_bits, bits: 31 });
            layers.push(layer);
        };
        let mut linear = |shape: LinearShape| {
            let weights: Vec<i16> = (0..shape.weight_count()).map(|_| stream.random_range(-64..=64)).collect();
            let bias = (0..shape.output.elements()).map(|_| stream.random_range(-1000i32..=1000) as u32).collect();
            let plan = LinearPlan { shape, packing: choose_packing(&shape, &weights).unwrap() };
            let prepared = PreparedLinear::new(&plan, &weights).unwrap();
            (Step::Linear(plan), Some(Layer { shape, weights, bias, prepared }))
        };
        let pool = Step::SumPool { kernel: [2, 2], stride: [2, 2], padding: Padding::default() };
        add(Step::Input, &[], image, 4, None);
        let (step, layer) = linear(convolution);
        add(step, &[0], features, 10, layer);
        add(Step::Square { drop: 7 }, &[1], features, 6, None);
        add(Step::ShiftLeft { amount: 4 }, &[2], features, 10, None);
        add(Step::Add, &[1, 3], features, 10, None);
        add(pool, &[4], pooled, 10, None);
        add(Step::Reshape, &[5], Shape::vector(27), 10, None);
        let (step, layer) = linear(LinearShape::fully_connected(27, 5));
        add(step, &[6], Shape::vector(5), 16, layer);
        add(Step::Truncate { drop: 9 }, &[7], Shape::vector(5), 7, None);
        let (step, layer) = linear(LinearShape::fully_connected(5, 4));
        add(step, &[8], Shape::vector(4), 12, layer);
        add(Step::Output { drop: 3 }, &[9], Shape::vector(4), 12, None);
        let plan = Plan {
            input: InputSpec { name: "x".into(), dimensions: vec![2, 6, 6], low: -1.0, high: 1.0 },
            nodes,
            output: OutputSpec { name: "y".into(), dimensions: vec![4], labels: vec![] },
        };
        plan.validate().unwrap();
        Self { plan: Arc::new(plan), layers }
    }

    /// Every logit as private inference may give it: the smallest and the largest value.
    fn bounds(&self, input: &[i64]) -> Vec<(i64, i64)> {
        let linear = |id: usize, low: &[i64], high: &[i64]| -> (Vec<i64>, Vec<i64>) {
            let layer = self.layers[id].as_ref().unwrap();
            let widest = low.iter().zip(high).map(|(low, high)| high - low).max().unwrap();
            let slack = layer.spread() * widest + 1;
            let centre = layer.apply(low);
            (centre.iter().map(|y| y - slack).collect(), centre.iter().map(|y| y + slack).collect())
        };
        let (low, high) = linear(1, input, input);
        let mut sums = (Vec::new(), Vec::new());
        for (low, high) in low.iter().zip(&high) {
            let (from, to) = (low >> 7, (high >> 7) + 1);
            let smallest = if from <= 0 && to >= 0 { 0 } else { (from * from).min(to * to) };
            sums.0.push(low + (smallest << 4));
            sums.1.push(high + ((from * from).max(to * to) << 4));
        }
        let pool = |values: &[i64]| -> Vec<i64> {
            let at = |channel: usize, row: usize, column: usize| values[(channel * 6 + row) * 6 + column];
            (0..27)
                .map(|index| {
                    let (channel, row, column) = (index / 9, index / 3 % 3 * 2, index % 3 * 2);
                    [(0, 0), (0, 1), (1, 0), (1, 1)].iter().map(|(i, j)| at(channel, row + i, column + j)).sum()
                })
                .collect()
        };
        let (low, high) = linear(7, &pool(&sums.0), &pool(&sums.1));
        assert!(low.iter().chain(&high).all(|value| value.abs() < 1 << 30), "the test network overflows");
        let low: Vec<i64> = low.iter().map(|value| value >> 9).collect();
        let high: Vec<i64> = high.iter().map(|value| (value >> 9) + 1).collect();
        let (low, high) = linear(9, &low, &high);
        low.iter().zip(high).map(|(low, high)| (low - 4, high + 4)).collect()
    }
}

impl ServerModel for TestModel {
    fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    fn digest(&self) -> PlanDigest {
        self.plan.digest()
    }

    fn prepared_linear(&self, node: NodeId) -> Option<&PreparedLinear> {
        self.layers.get(node)?.as_ref().map(|layer| &layer.prepared)
    }

    fn linear(&self, node: NodeId, share: &[u32], accumulators: &mut [u32]) {
        let share: Vec<i64> = share.iter().map(|element| i64::from(*element)).collect();
        let sums = self.layers[node].as_ref().unwrap().apply(&share);
        accumulators.iter_mut().zip(sums).for_each(|(accumulator, sum)| *accumulator = sum as u32);
    }
}

static MODEL: LazyLock<Arc<TestModel>> = LazyLock::new(|| Arc::new(TestModel::new(1)));

/// Everything that crossed the wire.
#[derive(Default)]
struct Transcript {
    requests: Vec<PreprocessRequest>,
    responses: Vec<PreprocessResponse>,
}

fn prepare(sessions: u32) -> (Vec<ClientSession>, Vec<ServerSession>, Transcript) {
    let mut transcript = Transcript::default();
    let (mut client, requests) = PreprocessClient::start(MODEL.plan.clone(), "test", sessions, &NativeBackend).unwrap();
    let mut queue: VecDeque<PreprocessRequest> = requests.into();
    let mut server = None;
    let (mut client_sessions, mut server_sessions) = (Vec::new(), Vec::new());
    while let Some(request) = queue.pop_front() {
        transcript.requests.push(request.clone());
        let responses = match (request, &mut server) {
            (PreprocessRequest::Open(open), None) => {
                let (machine, responses) = PreprocessServer::open(MODEL.clone(), open).unwrap();
                server = Some(machine);
                responses
            }
            (request, Some(server)) => {
                let progress = server.handle(request).unwrap();
                let mut responses = progress.messages;
                for (session, prepared) in progress.prepared {
                    server_sessions.push(prepared);
                    let id = SessionId::random().unwrap();
                    responses.push(PreprocessResponse::Prepared(Prepared { session, id, lifetime_seconds: 60 }));
                }
                responses
            }
            _ => panic!("Open comes first"),
        };
        for response in responses {
            transcript.responses.push(response.clone());
            let progress = client.handle(response).unwrap();
            queue.extend(progress.messages);
            client_sessions.extend(progress.prepared);
        }
    }
    assert!(client.is_finished() && server.is_some_and(|server| server.is_finished()));
    (client_sessions, server_sessions, transcript)
}

/// Runs the online phase; gives the logits and all messages.
fn infer(
    client: ClientSession,
    server: ServerSession,
    input: &Share,
) -> (Vec<u32>, Vec<OnlineRequest>, Vec<OnlineResponse>) {
    let mut server = server.start(MODEL.clone()).unwrap();
    let (mut client, requests) = client.start(input).unwrap();
    let mut queue: VecDeque<OnlineRequest> = requests.into();
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    while let Some(request) = queue.pop_front() {
        sent.push(request.clone());
        if let OnlineRequest::Open(_) = request {
            continue;
        }
        for response in server.handle(request).unwrap() {
            received.push(response.clone());
            match client.handle(response).unwrap() {
                OnlineProgress::Continue(messages) => queue.extend(messages),
                OnlineProgress::Finished(logits) => {
                    assert!(server.is_finished());
                    return (logits, sent, received);
                }
            }
        }
    }
    panic!("the logits never came");
}

fn inputs() -> Vec<Vec<i64>> {
    let mut stream = Seed::for_test(5).stream();
    let mut inputs = vec![vec![0; 72], vec![16; 72], vec![-16; 72]];
    inputs.extend((0..3).map(|_| (0..72).map(|_| stream.random_range(-16..=16)).collect()));
    inputs
}

fn ring(values: &[i64]) -> Share {
    Share(values.iter().map(|value| *value as u32).collect())
}

#[test]
fn private_inference_stays_in_the_last_place_rule() {
    let inputs = inputs();
    let (clients, servers, _) = prepare(inputs.len() as u32);
    for ((client, server), input) in clients.into_iter().zip(servers).zip(inputs) {
        let (logits, ..) = infer(client, server, &ring(&input));
        for (logit, (low, high)) in logits.iter().zip(MODEL.bounds(&input)) {
            let logit = i64::from(*logit as i32);
            assert!((low..=high).contains(&logit), "{logit} is not in {low}..={high}");
        }
    }
}

#[test]
fn bytes_are_as_predicted() {
    let (mut clients, mut servers, transcript) = prepare(2);
    let data = |message: &Message| message.data.len() as u64;
    let prediction = predict(&MODEL.plan);
    let (mut sent, mut set_up_sent) = (0, 0);
    for request in &transcript.requests {
        match request {
            PreprocessRequest::Open(open) => {
                let keys: usize = open.public_keys.iter().map(|key| key.seed.len() + 8 * key.body.len()).sum();
                set_up_sent += (keys + open.base_receiver.len()) as u64;
            }
            PreprocessRequest::OtSetup(setup) => set_up_sent += setup.base_sender.len() as u64,
            PreprocessRequest::Step(message) => sent += data(message),
        }
    }
    let (mut received, mut set_up_received) = (0, 0);
    for response in &transcript.responses {
        match response {
            PreprocessResponse::Accept(accept) => {
                set_up_received += (accept.base_receiver.len() + accept.base_sender.len()) as u64;
            }
            PreprocessResponse::Step(message) => received += data(message),
            PreprocessResponse::Prepared(_) => {}
        }
    }
    assert_eq!((set_up_sent, set_up_received), (prediction.setup.bytes_sent, prediction.setup.bytes_received));
    assert_eq!(sent, 2 * prediction.preprocessing.bytes_sent);
    assert_eq!(received, 2 * prediction.preprocessing.bytes_received);

    let (_, sent, received) = infer(clients.remove(0), servers.remove(0), &ring(&inputs()[3]));
    let sent: u64 =
        sent.iter().map(|request| if let OnlineRequest::Step(message) = request { data(message) } else { 0 }).sum();
    let received: u64 = received.iter().map(|OnlineResponse::Step(message)| data(message)).sum();
    assert_eq!((sent, received), (prediction.online.bytes_sent, prediction.online.bytes_received));
    assert_eq!(prediction.online.round_trips, 3);
}

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
        change(&|message| message.node += 1),
        change(&|message| message.node = usize::MAX),
        change(&|message| message.kind = MessageKind::Opening),
        change(&|message| message.kind = MessageKind::OutputShare),
    ]
}

#[test]
fn the_server_refuses_every_disturbed_preprocessing_message() {
    let (_, _, transcript) = prepare(1);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    for (position, request) in transcript.requests.iter().enumerate().skip(1) {
        // The server is brought to just before this message with fresh state each time; that its own random values
        // differ from those of the transcript does not matter for what it accepts.
        let server = || {
            let (mut server, _) = PreprocessServer::open(MODEL.clone(), open.clone()).unwrap();
            transcript.requests[1..position].iter().for_each(|request| _ = server.handle(request.clone()).unwrap());
            server
        };
        assert!(server().handle(PreprocessRequest::Open(open.clone())).is_err(), "a second Open");
        let mut repeated = server();
        repeated.handle(request.clone()).unwrap();
        assert!(repeated.handle(request.clone()).is_err(), "message {position} repeated");
        match request {
            PreprocessRequest::Step(message) => {
                for message in spoiled(message) {
                    assert!(server().handle(PreprocessRequest::Step(message)).is_err(), "message {position} spoiled");
                }
                let mut short = message.clone();
                short.data.pop();
                let progress = server().handle(PreprocessRequest::Step(short)).unwrap();
                assert!(progress.prepared.is_empty(), "a short message finishes nothing");
            }
            PreprocessRequest::OtSetup(setup) => {
                for length in [0, setup.base_sender.len() - 1, setup.base_sender.len() + 1] {
                    let mut base_sender = setup.base_sender.clone();
                    base_sender.resize(length, 1);
                    assert!(server().handle(PreprocessRequest::OtSetup(OtSetup { base_sender })).is_err());
                }
            }
            PreprocessRequest::Open(_) => panic!("one Open only"),
        }
    }
}

#[test]
fn the_server_refuses_a_wrong_opening() {
    let (_, _, transcript) = prepare(1);
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
    let (_, _, transcript) = prepare(1);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    let choices = transcript.requests.iter().find(
        |request| matches!(request, PreprocessRequest::Step(message) if message.kind == MessageKind::ShareChoices),
    );
    let corrections = transcript.requests.iter().find(
        |request| matches!(request, PreprocessRequest::Step(message) if message.kind == MessageKind::ClientCorrections),
    );
    for early in [choices.unwrap(), corrections.unwrap()] {
        let (mut server, _) = PreprocessServer::open(MODEL.clone(), open.clone()).unwrap();
        assert!(server.handle(early.clone()).is_err());
    }
    for early in &transcript.responses[1..] {
        let (mut client, _) = PreprocessClient::start(MODEL.plan.clone(), "test", 1, &NativeBackend).unwrap();
        let is_linear =
            matches!(early, PreprocessResponse::Step(message) if message.kind == MessageKind::LinearResponses);
        assert!(is_linear || client.handle(early.clone()).is_err(), "{early:?}");
    }
    for count in [0, Open::MAX_SESSIONS + 1] {
        assert!(PreprocessClient::start(MODEL.plan.clone(), "test", count, &NativeBackend).is_err());
    }
}

#[test]
fn the_client_refuses_every_disturbed_preprocessing_message() {
    let (_, _, transcript) = prepare(1);
    for response in &transcript.responses {
        let PreprocessResponse::Step(message) = response else { continue };
        let (mut client, _) = PreprocessClient::start(MODEL.plan.clone(), "test", 1, &NativeBackend).unwrap();
        for message in spoiled(message) {
            assert!(client.handle(PreprocessResponse::Step(message)).is_err());
        }
    }
    let (mut client, _) = PreprocessClient::start(MODEL.plan.clone(), "test", 1, &NativeBackend).unwrap();
    let PreprocessResponse::Accept(accept) = &transcript.responses[0] else { panic!("Accept comes first") };
    let mut short = accept.clone();
    short.base_sender.pop();
    assert!(client.handle(PreprocessResponse::Accept(short)).is_err());
    assert!(client.handle(PreprocessResponse::Accept(accept.clone())).is_err(), "a second Accept");
}

#[test]
fn both_sides_refuse_disturbed_online_messages() {
    let input = ring(&inputs()[3]);
    let (mut clients, mut servers, _) = prepare(2);
    let (_, sent, received) = infer(clients.remove(0), servers.remove(0), &input);
    let requests = &sent[1..];

    let mut server = servers.remove(0).start(MODEL.clone()).unwrap();
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
    let (_, _, transcript) = prepare(1);
    let PreprocessRequest::Open(open) = &transcript.requests[0] else { panic!("Open comes first") };
    let (mut server, _) = PreprocessServer::open(MODEL.clone(), open.clone()).unwrap();
    for request in &transcript.requests[1..] {
        let mut request = request.clone();
        if let PreprocessRequest::Step(message) = &mut request {
            stream.fill_bytes(&mut message.data);
        }
        // A payload of the right length is accepted whatever it says: it can only spoil the client's own answer.
        server.handle(request).unwrap();
    }
    assert!(server.is_finished());
}

#[test]
fn sessions_do_not_fit_another_model() {
    let (_, mut servers, _) = prepare(1);
    let other: Arc<dyn ServerModel> = Arc::new(TestModel::new(2));
    let mut plan = (**other.plan()).clone();
    plan.output.name = "other".into();
    let other = TestModel { plan: Arc::new(plan), layers: TestModel::new(2).layers };
    assert!(matches!(servers.remove(0).start(Arc::new(other)), Err(SessionError::Digest)));
}

#[test]
fn an_input_of_a_wrong_length_sends_nothing() {
    let (mut clients, ..) = prepare(1);
    let error = clients.remove(0).start(&Share::zeros(71)).err().unwrap();
    assert!(matches!(error, SessionError::InputLength { expected: 72, got: 71 }));
    assert_eq!(error.blame(), Blame::Caller);
}

#[test]
fn secrets_do_not_show_in_debug() {
    let (clients, servers, transcript) = prepare(1);
    assert!(format!("{:?}", clients[0]).len() < 60);
    assert!(format!("{:?}", servers[0]).len() < 60);
    let PreprocessRequest::Step(message) = &transcript.requests[1] else { panic!("masks come second") };
    assert!(format!("{message:?}").len() < 100);
}

/// Chi-square statistic of bytes against the uniform distribution: 255 degrees of freedom, standard deviation 22.6.
fn chi_square<'a>(bytes: impl Iterator<Item = &'a u8>) -> f64 {
    let mut counts = [0f64; 256];
    bytes.for_each(|byte| counts[usize::from(*byte)] += 1.0);
    let expected = counts.iter().sum::<f64>() / 256.0;
    counts.iter().map(|count| (count - expected).powi(2) / expected).sum()
}

#[test]
fn what_each_side_sees_is_uniform() {
    let count = 40;
    let (clients, servers, transcript) = prepare(count);
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
        let (_, sent, received) = infer(client, server, &ring(&[16; 72]));
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
            let statistic = chi_square(bytes.iter());
            assert!(statistic < 255.0 + 8.0 * 22.6, "{kind:?}: chi-square {statistic} over {} bytes", bytes.len());
        }
    }
    assert!(seen.iter().filter(|(_, bytes)| bytes.len() > 5_000).count() >= 6);
}
