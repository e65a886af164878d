//! What is measured, and how clients use it while they are measured.

use ndarray::{ArrayD, Axis};
use tacit_client::{Client, ClientBuilder, ClientError, Model, PhaseStatistics};
use tacit_proto::Reason;
use tokio::task::JoinSet;

use crate::arguments::BenchArguments;
use crate::terminal::Failure;
use crate::usage::{Process, ProcessorTime};

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
    /// Input number `index`, from the start again after the last.
    pub(crate) fn input(&self, index: usize) -> ArrayD<f32> {
        self.inputs.index_axis(Axis(0), index % self.inputs.len_of(Axis(0))).to_owned()
    }

    pub(crate) fn processors(&self) -> ProcessorTime {
        ProcessorTime::now(self.server)
    }

    /// Infers until no model has a session left; nothing is measured.
    pub(crate) async fn use_up(&self, models: &[Model]) -> Result<(), Failure> {
        let mut tasks = JoinSet::new();
        for model in models {
            let (model, input) = (model.clone(), self.input(0));
            tasks.spawn(async move {
                while model.available() > 0 {
                    model.infer(&input).await?;
                }
                Ok(())
            });
        }
        joined(tasks).await.map(drop)
    }
}

/// Whether the server had room for the sessions that it was asked for; any other failure is one.
pub(crate) fn has_room(prepared: Result<PhaseStatistics, ClientError>) -> Result<bool, Failure> {
    match prepared {
        Ok(_) => Ok(true),
        Err(ClientError::Status { reason: Some(Reason::Capacity), .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What all tasks give, or the first failure.
pub(crate) async fn joined<T: 'static>(mut tasks: JoinSet<Result<T, ClientError>>) -> Result<Vec<T>, Failure> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        results.push(result.map_err(|error| Failure::new("an inference", &error))??);
    }
    Ok(results)
}
