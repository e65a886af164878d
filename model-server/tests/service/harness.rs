//! A small network with known weights, a server for it, and a client made of stubs and session machines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tacit_model_server::{Limits, ServeError, Server, ShutdownHandle};
use tacit_proto::pb::private_inference_client::PrivateInferenceClient;
use tacit_proto::{Reason, pb};
use tacit_protocol::plan::ExtensionKind;
use tacit_protocol::plan::{
    InputSpec, LinearShape, LinearStep, Node, NodeId, OutputFunction, OutputSpec, Plan, PlanDigest, Shape, Step,
};
use tacit_protocol::rlwe::{NativeBackend, PreparedLinear, choose_packing};
use tacit_protocol::session::{
    ClientSession, OnlineProgress, OnlineRequest, PreprocessClient, PreprocessRequest, ServerModel,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// Name under which the network is served.
pub const MODEL: &str = "small";

/// Fully connected 4 to 3, square, fully connected 3 to 2.
pub struct SmallModel {
    plan: Arc<Plan>,
    layers: [Option<Layer>; 5],
    /// Makes the online computation panic, as a defect of the program would.
    pub defective: AtomicBool,
}

struct Layer {
    weights: Vec<i16>,
    prepared: PreparedLinear,
}

impl SmallModel {
    pub fn new() -> Arc<Self> {
        let layer = |inputs, outputs, seed: i16| {
            let shape = LinearShape::fully_connected(inputs, outputs);
            let weights: Vec<i16> = (0..shape.weight_count() as i16).map(|i| (i * 7 + seed) % 23 - 11).collect();
            let plan = LinearStep { shape, packing: choose_packing(&shape, &weights).unwrap() };
            let prepared = PreparedLinear::new(&plan, &weights).unwrap();
            (Step::Linear(plan), Some(Layer { weights, prepared }))
        };
        let (first, first_layer) = layer(4, 3, 3);
        let (second, second_layer) = layer(3, 2, 5);
        let node = |step, input: Option<NodeId>, length, fraction_bits| Node {
            step,
            inputs: input.into_iter().collect(),
            shape: Shape::vector(length),
            fraction_bits,
            bits: 31,
        };
        let plan = Plan {
            input: InputSpec { name: "x".into(), dimensions: vec![4], low: -1.0, high: 1.0 },
            nodes: vec![
                node(Step::Input, None, 4, 10),
                node(first, Some(0), 3, 10),
                node(Step::Square { drop: 4 }, Some(1), 3, 12),
                node(second, Some(2), 2, 12),
                node(Step::Output { drop: 2 }, Some(3), 2, 12),
            ],
            output: OutputSpec {
                name: "y".into(),
                dimensions: vec![2],
                labels: vec![],
                function: OutputFunction::Identity,
            },
            transfers: ExtensionKind::DEFAULT,
        };
        plan.validate().unwrap();
        Arc::new(Self {
            plan: Arc::new(plan),
            layers: [None, first_layer, None, second_layer, None],
            defective: AtomicBool::new(false),
        })
    }

    /// The logits in floating point.
    pub fn evaluate(&self, input: &[f32]) -> Vec<f32> {
        let apply = |id: usize, input: &[f32]| -> Vec<f32> {
            let weights = &self.layers[id].as_ref().unwrap().weights;
            let rows = weights.chunks(input.len());
            rows.map(|row| row.iter().zip(input).map(|(w, x)| f32::from(*w) * x).sum()).collect()
        };
        let squares: Vec<f32> = apply(1, input).iter().map(|value| value * value).collect();
        apply(3, &squares)
    }
}

impl ServerModel for SmallModel {
    fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    fn digest(&self) -> PlanDigest {
        self.plan.digest()
    }

    fn prepared_linear(&self, node: NodeId) -> Option<&PreparedLinear> {
        self.layers[node].as_ref().map(|layer| &layer.prepared)
    }

    fn linear(&self, node: NodeId, share: &[u32], accumulators: &mut [u32]) {
        assert!(!self.defective.load(Ordering::SeqCst), "a secret detail");
        let rows = self.layers[node].as_ref().unwrap().weights.chunks(share.len());
        for (row, accumulator) in rows.zip(accumulators) {
            let products = row.iter().zip(share).map(|(w, x)| (i32::from(*w) as u32).wrapping_mul(*x));
            *accumulator = products.fold(0, u32::wrapping_add);
        }
    }

    fn offset(&self, _node: NodeId, _share: &mut [u32]) {}
}

/// A running server. Ends with the test's runtime.
pub struct TestServer {
    pub address: SocketAddr,
    pub handle: ShutdownHandle,
    pub task: JoinHandle<Result<(), ServeError>>,
    pub model: Arc<SmallModel>,
}

/// Limits that keep the tests small.
pub fn limits() -> Limits {
    Limits { threads: 2, ..Limits::default() }
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(limits()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let model = SmallModel::new();
        let builder = Server::builder().model(MODEL, model.clone()).limits(limits);
        let server = builder.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, handle) = (server.local_address(), server.shutdown_handle());
        Self { address, handle, task: tokio::spawn(server.serve()), model }
    }

    /// A connection of its own.
    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.tcp_nodelay(true).connect().await.unwrap()
    }

    pub async fn client(&self) -> TestClient {
        TestClient { stubs: PrivateInferenceClient::new(self.channel().await), plan: self.model.plan.clone() }
    }

    /// A whole inference over a new connection gives the right logits.
    pub async fn assert_serves(&self) {
        let client = self.client().await;
        let session = client.prepare(1).await.unwrap().pop().unwrap();
        let input = [0.5, -0.25, 1.0 - 1.0 / 1024.0, 0.125];
        let logits = client.infer(session, &input).await.unwrap();
        for (private, plain) in logits.iter().zip(self.model.evaluate(&input)) {
            assert!((private - plain).abs() < 4.0, "{private} instead of {plain}");
        }
    }
}

/// The client's half: stubs and the plan.
#[derive(Clone)]
pub struct TestClient {
    pub stubs: PrivateInferenceClient<Channel>,
    pub plan: Arc<Plan>,
}

/// A `Preprocess` or `Online` call.
pub struct TestCall<In, Out> {
    pub requests: mpsc::UnboundedSender<In>,
    pub responses: Streaming<Out>,
}

impl<In, Out> TestCall<In, Out> {
    /// Sends a message; one that comes too late is dropped.
    pub fn send(&self, message: impl TryInto<In, Error: std::fmt::Debug>) {
        let _ = self.requests.send(message.try_into().unwrap());
    }

    /// The status with which the server ends the call.
    pub async fn end(mut self) -> Result<(), Status> {
        while self.responses.message().await?.is_some() {}
        Ok(())
    }

    /// The status with which the server ends the call after the client has half-closed.
    pub async fn half_close(self) -> Result<(), Status> {
        let Self { requests, mut responses } = self;
        drop(requests);
        while responses.message().await?.is_some() {}
        Ok(())
    }
}

impl TestClient {
    pub async fn preprocess(&self) -> TestCall<pb::PreprocessRequest, pb::PreprocessResponse> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let call = self.stubs.clone().preprocess(UnboundedReceiverStream::new(receiver)).await;
        TestCall { requests, responses: call.unwrap().into_inner() }
    }

    pub async fn online(&self) -> TestCall<pb::OnlineRequest, pb::OnlineResponse> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let call = self.stubs.clone().online(UnboundedReceiverStream::new(receiver)).await;
        TestCall { requests, responses: call.unwrap().into_inner() }
    }

    /// The first messages of an honest client.
    pub fn start(&self, sessions: u32) -> (PreprocessClient, Vec<PreprocessRequest>) {
        PreprocessClient::start(self.plan.clone(), MODEL, sessions, &NativeBackend).unwrap()
    }

    pub async fn prepare(&self, sessions: u32) -> Result<Vec<ClientSession>, Status> {
        let (mut machine, messages) = self.start(sessions);
        let mut call = self.preprocess().await;
        messages.into_iter().for_each(|message| call.send(message));
        let mut prepared = Vec::new();
        while !machine.is_finished() {
            let response = call.responses.message().await?.expect("the server closed the call early");
            let progress = machine.handle(response.try_into().unwrap()).unwrap();
            progress.messages.into_iter().for_each(|message| call.send(message));
            prepared.extend(progress.prepared);
        }
        call.half_close().await?;
        Ok(prepared)
    }

    /// A prepared session, as the first messages of its inference.
    pub async fn prepare_requests(&self) -> Vec<OnlineRequest> {
        let session = self.prepare(1).await.unwrap().pop().unwrap();
        session.start(&self.plan.encode_input(&[0.5; 4]).unwrap()).unwrap().1
    }

    pub async fn infer(&self, session: ClientSession, input: &[f32]) -> Result<Vec<f32>, Status> {
        let (mut machine, messages) = session.start(&self.plan.encode_input(input).unwrap()).unwrap();
        let mut call = self.online().await;
        messages.into_iter().for_each(|message| call.send(message));
        loop {
            let response = call.responses.message().await?.expect("the server closed the call early");
            match machine.handle(response.try_into().unwrap()).unwrap() {
                OnlineProgress::Continue(messages) => messages.into_iter().for_each(|message| call.send(message)),
                OnlineProgress::Finished(logits) => {
                    call.half_close().await?;
                    return Ok(self.plan.decode_output(&logits));
                }
            }
        }
    }
}

/// The call failed for this reason, with its status code and a message.
pub fn assert_reason<T: std::fmt::Debug>(result: Result<T, Status>, reason: Reason) {
    let status = result.unwrap_err();
    assert_eq!(Reason::of(&status), Some(reason), "{status:?}");
    assert_eq!(status.code(), reason.code());
    assert!(!status.message().is_empty());
}

/// The call failed with this code, for no reason of the protocol.
pub fn assert_code<T: std::fmt::Debug>(result: Result<T, Status>, code: Code) {
    assert_eq!(result.unwrap_err().code(), code);
}

/// Waits until `condition` holds; the test fails if it never does.
pub async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the condition did not come true within 5 seconds");
}
