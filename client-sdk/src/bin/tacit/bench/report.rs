//! The figures as tables.

use std::fmt;

use super::figures::{Figures, MemoryFigures, PhaseFigures, ProcessorFigures, Spread};
use crate::report::{bytes, seconds};
use crate::table::Table;

/// What stands where nothing is known.
const UNKNOWN: &str = "-";

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "model {}, {} runs, {} engine", self.model, self.runs, self.engine)?;
        if let Some(threads) = self.threads {
            write!(formatter, ", {threads} threads")?;
        }
        if let Some(network) = &self.network {
            let megabits = network.bits_per_second / 1e6;
            write!(formatter, ", network of {megabits} Mbit/s and {}", seconds(network.round_trip_seconds))?;
        }
        writeln!(formatter, "\n\n{}\n{}", self.times(), self.traffic())?;
        writeln!(formatter, "{}\n{}", self.kinds(), self.throughputs())?;
        write!(formatter, "{}", self.memory.table())?;
        for note in &self.notes {
            writeln!(formatter, "\nnote: {note}")?;
        }
        Ok(())
    }
}

impl Figures {
    fn phases(&self) -> [(String, &PhaseFigures); 3] {
        let batch = &self.preprocessing_batch;
        [
            ("preprocessing".to_string(), &self.preprocessing),
            (format!("batch of {}", batch.sessions), batch),
            ("online".to_string(), &self.online),
        ]
    }

    fn times(&self) -> Table {
        let headings =
            ["phase", "median", "least", "most", "per session", "waiting", "client processor", "server processor"];
        let mut table = Table::new(&headings);
        table.align_left(&[0]);
        for (name, phase) in self.phases() {
            let Spread { median, min, max } = phase.seconds;
            let [client, server] = processors(&phase.processor_seconds);
            let times = [median, min, max, phase.seconds_per_session.median, phase.seconds_waiting.median];
            let mut row = vec![name];
            row.extend(times.map(seconds));
            row.extend([client, server]);
            table.row(row);
        }
        table
    }

    fn traffic(&self) -> Table {
        let headings = ["phase", "sent", "received", "data", "predicted", "round trips", "transfers"];
        let mut table = Table::new(&headings);
        table.align_left(&[0]);
        for (name, phase) in self.phases() {
            let predicted = &phase.predicted;
            table.row(vec![
                name,
                bytes(phase.bytes_sent),
                bytes(phase.bytes_received),
                bytes(phase.data_sent + phase.data_received),
                bytes(predicted.data_sent + predicted.data_received),
                phase.round_trips.to_string(),
                predicted.transfers.to_string(),
            ]);
        }
        table
    }

    fn kinds(&self) -> Table {
        let mut table = Table::new(&["phase", "kind of data", "bytes"]);
        table.align_left(&[0, 1]);
        for (name, phase) in self.phases() {
            for (kind, count) in &phase.data_by_kind {
                table.row(vec![name.clone(), kind.replace('_', " "), bytes(*count)]);
            }
        }
        table
    }

    fn throughputs(&self) -> Table {
        let headings = ["clients", "inferences", "per second", "p50", "p99", "client processor", "server processor"];
        let mut table = Table::new(&headings);
        for level in &self.throughput {
            let [client, server] = processors(&level.processor_seconds);
            table.row(vec![
                level.clients.to_string(),
                level.inferences.to_string(),
                format!("{:.1}", level.inferences_per_second),
                seconds(level.p50_seconds),
                seconds(level.p99_seconds),
                client,
                server,
            ]);
        }
        table
    }
}

impl MemoryFigures {
    fn table(&self) -> Table {
        let mut table = Table::new(&["memory", "bytes"]);
        table.align_left(&[0]);
        for (name, value) in [
            ("server, network loaded", self.server_loaded),
            ("server, most with one client", self.server_peak),
            ("server, most with all clients", self.server_peak_throughput),
            ("client, most", self.client_peak),
        ] {
            table.row(vec![name.to_string(), value.map_or_else(|| UNKNOWN.to_string(), bytes)]);
        }
        table
    }
}

fn processors(figures: &ProcessorFigures) -> [String; 2] {
    [figures.client, figures.server].map(|value| value.map_or_else(|| UNKNOWN.to_string(), seconds))
}
