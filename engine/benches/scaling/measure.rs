//! Private inference in memory, with the time that each party computes.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tacit_engine::prepared::PreparedModel;
use tacit_engine::quantize::Calibration;
use tacit_engine::{CompileOptions, compile};
use tacit_protocol::he::{NativeBackend, PreparedLinear};
use tacit_protocol::plan::{NodeId, Plan, PlanDigest};
use tacit_protocol::session::{
    ClientSession, MessageKind, OnlineProgress, OnlineRequest, Prepared, PreprocessClient, PreprocessRequest,
    PreprocessResponse, PreprocessServer, ServerModel, ServerSession, SessionId, predict,
};

use crate::network::Network;

/// Runs of each case; what counts is their median.
const RUNS: usize = 3;

/// Images that a network is calibrated with.
const SAMPLES: usize = 16;

/// What a case costs. Times in seconds, medians.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// From the layer graph to a model that is ready to serve.
    pub load: f64,
    /// Memory of the model that is ready to serve, in bytes.
    pub model_bytes: usize,
    /// Preprocessing of all sessions.
    pub preprocessing: Parties,
    /// Part of `preprocessing`, of both parties: keys, encryption, responses, decryption.
    pub encryption: f64,
    /// Part of `preprocessing`, of both parties: transfers and the tables of comparisons.
    pub transfers: f64,
    /// Online phase of one session.
    pub online: Parties,
    /// Part of `online`: the server's linear layers.
    pub linear: f64,
    /// Bytes of preprocessing of all sessions, both directions.
    pub preprocessing_bytes: u64,
    /// Bytes online of one session, both directions.
    pub online_bytes: u64,
}

/// Seconds of computation.
#[derive(Clone, Copy, Default)]
pub struct Parties {
    pub client: f64,
    pub server: f64,
}

impl Parties {
    pub fn both(self) -> f64 {
        self.client + self.server
    }
}

/// Compiles a network and evaluates `sessions` inputs privately, a few times.
pub fn measure(network: &Network, sessions: u32) -> Result<Cost, Box<dyn Error + Send + Sync>> {
    let begin = Instant::now();
    let calibration = Calibration::from_samples(network.images(SAMPLES))?;
    let compiled = compile(network.graph.clone(), Some(&calibration), &CompileOptions::default())?;
    let model = Arc::new(Timed { model: PreparedModel::new(&compiled)?, linear: AtomicU64::new(0) });
    let load = begin.elapsed().as_secs_f64();

    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let (mut cost, prepared) = preprocess(&model, sessions)?;
        let mut online = Vec::new();
        for (session, image) in prepared.into_iter().zip(calibration.samples().iter().cycle()) {
            online.push(infer(&model, session, image)?);
        }
        cost.online.client = median(&online, |cost| cost.online.client);
        cost.online.server = median(&online, |cost| cost.online.server);
        cost.linear = median(&online, |cost| cost.linear);
        runs.push(cost);
    }
    let prediction = predict(&compiled.plan);
    let [set_up, each, online] = [prediction.setup, prediction.preprocessing, prediction.online]
        .map(|phase| phase.bytes_sent + phase.bytes_received);
    Ok(Cost {
        load,
        model_bytes: model.model.memory_bytes(),
        preprocessing: Parties {
            client: median(&runs, |cost| cost.preprocessing.client),
            server: median(&runs, |cost| cost.preprocessing.server),
        },
        encryption: median(&runs, |cost| cost.encryption),
        transfers: median(&runs, |cost| cost.transfers),
        online: Parties {
            client: median(&runs, |cost| cost.online.client),
            server: median(&runs, |cost| cost.online.server),
        },
        linear: median(&runs, |cost| cost.linear),
        preprocessing_bytes: set_up + u64::from(sessions) * each,
        online_bytes: online,
    })
}

fn median(costs: &[Cost], part: impl Fn(&Cost) -> f64) -> f64 {
    let mut parts: Vec<f64> = costs.iter().map(part).collect();
    parts.sort_by(f64::total_cmp);
    parts[parts.len() / 2]
}

type Sessions = Vec<(ClientSession, ServerSession)>;

/// Prepares sessions. All messages of one party are handled before the other's turn, so that in the first sessions of a
/// stream no message makes a party both encrypt and transfer.
fn preprocess(model: &Arc<Timed>, sessions: u32) -> Result<(Cost, Sessions), Box<dyn Error + Send + Sync>> {
    let mut cost = Cost::default();
    let begin = Instant::now();
    let plan = Arc::clone(model.plan());
    let (mut client, requests) = PreprocessClient::start(plan, "scaling", sessions, &NativeBackend)?;
    cost.preprocessing.client += seconds(begin);
    cost.encryption += seconds(begin);
    let (mut requests, mut responses) = (VecDeque::from(requests), VecDeque::new());
    let mut server: Option<PreprocessServer> = None;
    let (mut client_sessions, mut server_sessions) = (Vec::new(), Vec::new());
    while !client.is_finished() {
        while let Some(request) = requests.pop_front() {
            let kind = match &request {
                PreprocessRequest::Step(message) => Some(message.kind),
                _ => None,
            };
            let begin = Instant::now();
            match (request, &mut server) {
                (PreprocessRequest::Open(open), None) => {
                    let (machine, answers) = PreprocessServer::open(Arc::clone(model) as _, open)?;
                    server = Some(machine);
                    responses.extend(answers);
                }
                (request, Some(server)) => {
                    let progress = server.handle([request])?;
                    responses.extend(progress.messages);
                    for (session, prepared) in progress.prepared {
                        server_sessions.push(prepared);
                        let id = SessionId::random()?;
                        responses.push_back(PreprocessResponse::Prepared(Prepared {
                            session,
                            id,
                            lifetime_seconds: 60,
                        }));
                    }
                }
                _ => return Err("a message before Open".into()),
            }
            let seconds = seconds(begin);
            cost.preprocessing.server += seconds;
            *cost.part(kind) += seconds;
        }
        while let Some(response) = responses.pop_front() {
            let kind = match &response {
                PreprocessResponse::Step(message) => Some(message.kind),
                // The client begins with the next session.
                PreprocessResponse::Prepared(_) => Some(MessageKind::MaskCiphertexts),
                PreprocessResponse::Accept(_) => None,
            };
            let begin = Instant::now();
            let progress = client.handle(response)?;
            let seconds = seconds(begin);
            cost.preprocessing.client += seconds;
            *cost.part(kind) += seconds;
            requests.extend(progress.messages);
            client_sessions.extend(progress.prepared);
        }
    }
    Ok((cost, client_sessions.into_iter().zip(server_sessions).collect()))
}

impl Cost {
    /// Where the time of handling a message of preprocessing belongs.
    fn part(&mut self, kind: Option<MessageKind>) -> &mut f64 {
        match kind {
            Some(MessageKind::MaskCiphertexts | MessageKind::LinearResponses) => &mut self.encryption,
            _ => &mut self.transfers,
        }
    }
}

/// One private inference; gives the cost of the online phase.
fn infer(
    model: &Arc<Timed>,
    (client, server): (ClientSession, ServerSession),
    image: &[f32],
) -> Result<Cost, Box<dyn Error + Send + Sync>> {
    let mut cost = Cost::default();
    model.linear.store(0, Ordering::Relaxed);
    let begin = Instant::now();
    let (mut client, requests) = client.start(&model.plan().encode_input(image)?)?;
    cost.online.client += seconds(begin);
    let mut server = server.start(Arc::clone(model) as _)?;
    let mut requests: VecDeque<OnlineRequest> = requests.into();
    while let Some(request) = requests.pop_front() {
        if let OnlineRequest::Open(_) = request {
            continue;
        }
        let begin = Instant::now();
        let responses = server.handle(request)?;
        cost.online.server += seconds(begin);
        for response in responses {
            let begin = Instant::now();
            if let OnlineProgress::Continue(messages) = client.handle(response)? {
                requests.extend(messages);
            }
            cost.online.client += seconds(begin);
        }
    }
    cost.linear = Duration::from_nanos(model.linear.load(Ordering::Relaxed)).as_secs_f64();
    Ok(cost)
}

fn seconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64()
}

/// A model that takes the time of its linear layers.
struct Timed {
    model: PreparedModel,
    /// Nanoseconds.
    linear: AtomicU64,
}

impl ServerModel for Timed {
    fn plan(&self) -> &Arc<Plan> {
        self.model.plan()
    }

    fn digest(&self) -> PlanDigest {
        self.model.digest()
    }

    fn prepared_linear(&self, node: NodeId) -> Option<&PreparedLinear> {
        self.model.prepared_linear(node)
    }

    fn linear(&self, node: NodeId, share: &[u32], accumulators: &mut [u32]) {
        let begin = Instant::now();
        self.model.linear(node, share, accumulators);
        self.linear.fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    fn offset(&self, node: NodeId, share: &mut [u32]) {
        self.model.offset(node, share);
    }
}
