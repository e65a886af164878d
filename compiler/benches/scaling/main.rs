//! How cost grows with the work: `cargo bench -p tacit-engine --bench scaling`.
//!
//! A network of two 3x3 convolutions with ReLU and a fully connected layer is compiled and evaluated privately, both
//! parties in one process, with images of growing size, with more channels and with more sessions in a batch. For each it
//! prints what both parties compute and send, then the same by step kind and for each unit of work. That last table is the
//! one to read: a number there that grows from one row to the next is cost that grows faster than the work.

mod measure;
mod network;
mod table;

use std::error::Error;

use measure::{Cost, measure};
use network::Network;
use table::{Row, print};

/// Sessions on a stream where their number is not what varies: enough that keys and base transfers, which a stream pays
/// once, are not most of what is measured.
const SESSIONS: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test` starts benches without this argument, to see that they run.
    let whole = std::env::args().any(|argument| argument == "--bench");
    for threads in if whole { 1..=2 } else { 1..=1 } {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let sizes: &[usize] = if whole { &[8, 16, 32, 64, 128] } else { &[8] };
        report(&pool, "image size, 16 channels", sizes.iter().map(|size| (Network::new(*size, 16), SESSIONS)))?;
        if whole {
            let channels = [8, 16, 32, 64, 128];
            report(&pool, "channels, 16x16", channels.map(|channels| (Network::new(16, channels), SESSIONS)))?;
            let batches = [1, 2, 4, 8, 16];
            report(
                &pool,
                "sessions in a batch, 16x16, 16 channels",
                batches.map(|count| (Network::new(16, 16), count)),
            )?;
        }
    }
    Ok(())
}

/// Measures all cases and prints their tables.
fn report(
    pool: &rayon::ThreadPool,
    title: &str,
    cases: impl IntoIterator<Item = (Network, u32)>,
) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for (network, sessions) in cases {
        let cost: Cost = pool.install(|| measure(&network, sessions)).map_err(|error| error.to_string())?;
        rows.push(Row { network, sessions, cost });
    }
    print(&format!("{title}, threads: {}", pool.current_num_threads()), &rows);
    Ok(())
}
