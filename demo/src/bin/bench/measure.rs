//! Runs the phases and takes the time.

use anyhow::ensure;
use tacit_client::{Client, Inference, Model, PhaseStatistics};

use crate::Arguments;
use crate::network::Network;
use crate::server::{NAME, ServerProcess};

/// Everything that was measured.
pub(crate) struct Measurements {
    /// The phases in the order in which they are shown.
    pub(crate) phases: Vec<Phase>,
    /// Resident memory of the server, now and at most, in MB.
    pub(crate) memory: Option<[f64; 2]>,
    /// Against plain inference, if its logits are known and logits were revealed.
    pub(crate) accuracy: Option<Accuracy>,
}

/// One phase.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// Median, least and most milliseconds of one session or inference.
    pub(crate) milliseconds: [f64; 3],
    /// Bytes of one session or inference; round trips of the whole.
    pub(crate) cost: PhaseStatistics,
}

/// Private logits against plain ones.
#[derive(Clone, Copy, Default)]
pub(crate) struct Accuracy {
    /// Largest difference of a logit.
    pub(crate) largest_difference: f32,
    /// Largest absolute plain logit.
    pub(crate) largest_logit: f32,
}

impl Accuracy {
    /// The difference as a part of the largest logit.
    pub(crate) fn relative(&self) -> f32 {
        self.largest_difference / self.largest_logit
    }

    fn observe(&mut self, inference: &Inference, plain: ndarray::ArrayView1<'_, f32>) {
        for (private, plain) in inference.logits().into_iter().flatten().zip(plain) {
            self.largest_difference = self.largest_difference.max((private - plain).abs());
            self.largest_logit = self.largest_logit.max(plain.abs());
        }
    }
}

/// Measures the network that the command line names.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Measurements> {
    ensure!(arguments.runs > 0 && arguments.batch > 0, "at least one run and one session are needed");
    let network = Network::load(arguments)?;
    let server = ServerProcess::start()?;
    let client = Client::builder().engine(arguments.engine).connect(&server.url).await?;
    let model = client.model(NAME).await?;

    // One of each warms up connections, threads and caches.
    model.preprocess(1).await?;
    model.infer(&network.input(0)).await?;

    let mut accuracy = Accuracy::default();
    let (mut single, mut online) = (Vec::new(), Vec::new());
    for index in 0..arguments.runs {
        single.push(model.preprocess(1).await?);
        let inference = model.infer(&network.input(index)).await?;
        if let Some(plain) = network.expected(index) {
            accuracy.observe(&inference, plain);
        }
        online.push(inference.online);
    }
    let batch = batches(arguments, &model, &network).await?;
    if arguments.held > 0 {
        model.preprocess(arguments.held).await?;
    }
    Ok(Measurements {
        phases: vec![
            Phase::new("preprocessing, one session", &single, 1),
            Phase::new("preprocessing, in a batch, each", &batch, arguments.batch),
            Phase::new("online", &online, 1),
        ],
        memory: server.memory(),
        accuracy: (accuracy.largest_logit > 0.0).then_some(accuracy),
    })
}

/// Prepares batches of sessions; each is used up before the next.
async fn batches(arguments: &Arguments, model: &Model, network: &Network) -> anyhow::Result<Vec<PhaseStatistics>> {
    let mut costs = Vec::new();
    for _ in 0..arguments.runs.div_ceil(4) {
        costs.push(model.preprocess(arguments.batch).await?);
        for index in 0..arguments.batch as usize {
            model.infer(&network.input(index)).await?;
        }
    }
    Ok(costs)
}

impl Phase {
    fn new(name: &'static str, costs: &[PhaseStatistics], sessions: u32) -> Self {
        let seconds = costs.iter().map(|cost| cost.seconds / f64::from(sessions)).collect();
        let mut cost = costs.last().copied().unwrap_or_default();
        cost.bytes_sent /= u64::from(sessions);
        cost.bytes_received /= u64::from(sessions);
        Self { name, milliseconds: spread(seconds), cost }
    }
}

/// Median, smallest and largest of some seconds, in milliseconds.
fn spread(mut seconds: Vec<f64>) -> [f64; 3] {
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.len() / 2;
    let median = if seconds.len() % 2 == 1 { seconds[middle] } else { (seconds[middle - 1] + seconds[middle]) / 2.0 };
    [median, seconds[0], seconds[seconds.len() - 1]].map(|value| value * 1e3)
}
