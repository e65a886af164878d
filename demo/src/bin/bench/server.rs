//! The server process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use tacit_demo::local_server::LocalServer;

use crate::Arguments;
use crate::network::Network;

/// Name under which the network is served.
pub(crate) const NAME: &str = "network";

/// What the server process does: serves until its standard input closes.
pub(crate) async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let compiled = Network::load(arguments)?.compile(arguments)?;
    let server = LocalServer::start(NAME, &compiled).await?;
    drop(compiled);
    println!("{}", server.url);
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
    server.stop().await;
    Ok(())
}

/// The server process, ended when this is dropped.
pub(crate) struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl ServerProcess {
    /// Starts this program again with the same arguments, to serve.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server process")?;
        let output = child.stdout.take().context("the server process has no output")?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url)?;
        ensure!(url.starts_with("http://"), "the server process did not start");
        Ok(Self { child, url: url.trim().to_string() })
    }

    /// Resident memory now and at most, in MB, where the system tells.
    pub(crate) fn memory(&self) -> Option<[f64; 2]> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1e3)
        };
        Some([field("VmRSS:")?, field("VmHWM:")?])
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
