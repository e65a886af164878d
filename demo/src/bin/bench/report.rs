//! Measurements for people and for programs.

use serde_json::{Value, json};

use crate::Arguments;
use crate::measure::Measurements;

/// One object.
pub(crate) fn json(arguments: &Arguments, measurements: &Measurements) -> Value {
    let phases: serde_json::Map<_, _> = measurements
        .phases
        .iter()
        .map(|phase| {
            let [median, least, most] = phase.milliseconds;
            let value = json!({
                "median_ms": median, "min_ms": least, "max_ms": most,
                "bytes_sent": phase.cost.bytes_sent,
                "bytes_received": phase.cost.bytes_received,
                "round_trips": phase.cost.round_trips,
            });
            (phase.name.to_string(), value)
        })
        .collect();
    json!({
        "model": arguments.model, "engine": format!("{:?}", arguments.engine), "runs": arguments.runs,
        "batch": arguments.batch, "class_only": arguments.class_only,
        "comparison_round_trips": arguments.comparison_round_trips, "phases": phases,
        "server_memory_mb":
            measurements.memory.map(|[now, most]| json!({"sessions": arguments.held, "now": now, "peak": most})),
        "logits": measurements.accuracy.map(|accuracy| json!({
            "largest_difference": accuracy.largest_difference, "largest_logit": accuracy.largest_logit,
        })),
    })
}

/// A table.
pub(crate) fn print(arguments: &Arguments, measurements: &Measurements) {
    println!(
        "{} ({:?} engine), {} runs, batches of {}, loopback",
        arguments.model, arguments.engine, arguments.runs, arguments.batch
    );
    println!("{:<34} {:>9} {:>9} {:>9} {:>10} {:>10} {:>6}", "", "median", "min", "max", "sent", "received", "trips");
    for phase in &measurements.phases {
        let [median, least, most] = phase.milliseconds;
        println!(
            "{:<34} {median:>6.1} ms {least:>6.1} ms {most:>6.1} ms {:>7.0} kB {:>7.0} kB {:>6}",
            phase.name,
            phase.cost.bytes_sent as f64 / 1e3,
            phase.cost.bytes_received as f64 / 1e3,
            phase.cost.round_trips,
        );
    }
    if let Some([now, most]) = measurements.memory {
        println!("server memory with {} prepared sessions: {now:.0} MB now, {most:.0} MB at most", arguments.held);
    }
    if let Some(accuracy) = measurements.accuracy {
        println!(
            "largest logit difference: {:.5}, {:.3} % of the largest logit",
            accuracy.largest_difference,
            accuracy.relative() * 100.0
        );
    }
}
