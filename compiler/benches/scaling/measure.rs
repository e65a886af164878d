//! Private inference in memory, with the time that each party computes.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tacit_compiler::quantize::Calibration;
use tacit_compiler::{CompileOptions, compile};
use tacit_engine::prepared::PreparedModel;
use tacit_proto::{StepTimes, Stopwatch};
use tacit_protocol::rlwe::NativeBackend;
use tacit_protocol::session::{
    ClientSession, OnlineProgress, OnlineRequest, Prepared, PreprocessClient, PreprocessRequest, PreprocessResponse,
    PreprocessServer, ServerModel, ServerSession, SessionId, Work, predict,
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
    /// Part of `online`: the server's linear layers and local steps.
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
    let model = Arc::new(compiled.prepare(usize::MAX)?);
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
        model_bytes: model.memory_bytes(),
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

/// Prepares sessions.
fn preprocess(model: &Arc<PreparedModel>, sessions: u32) -> Result<(Cost, Sessions), Box<dyn Error + Send + Sync>> {
    let [client_watch, server_watch] = [(); 2].map(|()| Arc::new(Stopwatch::default()));
    let start = || {
        let (plan, observer) = (Arc::clone(model.plan()), Arc::clone(&client_watch));
        PreprocessClient::start_observed(plan, "scaling", sessions, &NativeBackend, observer)
    };
    let (mut client, requests) = client_watch.time(Work::Encryption, start)?;
    let mut requests = VecDeque::from(requests);
    let Some(PreprocessRequest::Open(open)) = requests.pop_front() else { return Err("a message before Open".into()) };
    let start = || PreprocessServer::open_observed(Arc::clone(model) as _, open, Arc::clone(&server_watch) as _);
    let (mut server, responses) = server_watch.time(Work::Encryption, start)?;
    let mut responses = VecDeque::from(responses);
    let (mut client_sessions, mut server_sessions) = (Vec::new(), Vec::new());
    while !client.is_finished() {
        while let Some(request) = requests.pop_front() {
            let progress = server_watch.time(Work::Transfers, || server.handle([request]))?;
            responses.extend(progress.messages);
            for (session, prepared) in progress.prepared {
                server_sessions.push(prepared);
                let id = SessionId::random()?;
                responses.push_back(PreprocessResponse::Prepared(Prepared { session, id, lifetime_seconds: 60 }));
            }
        }
        while let Some(response) = responses.pop_front() {
            let progress = client_watch.time(Work::Transfers, || client.handle(response))?;
            requests.extend(progress.messages);
            client_sessions.extend(progress.prepared);
        }
    }
    let [client, server] = [client_watch.times(), server_watch.times()];
    let cost = Cost {
        preprocessing: Parties { client: seconds(client.total()), server: seconds(server.total()) },
        encryption: seconds(client.encryption + server.encryption),
        transfers: seconds(client.transfers + server.transfers),
        ..Cost::default()
    };
    Ok((cost, client_sessions.into_iter().zip(server_sessions).collect()))
}

/// One private inference; gives the cost of the online phase.
fn infer(
    model: &Arc<PreparedModel>,
    (client, server): (ClientSession, ServerSession),
    image: &[f32],
) -> Result<Cost, Box<dyn Error + Send + Sync>> {
    let [client_watch, server_watch] = [(); 2].map(|()| Arc::new(Stopwatch::default()));
    let input = model.plan().encode_input(image)?;
    let (mut client, requests) = client_watch.time(Work::Linear, || client.start(&input))?;
    let mut server = server.start_observed(Arc::clone(model) as _, Arc::clone(&server_watch) as _)?;
    // The first message names the session.
    let mut requests: VecDeque<OnlineRequest> = requests.into_iter().skip(1).collect();
    while let Some(request) = requests.pop_front() {
        let responses = server_watch.time(Work::Activation, || server.handle(request))?;
        for response in responses {
            if let OnlineProgress::Continue(messages) =
                client_watch.time(Work::Activation, || client.handle(response))?
            {
                requests.extend(messages);
            }
        }
    }
    let [client, server]: [StepTimes; 2] = [client_watch.times(), server_watch.times()];
    Ok(Cost {
        online: Parties { client: seconds(client.total()), server: seconds(server.total()) },
        linear: seconds(server.linear),
        ..Cost::default()
    })
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
