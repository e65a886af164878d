//! Clients that infer at the same time.

use std::sync::Arc;
use std::time::Instant;

use ndarray::ArrayD;
use tacit_client::Model;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::subject::{Bench, builder, has_room, joined};
use crate::terminal::{Failure, Progress};
use crate::usage::ProcessorTime;

/// Fewest inferences of each client.
const INFERENCES_PER_CLIENT: u32 = 4;

/// Inferences at the same time.
pub(crate) struct Throughput {
    pub(crate) clients: u32,
    /// How often sessions were prepared and used up: more than once if the server had no room for all of them.
    pub(crate) rounds: u32,
    /// Seconds of each inference, in ascending order.
    pub(crate) latencies: Vec<f64>,
    /// From the first start to the last end of each round; preparing the sessions does not count.
    pub(crate) seconds: f64,
    pub(crate) processors: ProcessorTime,
}

/// When an inference started and ended.
type Period = (Instant, Instant);

/// Inferences of each client, if all of them together make at least `inferences`.
pub(crate) fn inferences_per_client(inferences: u32, clients: u32) -> u32 {
    inferences.div_ceil(clients).max(INFERENCES_PER_CLIENT)
}

impl Bench<'_> {
    /// Clients, each with a connection of its own, that infer `each` inputs one after the other, all at the same time, with
    /// sessions that were prepared. Nothing if the server has no room for a session of each of them.
    pub(crate) async fn throughput(
        &self,
        clients: u32,
        each: u32,
        progress: &Progress,
    ) -> Result<Option<Throughput>, Failure> {
        progress.phase("connecting");
        let mut models = Vec::new();
        for _ in 0..clients {
            let model = builder(self.arguments).connect(self.url).await?.model(self.model.name()).await?;
            // Warms up the connection and its threads.
            model.infer(&self.input(0)).await?;
            models.push(model);
        }
        let (mut done, mut quota) = (0, each);
        let mut throughput = Throughput {
            clients,
            rounds: 0,
            latencies: Vec::new(),
            seconds: 0.0,
            processors: ProcessorTime::default(),
        };
        while done < each {
            let sessions = quota.min(each - done);
            progress.phase("preparing clients");
            if !prepare(&models, sessions).await? {
                if sessions == 1 {
                    return Ok(None);
                }
                // Some may have more than the others will get.
                self.use_up(&models).await?;
                quota = sessions / 2;
                continue;
            }
            progress.phase("inferring together");
            let start = self.processors();
            let periods = self.together(&models, sessions, progress).await?;
            throughput.processors.add(start, self.processors());
            throughput.seconds += duration(&periods);
            throughput.latencies.extend(periods.iter().map(|(start, end)| (*end - *start).as_secs_f64()));
            throughput.rounds += 1;
            done += sessions;
        }
        throughput.latencies.sort_by(f64::total_cmp);
        Ok(Some(throughput))
    }

    /// All clients start at the same time and infer `each` inputs.
    async fn together(&self, models: &[Model], each: u32, progress: &Progress) -> Result<Vec<Period>, Failure> {
        let barrier = Arc::new(Barrier::new(models.len()));
        let mut tasks = JoinSet::new();
        for model in models {
            let inputs: Vec<ArrayD<f32>> = (0..each as usize).map(|index| self.input(index)).collect();
            let (model, barrier, progress) = (model.clone(), barrier.clone(), progress.clone());
            tasks.spawn(async move {
                barrier.wait().await;
                let mut periods = Vec::with_capacity(inputs.len());
                for input in inputs {
                    let start = Instant::now();
                    model.infer(&input).await?;
                    periods.push((start, Instant::now()));
                    progress.step();
                }
                Ok(periods)
            });
        }
        Ok(joined(tasks).await?.concat())
    }
}

/// Gives each model `sessions` sessions; `false` if the server has no room for them.
async fn prepare(models: &[Model], sessions: u32) -> Result<bool, Failure> {
    for model in models {
        if !has_room(model.preprocess(sessions).await)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// From the first start to the last end.
fn duration(periods: &[Period]) -> f64 {
    let start = periods.iter().map(|(start, _)| *start).min();
    let end = periods.iter().map(|(_, end)| *end).max();
    start.zip(end).map_or(0.0, |(start, end)| (end - start).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_a_few_inferences() {
        assert_eq!([1, 8, 64].map(|clients| inferences_per_client(200, clients)), [200, 25, 4]);
        assert_eq!(inferences_per_client(1, 3), 4);
    }
}
