//! Runs the phases and takes the time.

use tacit_client::PhaseStatistics;
use tokio::task::JoinSet;

use crate::arguments::BenchArguments;
use crate::subject::{Bench, builder, has_room, joined};
use crate::terminal::{Failure, Progress};
use crate::throughput::{Throughput, inferences_per_client};
use crate::usage::{Process, ProcessorTime};

/// Most connections that are made for their first inference.
const NEW_CONNECTIONS: u32 = 10;

/// Everything that was measured.
pub(crate) struct Measurements {
    pub(crate) single: Phase,
    pub(crate) batch: Phase,
    pub(crate) online: Phase,
    /// The first inference of each of several connections.
    pub(crate) first_online: Phase,
    pub(crate) memory: Memory,
    pub(crate) throughput: Vec<Throughput>,
    /// Numbers of clients for whose sessions the server has no room.
    pub(crate) crowds: Vec<u32>,
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

impl Phase {
    /// Before the first run.
    fn new(sessions: u32) -> Self {
        Self { sessions, runs: Vec::new(), processors: ProcessorTime::default() }
    }

    /// One run for its bytes: runs differ by a few bytes of framing at most.
    pub(crate) fn last(&self) -> PhaseStatistics {
        self.runs.last().copied().unwrap_or_default()
    }
}

/// Memory in bytes, where it is known.
#[derive(Default)]
pub(crate) struct Memory {
    /// The server's, before the first session.
    pub(crate) server_loaded: Option<u64>,
    /// The server's, at most, while one client was served.
    pub(crate) server_peak: Option<u64>,
    /// The server's, with prepared sessions.
    pub(crate) server_held: Option<u64>,
    /// The server's, at most, with the sessions of many clients.
    pub(crate) server_peak_throughput: Option<u64>,
    /// The client's, at most, while it was one.
    pub(crate) client_peak: Option<u64>,
}

impl Bench<'_> {
    /// All measurements, one after the other.
    pub(crate) async fn run(&self) -> Result<Measurements, Failure> {
        let mut memory = Memory { server_loaded: self.server.and_then(Process::memory), ..Memory::default() };
        let BenchArguments { runs, clients, inferences, .. } = self.arguments;
        let levels: Vec<(u32, u32)> =
            clients.iter().map(|clients| (*clients, inferences_per_client(*inferences, *clients))).collect();
        let inferences: u64 = levels.iter().map(|(clients, each)| u64::from(*clients) * u64::from(*each)).sum();
        let progress = Progress::new(u64::from(3 * runs + NEW_CONNECTIONS.min(*runs)) + inferences);

        // One of each warms up connections, threads and caches.
        progress.phase("warming up");
        self.model.preprocess(1).await?;
        self.model.infer(&self.input(0)).await?;
        let (single, online) = self.alone(&progress).await?;
        let batch = self.preprocessing_in_batches(&progress).await?;
        memory.server_peak = self.server.and_then(Process::peak_memory);
        memory.client_peak = Process::This.peak_memory();
        memory.server_held = self.memory_held(&progress).await?;
        let first_online = self.first_online(&progress).await?;
        let (mut throughput, mut crowds) = (Vec::new(), Vec::new());
        for (clients, each) in levels {
            match self.throughput(clients, each, &progress).await? {
                Some(level) => throughput.push(level),
                None => crowds.push(clients),
            }
        }
        memory.server_peak_throughput = self.server.and_then(Process::peak_memory);
        progress.finish();
        Ok(Measurements { single, batch, online, first_online, memory, throughput, crowds })
    }

    /// Sessions that are prepared alone, and inferences with them: for as many as a batch has before the next are prepared, as
    /// sessions take the server's memory.
    async fn alone(&self, progress: &Progress) -> Result<(Phase, Phase), Failure> {
        progress.phase("preparing and inferring");
        let (mut preprocessing, mut online) = (Phase::new(1), Phase::new(1));
        let runs: Vec<usize> = (0..self.arguments.runs as usize).collect();
        for runs in runs.chunks(self.arguments.batch as usize) {
            let start = self.processors();
            for _ in runs {
                preprocessing.runs.push(self.model.preprocess(1).await?);
                progress.step();
            }
            preprocessing.processors.add(start, self.processors());
            let start = self.processors();
            for index in runs {
                online.runs.push(self.model.infer(&self.input(*index)).await?.online);
                progress.step();
            }
            online.processors.add(start, self.processors());
        }
        Ok((preprocessing, online))
    }

    /// Connects anew for each inference; a connection carries its session's preparation before.
    async fn first_online(&self, progress: &Progress) -> Result<Phase, Failure> {
        progress.phase("connecting");
        let mut phase = Phase::new(1);
        for index in 0..self.arguments.runs.min(NEW_CONNECTIONS) as usize {
            let model = builder(self.arguments).connect(self.url).await?.model(self.model.name()).await?;
            model.preprocess(1).await?;
            let start = self.processors();
            phase.runs.push(model.infer(&self.input(index)).await?.online);
            phase.processors.add(start, self.processors());
            progress.step();
        }
        Ok(phase)
    }

    /// Memory of a server that was started here while it holds prepared sessions; they are used up afterwards. Nothing if it
    /// has no room for them.
    async fn memory_held(&self, progress: &Progress) -> Result<Option<u64>, Failure> {
        let Some(server) = self.server else { return Ok(None) };
        progress.phase("holding sessions");
        // Some may have been prepared where there was no room for all of them.
        let memory = if has_room(self.model.preprocess(self.arguments.held).await)? { server.memory() } else { None };
        self.use_up(std::slice::from_ref(&self.model)).await?;
        Ok(memory)
    }

    /// Each batch is used up before the next, as sessions take the server's memory.
    async fn preprocessing_in_batches(&self, progress: &Progress) -> Result<Phase, Failure> {
        progress.phase("preparing batches");
        let sessions = self.arguments.batch;
        let mut phase = Phase::new(sessions);
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
}
