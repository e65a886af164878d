//! Client against server in memory: whole sessions, and every way to disturb their messages.

mod batches;
mod disturbed;
mod streams;
mod toy;
mod whole;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use rand::{Rng, RngExt};

use super::layout::SessionLayout;
use super::observer::Unobserved;
use super::*;
use crate::plan::ExtensionKind;
use crate::plan::{
    Axis, InputSpec, LinearShape, LinearStep, Node, NodeId, OutputFunction, OutputSpec, Padding, Plan, PlanDigest,
    Shape, Step,
};
use crate::random::Seed;
use crate::rlwe::{NativeBackend, PreparedLinear, choose_packing};
use crate::share::Share;

/// A small network with every kind of step: a residual square, a ReLU, a maximum pool, a sum pool, two fully connected
/// layers.
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

/// Smallest and largest value that an element can have.
type Interval = (i64, i64);

/// What the server adds to each element of an offset node.
const OFFSET: u32 = 77;

impl Layer {
    /// `W x + bias`, on intervals.
    fn apply(&self, input: &[Interval]) -> Vec<Interval> {
        let LinearShape { input: from, output: to, kernel, padding, .. } = self.shape;
        let mut outputs = Vec::new();
        for channel in 0..to.channels {
            for row in 0..to.height {
                for column in 0..to.width {
                    let bias = i64::from(self.bias[outputs.len()] as i32);
                    let mut sum = (bias, bias);
                    for source in 0..from.channels {
                        for (tap, weight) in self.taps(channel, source).iter().enumerate() {
                            let row = (row + tap / kernel[1]).wrapping_sub(padding.top);
                            let column = (column + tap % kernel[1]).wrapping_sub(padding.left);
                            if row < from.height && column < from.width {
                                let (low, high) = input[(source * from.height + row) * from.width + column];
                                let (a, b) = (i64::from(*weight) * low, i64::from(*weight) * high);
                                sum = (sum.0 + a.min(b), sum.1 + a.max(b));
                            }
                        }
                    }
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
}

impl TestModel {
    fn new(seed: u64, transfers: ExtensionKind) -> Self {
        let mut stream = Seed::for_test(seed).stream();
        let image = Shape::new(2, 6, 6);
        let features = Shape::new(3, 6, 6);
        let halved = Shape::new(3, 3, 6);
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
        let mut add =
            |step: Step, inputs: &[NodeId], shape: Shape, fraction_bits: i32, bits: u32, layer: Option<Layer>| {
                nodes.push(Node { step, inputs: inputs.to_vec(), shape, fraction_bits, bits });
                layers.push(layer);
            };
        let mut linear = |shape: LinearShape| {
            let weights: Vec<i16> = (0..shape.weight_count()).map(|_| stream.random_range(-64..=64)).collect();
            let bias = (0..shape.output.elements()).map(|_| stream.random_range(-1000i32..=1000) as u32).collect();
            let plan = LinearStep { shape, packing: choose_packing(&shape, &weights).unwrap() };
            let prepared = PreparedLinear::new(&plan, &weights).unwrap();
            (Step::Linear(plan), Some(Layer { shape, weights, bias, prepared }))
        };
        let rows = |start: i32| Step::Slice { axis: Axis::Rows, start, step: 2, spacing: 1 };
        let pool = Step::SumPool { kernel: [1, 2], stride: [1, 2], padding: Padding::default() };
        add(Step::Input, &[], image, 4, 31, None);
        let (step, layer) = linear(convolution);
        add(step, &[0], features, 10, 31, layer);
        add(Step::Square { drop: 7 }, &[1], features, 6, 31, None);
        add(Step::ShiftLeft { amount: 4 }, &[2], features, 10, 31, None);
        add(Step::Add, &[1, 3], features, 10, 21, None);
        add(Step::Relu { drop: 5, digits: vec![4, 4, 4, 3] }, &[4], features, 5, 16, None);
        add(rows(-1), &[5], halved, 5, 16, None);
        add(rows(0), &[5], halved, 5, 16, None);
        add(Step::Maximum { ignored: 1, digits: vec![3; 5] }, &[6, 7], halved, 5, 16, None);
        add(pool, &[8], pooled, 5, 17, None);
        add(Step::Offset, &[9], pooled, 5, 17, None);
        add(Step::Reshape, &[10], Shape::vector(27), 5, 17, None);
        let (step, layer) = linear(LinearShape::fully_connected(27, 5));
        add(step, &[11], Shape::vector(5), 11, 31, layer);
        add(Step::Truncate { drop: 9 }, &[12], Shape::vector(5), 2, 31, None);
        let (step, layer) = linear(LinearShape::fully_connected(5, 4));
        add(step, &[13], Shape::vector(4), 7, 31, layer);
        add(Step::Output { drop: 3 }, &[14], Shape::vector(4), 7, 31, None);
        let plan = Plan {
            input: InputSpec { name: "x".into(), dimensions: vec![2, 6, 6], low: -1.0, high: 1.0 },
            nodes,
            output: OutputSpec {
                name: "y".into(),
                dimensions: vec![4],
                labels: vec![],
                function: OutputFunction::Identity,
            },
            transfers,
        };
        plan.validate().unwrap();
        Self { plan: Arc::new(plan), layers }
    }

    /// Every logit as private inference may give it.
    fn bounds(&self, input: &[i64]) -> Vec<Interval> {
        self.bounds_with(input, |value| value)
    }

    /// As [`Self::bounds`], if a reshaping step does this to each value.
    fn bounds_with(&self, input: &[i64], reshape: fn(Interval) -> Interval) -> Vec<Interval> {
        let mut values: Vec<Vec<Interval>> = Vec::new();
        for (id, node) in self.plan.nodes.iter().enumerate() {
            let first = node.inputs.first().map(|input| values[*input].clone()).unwrap_or_default();
            let each = |change: &dyn Fn(Interval) -> Interval| first.iter().copied().map(change).collect();
            let dropped = |(low, high): Interval, drop: u32| (low >> drop, -(-high >> drop));
            let pairs = |join: &dyn Fn(Interval, Interval) -> Interval| {
                first.iter().zip(&values[node.inputs[1]]).map(|(a, b)| join(*a, *b)).collect()
            };
            let value: Vec<Interval> = match &node.step {
                Step::Input => input.iter().map(|x| (*x, *x)).collect(),
                Step::Linear(_) => {
                    let sums = self.layers[id].as_ref().unwrap().apply(&first);
                    sums.into_iter().map(|(low, high)| (low - 1, high + 1)).collect()
                }
                Step::Square { drop } => each(&|range| {
                    let (low, high) = dropped(range, *drop);
                    let least = if low <= 0 && high >= 0 { 0 } else { (low * low).min(high * high) };
                    (least, (low * low).max(high * high))
                }),
                Step::ShiftLeft { amount } => each(&|(low, high)| (low << amount, high << amount)),
                Step::Add => pairs(&|a, b| (a.0 + b.0, a.1 + b.1)),
                Step::Relu { drop, .. } => each(&|(low, high)| dropped((low.max(0), high.max(0)), *drop)),
                Step::Slice { start, step, .. } => {
                    let row = |row: usize| (*start + row as i32 * *step as i32).max(0) as usize;
                    let place = |index: usize| (index / 18 * 6 + row(index / 6 % 3)) * 6 + index % 6;
                    (0..54).map(|index| first[place(index)]).collect()
                }
                Step::Maximum { ignored, .. } => pairs(&|a, b| (a.0.max(b.0) - (1 << ignored) + 1, a.1.max(b.1))),
                Step::SumPool { .. } => first.as_chunks::<2>().0.iter().map(|[a, b]| (a.0 + b.0, a.1 + b.1)).collect(),
                Step::Offset => each(&|(low, high)| (low + i64::from(OFFSET), high + i64::from(OFFSET))),
                Step::Truncate { drop } => each(&|range| dropped(range, *drop)),
                Step::Output { drop } => each(&|(low, high)| (low - (1 << (drop - 1)), high + (1 << (drop - 1)))),
                Step::Reshape => each(&reshape),
                _ => first.clone(),
            };
            let largest = value.iter().map(|(low, high)| low.abs().max(high.abs())).max().unwrap();
            assert!(largest < 1 << (node.bits - 1), "node {id} of the test network overflows: {largest}");
            values.push(value);
        }
        values.pop().unwrap()
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
        // Exact on the integers of the shares, so that the result is right modulo 2^32.
        let share: Vec<Interval> = share.iter().map(|element| i64::from(*element)).map(|x| (x, x)).collect();
        let sums = self.layers[node].as_ref().unwrap().apply(&share);
        accumulators.iter_mut().zip(sums).for_each(|(accumulator, (sum, _))| *accumulator = sum as u32);
    }

    fn offset(&self, _: NodeId, share: &mut [u32]) {
        share.iter_mut().for_each(|element| *element = element.wrapping_add(OFFSET));
    }
}

static MODEL: LazyLock<Arc<TestModel>> = LazyLock::new(|| Arc::new(TestModel::new(1, ExtensionKind::DEFAULT)));

/// The same network with the silent extension.
static SILENT: LazyLock<Arc<TestModel>> = LazyLock::new(|| Arc::new(TestModel::new(1, ExtensionKind::Silent)));

/// Everything that crossed the wire.
#[derive(Default)]
struct Transcript {
    requests: Vec<PreprocessRequest>,
    responses: Vec<PreprocessResponse>,
}

fn prepare(model: &Arc<TestModel>, sessions: u32) -> (Vec<ClientSession>, Vec<ServerSession>, Transcript) {
    prepare_layout(model, sessions, &SessionLayout::new)
}

/// As [`prepare`], with another layout of the plan.
fn prepare_layout(
    model: &Arc<TestModel>,
    sessions: u32,
    layout: &dyn Fn(&Plan) -> SessionLayout,
) -> (Vec<ClientSession>, Vec<ServerSession>, Transcript) {
    let mut transcript = Transcript::default();
    let plan = model.plan.clone();
    let own = layout(&plan);
    let (mut client, requests) =
        PreprocessClient::start_layout(plan, own, "test", sessions, &NativeBackend, Arc::new(Unobserved)).unwrap();
    let mut queue: VecDeque<PreprocessRequest> = requests.into();
    let mut server = None;
    let (mut client_sessions, mut server_sessions) = (Vec::new(), Vec::new());
    while let Some(request) = queue.pop_front() {
        transcript.requests.push(request.clone());
        let responses = match (request, &mut server) {
            (PreprocessRequest::Open(open), None) => {
                let own = layout(&model.plan);
                let (machine, responses) =
                    PreprocessServer::open_layout(model.clone(), own, open, Arc::new(Unobserved)).unwrap();
                server = Some(machine);
                responses
            }
            (request, Some(server)) => {
                let progress = server.handle([request]).unwrap();
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
    model: &Arc<TestModel>,
    client: ClientSession,
    server: ServerSession,
    input: &Share,
) -> (Vec<u32>, Vec<OnlineRequest>, Vec<OnlineResponse>) {
    let mut server = server.start(model.clone()).unwrap();
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

/// The test network with each kind of extension.
fn models() -> [&'static Arc<TestModel>; 2] {
    [&MODEL, &SILENT]
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
