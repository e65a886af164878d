//! What `tacit infer` prints.

use std::io::{self, Write};

use serde::Serialize;
use tacit_bench::terminal::{Table, bytes, seconds};
use tacit_client::{Inference, OutputFunction, PhaseStatistics};

/// Scores that are shown for each input.
const TOP: usize = 3;

/// All answers and their cost.
pub(crate) struct Report<'a> {
    names: &'a [String],
    labels: &'a [String],
    inferences: &'a [Inference],
    preprocessing: PhaseStatistics,
    online: PhaseStatistics,
}

/// The JSON object.
#[derive(Serialize)]
struct Object<'a> {
    classes: Vec<usize>,
    /// Of the classes, if the model has labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<&'a str>,
    /// Unless classes only were revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<Vec<Vec<f32>>>,
    /// What the network does last, by its ONNX name.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'static str>,
    /// The logits with that function applied; left out where that gives the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Vec<Vec<f32>>>,
    preprocessing: Phase,
    online: Phase,
}

/// Cost of one phase over all inputs.
#[derive(Serialize)]
struct Phase {
    seconds: f64,
    bytes_sent: u64,
    bytes_received: u64,
    round_trips: u32,
}

impl From<PhaseStatistics> for Phase {
    fn from(statistics: PhaseStatistics) -> Self {
        let PhaseStatistics { seconds, bytes_sent, bytes_received, round_trips, .. } = statistics;
        Self { seconds, bytes_sent, bytes_received, round_trips }
    }
}

impl<'a> Report<'a> {
    pub(crate) fn new(
        names: &'a [String],
        labels: &'a [String],
        inferences: &'a [Inference],
        preprocessing: PhaseStatistics,
    ) -> Self {
        let online = inferences.iter().map(|inference| inference.online).sum();
        Self { names, labels, inferences, preprocessing, online }
    }

    /// One JSON object on standard output.
    pub(crate) fn print_json(&self) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", serde_json::to_string(&self.object())?)
    }

    fn object(&self) -> Object<'_> {
        let logits = |inference: &Inference| inference.logits().map(|logits| logits.iter().copied().collect());
        Object {
            classes: self.inferences.iter().map(Inference::class).collect(),
            labels: self.inferences.iter().filter_map(|inference| inference.label.as_deref()).collect(),
            logits: self.inferences.iter().map(logits).collect(),
            function: self.inferences.first().and_then(Inference::function_name),
            outputs: self.inferences.iter().map(outputs).collect(),
            preprocessing: self.preprocessing.into(),
            online: self.online.into(),
        }
    }

    /// A table of the answers and one of their cost.
    pub(crate) fn print_tables(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.answers())?;
        write!(out, "{}", self.costs())
    }

    fn answers(&self) -> Table {
        let only_classes = self.inferences.iter().all(|inference| inference.logits().is_none());
        let function = self.inferences.first().filter(|inference| outputs(inference).is_some());
        let scores = function.and_then(Inference::function_name).unwrap_or("scores");
        let headings = ["input", "class", scores];
        let columns = if only_classes { 2 } else { 3 };
        let mut table = Table::new(&headings[..columns]);
        table.align_left(&[0, 1, 2][..columns]);
        for (name, inference) in self.names.iter().zip(self.inferences) {
            let mut cells = vec![name.clone(), self.label(inference.class())];
            if let Some(logits) = inference.logits() {
                let numbers = outputs(inference).unwrap_or_else(|| logits.iter().copied().collect());
                let ranking = inference.ranking();
                let best = ranking.iter().take(TOP);
                let scores: Vec<String> =
                    best.map(|class| format!("{} {:.3}", self.label(*class), numbers[*class])).collect();
                cells.push(scores.join("   "));
            }
            table.row(cells);
        }
        table
    }

    fn label(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    fn costs(&self) -> Table {
        let count = self.inferences.len().max(1);
        let mut table = Table::new(&["phase", "time", "per input", "sent", "received", "round trips"]);
        table.align_left(&[0]);
        for (name, phase) in [("preprocessing", &self.preprocessing), ("online", &self.online)] {
            table.row(vec![
                name.to_string(),
                seconds(phase.seconds),
                seconds(phase.seconds / count as f64),
                bytes(phase.bytes_sent),
                bytes(phase.bytes_received),
                phase.round_trips.to_string(),
            ]);
        }
        table
    }
}

/// What the function at the network's end makes of each logit, if it does that.
fn outputs(inference: &Inference) -> Option<Vec<f32>> {
    match inference.function {
        OutputFunction::Identity | OutputFunction::ArgMax => None,
        OutputFunction::Softmax | OutputFunction::LogSoftmax | OutputFunction::Sigmoid => {
            Some(inference.outputs().iter().copied().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayD;
    use tacit_client::Answer;

    fn inference(logits: &[f32]) -> Inference {
        let online = PhaseStatistics {
            seconds: 0.0042,
            bytes_sent: 60_000,
            bytes_received: 500,
            round_trips: 4,
            ..Default::default()
        };
        let logits = ArrayD::from_shape_vec(vec![logits.len()], logits.to_vec()).unwrap();
        Inference { answer: Answer::Logits(logits), label: None, function: OutputFunction::Identity, online }
    }

    #[test]
    fn tables_show_classes_scores_and_phases() {
        let names = ["a.png".to_string(), "b.npy[12]".to_string()];
        let labels = ["cat", "dog", "owl", "fox"].map(String::from);
        let inferences = [inference(&[1.0, 2.0, -3.0, 0.5]), inference(&[9.0, 2.0, 3.0, 0.5])];
        let preprocessing = PhaseStatistics { seconds: 1.5, bytes_sent: 7_000_000, ..Default::default() };
        let mut text = Vec::new();
        Report::new(&names, &labels, &inferences, preprocessing).print_tables(&mut text).unwrap();
        let expected = "\
input      class  scores
---------------------------------------------------
a.png      dog    dog 2.000   cat 1.000   fox 0.500
b.npy[12]  cat    cat 9.000   owl 3.000   dog 2.000

phase             time  per input     sent  received  round trips
-----------------------------------------------------------------
preprocessing   1.50 s     750 ms  7.00 MB       0 B            0
online         8.40 ms    4.20 ms   120 kB   1.00 kB            8
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    fn json(inferences: &[Inference]) -> serde_json::Value {
        let mut value =
            serde_json::to_value(Report::new(&[], &[], inferences, PhaseStatistics::default()).object()).unwrap();
        for phase in ["preprocessing", "online"] {
            assert!(value.as_object_mut().unwrap().remove(phase).unwrap().is_object());
        }
        value
    }

    fn tables(inferences: &[Inference], labels: &[String]) -> String {
        let names = ["a.png".to_string()];
        let mut text = Vec::new();
        Report::new(&names, labels, inferences, PhaseStatistics::default()).print_tables(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_function_at_the_end_is_named_and_applied() {
        let softmax = [Inference { function: OutputFunction::Softmax, ..inference(&[1.0, 1.0]) }];
        let expected =
            serde_json::json!({"classes": [0], "logits": [[1.0, 1.0]], "function": "Softmax", "outputs": [[0.5, 0.5]]});
        assert_eq!(json(&softmax), expected);
        let text = tables(&softmax, &[]);
        assert!(text.starts_with("input  class  Softmax\n") && text.contains("0 0.500   1 0.500"), "{text}");
        let index = [Inference { function: OutputFunction::ArgMax, ..inference(&[1.0, 2.0]) }];
        assert_eq!(json(&index), serde_json::json!({"classes": [1], "logits": [[1.0, 2.0]], "function": "ArgMax"}));
    }

    #[test]
    fn classes_come_without_scores() {
        let function = OutputFunction::ArgMax;
        let label = Some("dog".to_string());
        let class = [Inference { answer: Answer::Class(1), function, label, ..inference(&[]) }];
        assert_eq!(json(&class), serde_json::json!({"classes": [1], "labels": ["dog"], "function": "ArgMax"}));
        let text = tables(&class, &["cat", "dog"].map(String::from));
        assert!(text.starts_with("input  class\n------------\na.png  dog\n\nphase"), "{text}");
    }

    #[test]
    fn json_has_what_scripts_rely_on() {
        let inferences = [inference(&[1.0, 2.5])];
        let report = Report::new(&[], &[], &inferences, PhaseStatistics::default());
        let value = serde_json::to_value(report.object()).unwrap();
        let phase = |seconds: f64, sent: u64, received: u64, trips: u32| {
            serde_json::json!({
                "seconds": seconds, "bytes_sent": sent, "bytes_received": received, "round_trips": trips
            })
        };
        assert_eq!(
            value,
            serde_json::json!({
                "classes": [1],
                "logits": [[1.0, 2.5]],
                "preprocessing": phase(0.0, 0, 0, 0),
                "online": phase(0.0042, 60_000, 500, 4),
            })
        );
    }
}
