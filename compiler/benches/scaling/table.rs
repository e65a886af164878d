//! What was measured, as Markdown.

use crate::measure::Cost;
use crate::network::Network;

/// One case with its cost.
pub struct Row {
    pub network: Network,
    pub sessions: u32,
    pub cost: Cost,
}

/// Prints what the cases of a table cost, and how cost compares with work.
pub fn print(title: &str, rows: &[Row]) {
    println!("\n### {title}\n");
    println!(
        "| size | channels | sessions | multiply-adds, millions | activations | load, s | model, MB | preprocessing a \
         session, ms: client | server | encryption | transfers | online, ms: client | server | linear | \
         preprocessing a session, MB | online, kB |"
    );
    println!("|{}", "---|".repeat(16));
    for Row { network, sessions, cost } in rows {
        let each = 1e3 / f64::from(*sessions);
        println!(
            "| {} | {} | {sessions} | {:.2} | {} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | \
             {:.2} | {:.0} |",
            network.size,
            network.channels,
            network.multiplications() as f64 / 1e6,
            network.activations(),
            cost.load,
            cost.model_bytes as f64 / 1e6,
            cost.preprocessing.client * each,
            cost.preprocessing.server * each,
            cost.encryption * each,
            cost.transfers * each,
            cost.online.client * 1e3,
            cost.online.server * 1e3,
            cost.linear * 1e3,
            cost.preprocessing_bytes as f64 * each / 1e9,
            cost.online_bytes as f64 / 1e3,
        );
    }

    println!("\nFor each unit of work, the first row is 1:\n");
    println!(
        "| size | channels | sessions | load by multiply-adds | encryption by multiply-adds | transfers by activations | \
         online linear by multiply-adds | online rest by activations | preprocessing bytes by activations | online bytes by \
         activations |"
    );
    println!("|{}", "---|".repeat(10));
    let Some(first) = rows.first().map(Row::by_work) else { return };
    for row in rows {
        print!("| {} | {} | {} |", row.network.size, row.network.channels, row.sessions);
        row.by_work().iter().zip(first).for_each(|(cost, first)| print!(" {:.2} |", cost / first));
        println!();
    }
}

impl Row {
    /// The kinds of cost, each divided by the work that it comes from.
    fn by_work(&self) -> [f64; 7] {
        let Self { network, sessions, cost } = self;
        let (multiplications, activations) = (network.multiplications() as f64, network.activations() as f64);
        let sessions = f64::from(*sessions);
        [
            cost.load / multiplications,
            cost.encryption / (sessions * multiplications),
            cost.transfers / (sessions * activations),
            cost.linear / multiplications,
            (cost.online.both() - cost.linear) / activations,
            cost.preprocessing_bytes as f64 / (sessions * activations),
            cost.online_bytes as f64 / activations,
        ]
    }
}
