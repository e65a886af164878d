//! What `tacit infer` prints.

use std::io::{self, Write};

use serde::Serialize;
use tacit_client::{Inference, PhaseStatistics};

use crate::table::Table;

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
struct Object {
    classes: Vec<usize>,
    logits: Vec<Vec<f32>>,
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

    fn object(&self) -> Object {
        Object {
            classes: self.inferences.iter().map(|inference| inference.class).collect(),
            logits: self.inferences.iter().map(|inference| inference.logits.iter().copied().collect()).collect(),
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
        let mut table = Table::new(&["input", "class", "scores"]);
        table.align_left(&[0, 1, 2]);
        for (name, inference) in self.names.iter().zip(self.inferences) {
            let ranking = inference.ranking();
            let logits: Vec<f32> = inference.logits.iter().copied().collect();
            let scores = ranking.iter().take(TOP).map(|class| format!("{} {:.3}", self.label(*class), logits[*class]));
            let scores: Vec<String> = scores.collect();
            table.row(vec![name.clone(), self.label(inference.class), scores.join("   ")]);
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

/// Three significant digits and a unit.
fn scaled(value: f64, units: [&str; 4]) -> String {
    let mut value = value;
    let mut units = units.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {unit}")
}

/// A duration.
fn seconds(value: f64) -> String {
    if value >= 1.0 { format!("{value:.2} s") } else { scaled(value * 1e6, ["us", "ms", "s", "s"]) }
}

/// A number of bytes, in powers of 1000.
pub(crate) fn bytes(value: u64) -> String {
    if value < 1000 { format!("{value} B") } else { scaled(value as f64, ["B", "kB", "MB", "GB"]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayD;

    fn inference(logits: &[f32], class: usize) -> Inference {
        let online = PhaseStatistics {
            seconds: 0.0042,
            bytes_sent: 60_000,
            bytes_received: 500,
            round_trips: 4,
            ..Default::default()
        };
        let logits = ArrayD::from_shape_vec(vec![logits.len()], logits.to_vec()).unwrap();
        Inference { logits, class, label: None, online }
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [0, 999, 1000, 99_949, 999_499, 999_500, 3_000_000_000].map(bytes),
            ["0 B", "999 B", "1.00 kB", "99.9 kB", "999 kB", "1.00 MB", "3.00 GB"]
        );
        assert_eq!(
            [0.000_000_4, 0.001_234, 0.0999, 0.9, 1.0, 321.0].map(seconds),
            ["0.40 us", "1.23 ms", "99.9 ms", "900 ms", "1.00 s", "321.00 s"]
        );
    }

    #[test]
    fn tables_show_classes_scores_and_phases() {
        let names = ["a.png".to_string(), "b.npy[12]".to_string()];
        let labels = ["cat", "dog", "owl", "fox"].map(String::from);
        let inferences = [inference(&[1.0, 2.0, -3.0, 0.5], 1), inference(&[9.0, 2.0, 3.0, 0.5], 0)];
        let preprocessing = PhaseStatistics { seconds: 1.5, bytes_sent: 7_000_000, ..Default::default() };
        let mut text = Vec::new();
        Report::new(&names, &labels, &inferences, preprocessing).print_tables(&mut text).unwrap();
        let expected = "\
input      class  scores
---------  -----  ---------------------------------
a.png      dog    dog 2.000   cat 1.000   fox 0.500
b.npy[12]  cat    cat 9.000   owl 3.000   dog 2.000

phase             time  per input     sent  received  round trips
-------------  -------  ---------  -------  --------  -----------
preprocessing   1.50 s     750 ms  7.00 MB       0 B            0
online         8.40 ms    4.20 ms   120 kB   1.00 kB            8
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn json_has_what_scripts_rely_on() {
        let inferences = [inference(&[1.0, 2.5], 1)];
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
