//! Client against server in memory: whole sessions, and every way to disturb their messages.

mod disturbed;
mod whole;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use rand::{Rng, RngExt};

use super::*;
use crate::he::{NativeBackend, PreparedLinear, choose_packing};
use crate::plan::{
    InputSpec, LinearPlan, LinearShape, Node, NodeId, OutputFunction, OutputSpec, Padding, Plan, PlanDigest, Shape,
    Step,
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
            output: OutputSpec {
                name: "y".into(),
                dimensions: vec![4],
                labels: vec![],
                function: OutputFunction::Identity,
            },
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
