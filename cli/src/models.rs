//! `tacit models`.

use std::io::Write as _;

use serde::Serialize;
use tacit_client::{Client, ModelSummary};
use tacit_protocol::session::PhasePrediction;

use crate::args::ModelsArguments;
use tacit_bench::terminal::Failure;
use tacit_bench::terminal::Table;
use tacit_bench::terminal::bytes;

/// Hexadecimal digits of a digest that tell the plans of one server apart.
const SHOWN_DIGITS: usize = 16;

/// One model as JSON.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    digest: String,
    input: Input<'a>,
    output_shape: &'a [usize],
    preprocessing: Traffic,
    online: Traffic,
}

#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    shape: &'a [usize],
    low: f32,
    high: f32,
}

#[derive(Serialize)]
struct Traffic {
    bytes_sent: u64,
    bytes_received: u64,
    round_trips: u32,
}

impl From<PhasePrediction> for Traffic {
    fn from(phase: PhasePrediction) -> Self {
        let PhasePrediction { bytes_sent, bytes_received, round_trips, .. } = phase;
        Self { bytes_sent, bytes_received, round_trips }
    }
}

/// Lists the models.
pub(crate) async fn run(arguments: ModelsArguments) -> Result<(), Failure> {
    let models = Client::connect(&arguments.server).await?.models().await?;
    let text = if arguments.json { json(&models)? } else { table(&models) };
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::new("cannot print", &error))
}

fn json(models: &[ModelSummary]) -> Result<String, Failure> {
    let entries: Vec<Entry<'_>> = models
        .iter()
        .map(|model| Entry {
            name: &model.name,
            digest: model.digest.to_string(),
            input: Input {
                name: &model.input.name,
                shape: &model.input.dimensions,
                low: model.input.low,
                high: model.input.high,
            },
            output_shape: &model.output_dimensions,
            preprocessing: model.preprocessing.into(),
            online: model.online.into(),
        })
        .collect();
    let text = serde_json::to_string(&entries).map_err(|error| Failure::new("cannot print", &error))?;
    Ok(text + "\n")
}

fn table(models: &[ModelSummary]) -> String {
    if models.is_empty() {
        return "the server serves no models\n".to_string();
    }
    let mut table = Table::new(&["model", "input", "range", "output", "preparing", "online", "round trips", "plan"]);
    table.align_left(&[0, 1, 2, 3, 7]);
    for model in models {
        table.row(vec![
            model.name.clone(),
            shape(&model.input.dimensions),
            format!("{} to {}", model.input.low, model.input.high),
            shape(&model.output_dimensions),
            bytes(model.preprocessing.bytes_sent + model.preprocessing.bytes_received),
            bytes(model.online.bytes_sent + model.online.bytes_received),
            model.online.round_trips.to_string(),
            model.digest.to_string()[..SHOWN_DIGITS].to_string(),
        ]);
    }
    table.to_string()
}

fn shape(dimensions: &[usize]) -> String {
    dimensions.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacit_protocol::plan::{InputSpec, PlanDigest};

    fn summary() -> ModelSummary {
        let phase = |bytes_sent, round_trips| PhasePrediction {
            bytes_sent,
            bytes_received: 2 * bytes_sent,
            round_trips,
            transfers: 5,
        };
        ModelSummary {
            name: "m2".into(),
            digest: PlanDigest([0xab; 32]),
            input: InputSpec { name: "x".into(), dimensions: vec![1, 28, 28], low: 0.0, high: 1.0 },
            output_dimensions: vec![10],
            preprocessing: phase(1_000_000, 3),
            online: phase(30_000, 4),
        }
    }

    #[test]
    fn models_are_listed() {
        let text = table(&[summary()]);
        let row: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(row, ["m2", "1x28x28", "0", "to", "1", "10", "3.00", "MB", "90.0", "kB", "4", "abababababababab"]);
        assert_eq!(table(&[]), "the server serves no models\n");
    }

    #[test]
    fn models_are_json() {
        let value: serde_json::Value = serde_json::from_str(&json(&[summary()]).unwrap()).unwrap();
        assert_eq!(value[0]["name"], "m2");
        assert_eq!(value[0]["input"]["shape"], serde_json::json!([1, 28, 28]));
        assert_eq!(value[0]["online"]["round_trips"], 4);
        assert_eq!(value[0]["digest"].as_str().unwrap().len(), 64);
    }
}
