//! The figures as tables.

use std::fmt;

use crate::figures::{Figures, KindFigures, MemoryFigures, PhaseFigures, ProcessorFigures, Spread, TimeFigures};
use crate::terminal::{Table, bytes, seconds};

/// What stands where nothing is known.
const UNKNOWN: &str = "-";

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "model {}, {} runs, {} engine", self.name(), self.runs, self.engine)?;
        if let Some(threads) = self.threads {
            write!(formatter, ", {threads} threads")?;
        }
        if let Some(network) = &self.network {
            let megabits = network.bits_per_second / 1e6;
            write!(formatter, ", network of {megabits} Mbit/s and {}", seconds(network.round_trip_seconds))?;
        }
        writeln!(formatter, "\n\n{}\n{}", self.times(), self.traffic())?;
        writeln!(formatter, "{}\n{}", self.time_by_kind(), self.kinds())?;
        if self.network.is_some() {
            writeln!(formatter, "{}", self.network_times())?;
        }
        writeln!(formatter, "{}", self.throughputs())?;
        write!(formatter, "{}", self.memory.table())?;
        for note in &self.notes {
            writeln!(formatter, "\nnote: {note}")?;
        }
        Ok(())
    }
}

impl Figures {
    /// The phases under their names.
    pub(crate) fn phases(&self) -> [(String, &PhaseFigures); 4] {
        let batch = &self.preprocessing_batch;
        [
            ("preprocessing".to_string(), &self.preprocessing),
            (format!("batch of {}", batch.sessions), batch),
            ("online".to_string(), &self.online),
            ("online, new connection".to_string(), &self.first_online),
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

    /// Where the time of a median run went.
    fn time_by_kind(&self) -> Table {
        let mut table = Table::new(&["time by kind", "who", "HE", "OT", "linear", "activation", "sum"]);
        table.align_left(&[0, 1]);
        let mut row = |phase: &str, who: &str, parts: [Option<f64>; 5]| {
            // Kinds that have no place in a phase take no time at all.
            let cells =
                parts.map(|part| part.filter(|seconds| *seconds > 0.0).map_or_else(|| UNKNOWN.to_string(), seconds));
            table.row([phase.to_string(), who.to_string()].into_iter().chain(cells).collect());
        };
        for (name, phase) in self.phases() {
            let TimeFigures { elapsed, client, server, wire, overlap } = phase.time_by_kind;
            let kinds = |kinds: Option<KindFigures>| {
                let part = |part: fn(&KindFigures) -> f64| kinds.as_ref().map(part);
                [part(|k| k.he), part(|k| k.ot), part(|k| k.linear), part(|k| k.activation), part(KindFigures::total)]
            };
            let sum = |sum| [None, None, None, None, sum];
            row(&name, "client", kinds(Some(client)));
            row(&name, "server", kinds(server));
            row(&name, "wire", sum(wire));
            if overlap.is_some_and(|overlap| overlap > 0.0) {
                row(&name, "both at once", sum(overlap));
            }
            row(&name, "elapsed", sum(Some(elapsed)));
        }
        table
    }

    /// What the network explains of the time.
    fn network_times(&self) -> Table {
        let headings = ["phase", "round trips x delay", "bytes / rate", "network", "measured", "beyond the network"];
        let mut table = Table::new(&headings);
        table.align_left(&[0]);
        for (name, phase) in self.phases() {
            let Some(network) = &phase.network_seconds else { continue };
            let measured = phase.seconds.median;
            let beyond = (measured - network.total()).max(0.0);
            let times = [network.round_trips, network.bytes, network.total(), measured, beyond];
            table.row(std::iter::once(name).chain(times.map(seconds)).collect());
        }
        table
    }

    fn kinds(&self) -> Table {
        let mut table = Table::new(&["phase", "kind of data", "bytes"]);
        table.align_left(&[0, 1]);
        // The last phase has the same messages as the one before.
        for (name, phase) in self.phases().into_iter().take(3) {
            for (kind, count) in &phase.data_by_kind {
                table.row(vec![name.clone(), kind.replace('_', " "), bytes(*count)]);
            }
        }
        table
    }

    fn throughputs(&self) -> Table {
        let headings =
            ["clients", "inferences", "rounds", "per second", "p50", "p99", "client processor", "server processor"];
        let mut table = Table::new(&headings);
        for level in &self.throughput {
            let [client, server] = processors(&level.processor_seconds);
            table.row(vec![
                level.clients.to_string(),
                level.inferences.to_string(),
                level.rounds.to_string(),
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
            ("server, network loaded".to_string(), self.server_loaded),
            ("server, most with one client".to_string(), self.server_peak),
            (format!("server, {} sessions held", self.held), self.server_held),
            ("server, most with all clients".to_string(), self.server_peak_throughput),
            ("client, most".to_string(), self.client_peak),
        ] {
            table.row(vec![name, value.map_or_else(|| UNKNOWN.to_string(), bytes)]);
        }
        table
    }
}

fn processors(figures: &ProcessorFigures) -> [String; 2] {
    [figures.client, figures.server].map(|value| value.map_or_else(|| UNKNOWN.to_string(), seconds))
}
