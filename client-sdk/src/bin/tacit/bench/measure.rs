//! Runs the phases and takes the time.

use std::sync::Arc;
use std::time::Instant;

use ndarray::{ArrayD, Axis};
use tacit_client::{Client, ClientBuilder, Model, PhaseStatistics};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::arguments::BenchArguments;
use super::usage::{Process, ProcessorTime};
use crate::failure::Failure;
use crate::progress::Progress;

/// Fewest inferences of each client in a throughput measurement.
const INFERENCES_PER_CLIENT: u32 = 4;

/// Everything that was measured.
pub(crate) struct Measurements {
    pub(crate) single: Phase,
    pub(crate) batch: Phase,
    pub(crate) online: Phase,
    pub(crate) memory: Memory,
    pub(crate) throughput: Vec<Throughput>,
}

/// Some runs of one phase.
pub(crate) struct Phase {
    /// Sessions of each run.
    pub(crate) sessions: u32,
    /// One for each run, at least one.
    pub(crate) runs: Vec<PhaseStatistics>,
    /// Of all runs together.
    pub(crate) processors: ProcessorTime,
}

/// Memory in bytes, where it is known.
#[derive(Default)]
pub(crate) struct Memory {
    /// The server's, before the first session.
    pub(crate) server_loaded: Option<u64>,
    /// The server's, at most, while one client was served.
    pub(crate) server_peak: Option<u64>,
    /// The server's, at most, with the sessions of many clients.
    pub(crate) server_peak_throughput: Option<u64>,
    /// The client's, at most, while it was one.
    pub(crate) client_peak: Option<u64>,
}

/// Inferences at the same time.
pub(crate) struct Throughput {
    pub(crate) clients: u32,
    /// Seconds of each inference, in ascending order.
    pub(crate) latencies: Vec<f64>,
    /// From the first start to the last end.
    pub(crate) seconds: f64,
    pub(crate) processors: ProcessorTime,
}

/// What is measured, and where.
pub(crate) struct Bench<'a> {
    pub(crate) arguments: &'a BenchArguments,
    /// Where clients connect to: the server or the emulated network.
    pub(crate) url: &'a str,
    /// The server, if it was started here.
    pub(crate) server: Option<Process>,
    pub(crate) model: Model,
    /// Shape `[n, dimensions...]`.
    pub(crate) inputs: ArrayD<f32>,
}

/// How clients behave: nothing that is measured is tried twice, and a batch goes over one stream.
pub(crate) fn builder(arguments: &BenchArguments) -> ClientBuilder {
    Client::builder().engine(arguments.engine).retries(0).sessions_per_stream(arguments.batch)
}

impl Bench<'_> {
    /// All measurements, one after the other.
    pub(crate) async fn run(&self) -> Result<Measurements, Failure> {
        let mut memory = Memory { server_loaded: self.server.as_ref().and_then(Process::memory), ..Memory::default() };
        let levels: Vec<(u32, u32)> = self.arguments.clients.iter().map(|clients| self.level(*clients)).collect();
        let runs = u64::from(self.arguments.runs);
        let inferences: u64 = levels.iter().map(|(clients, each)| u64::from(*clients) * u64::from(*each)).sum();
        let progress = Progress::new(3 * runs + inferences);

        // One of each warms up connections, threads and caches.
        progress.phase("warming up");
        self.model.preprocess(1).await?;
        self.model.infer(&self.input(0)).await?;
        let single = self.preprocessing_alone(&progress).await?;
        let online = self.online(&progress).await?;
        let batch = self.preprocessing_in_batches(&progress).await?;
        memory.server_peak = self.server.as_ref().and_then(Process::peak_memory);
        memory.client_peak = Process::this().peak_memory();
        let mut throughput = Vec::new();
        for (clients, each) in levels {
            throughput.push(self.throughput(clients, each, &progress).await?);
        }
        memory.server_peak_throughput = self.server.as_ref().and_then(Process::peak_memory);
        progress.finish();
        Ok(Measurements { single, batch, online, memory, throughput })
    }

    /// Clients, and inferences of each.
    fn level(&self, clients: u32) -> (u32, u32) {
        (clients, self.arguments.runs.div_ceil(clients).max(INFERENCES_PER_CLIENT))
    }

    /// Input number `index`, from the start again after the last.
    fn input(&self, index: usize) -> ArrayD<f32> {
        self.inputs.index_axis(Axis(0), index % self.inputs.len_of(Axis(0))).to_owned()
    }

    fn processors(&self) -> ProcessorTime {
        ProcessorTime::now(self.server.as_ref())
    }

    async fn preprocessing_alone(&self, progress: &Progress) -> Result<Phase, Failure> {
        progress.phase("preparing sessions");
        let mut phase = Phase { sessions: 1, runs: Vec::new(), processors: ProcessorTime::default() };
        let start = self.processors();
        for _ in 0..self.arguments.runs {
            phase.runs.push(self.model.preprocess(1).await?);
            progress.step();
        }
        phase.processors.add(start, self.processors());
        Ok(phase)
    }

    /// Uses up the sessions that were prepared alone.
    async fn online(&self, progress: &Progress) -> Result<Phase, Failure> {
        progress.phase("inferring");
        let mut phase = Phase { sessions: 1, runs: Vec::new(), processors: ProcessorTime::default() };
        let start = self.processors();
        for index in 0..self.arguments.runs as usize {
            phase.runs.push(self.model.infer(&self.input(index)).await?.online);
            progress.step();
        }
        phase.processors.add(start, self.processors());
        Ok(phase)
    }

    /// Each batch is used up before the next, as sessions take the server's memory.
    async fn preprocessing_in_batches(&self, progress: &Progress) -> Result<Phase, Failure> {
        progress.phase("preparing batches");
        let sessions = self.arguments.batch;
        let mut phase = Phase { sessions, runs: Vec::new(), processors: ProcessorTime::default() };
        for _ in 0..self.arguments.runs {
            let start = self.processors();
            phase.runs.push(self.model.preprocess(sessions).await?);
            phase.processors.add(start, self.processors());
            let mut inferences = JoinSet::new();
            for index in 0..sessions as usize {
                let (model, input) = (self.model.clone(), self.input(index));
                inferences.spawn(async move { model.infer(&input).await.map(drop) });
            }
            joined(inferences).await?;
            progress.step();
        }
        Ok(phase)
    }

    /// Clients that infer `each` inputs one after the other, all at the same time, with sessions that were prepared.
    async fn throughput(&self, clients: u32, each: u32, progress: &Progress) -> Result<Throughput, Failure> {
        progress.phase("preparing clients");
        let mut models = Vec::new();
        for _ in 0..clients {
            let client = builder(self.arguments).connect(self.url).await?;
            let model = client.model(self.model.name()).await?;
            model.preprocess(each).await?;
            models.push(model);
        }
        progress.phase("inferring together");
        let barrier = Arc::new(Barrier::new(models.len()));
        let mut processors = ProcessorTime::default();
        let used = self.processors();
        let mut tasks = JoinSet::new();
        for model in models {
            let inputs: Vec<ArrayD<f32>> = (0..each as usize).map(|index| self.input(index)).collect();
            let (barrier, progress) = (barrier.clone(), progress.clone());
            tasks.spawn(async move {
                barrier.wait().await;
                let mut times = Vec::with_capacity(inputs.len());
                for input in inputs {
                    let start = Instant::now();
                    model.infer(&input).await?;
                    times.push((start, Instant::now()));
                    progress.step();
                }
                Ok(times)
            });
        }
        let times = joined(tasks).await?.concat();
        processors.add(used, self.processors());
        let start = times.iter().map(|(start, _)| *start).min();
        let end = times.iter().map(|(_, end)| *end).max();
        let seconds = start.zip(end).map_or(0.0, |(start, end)| (end - start).as_secs_f64());
        let mut latencies: Vec<f64> = times.iter().map(|(start, end)| (*end - *start).as_secs_f64()).collect();
        latencies.sort_by(f64::total_cmp);
        Ok(Throughput { clients, latencies, seconds, processors })
    }
}

/// What all tasks give, or the first failure.
async fn joined<T: 'static>(mut tasks: JoinSet<Result<T, tacit_client::ClientError>>) -> Result<Vec<T>, Failure> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        results.push(result.map_err(|error| Failure::new("an inference", &error))??);
    }
    Ok(results)
}
