//! The server as a process of its own.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::arguments::BenchArguments;
use crate::terminal::Failure;

/// Name under which the network is served if none is given.
const NAME: &str = "network";

/// What the server prints before its address.
const READY: &str = "listening on ";

/// Time that a process takes to end after its connections.
const ENDING: Duration = Duration::from_millis(100);

/// A server that was started here; ends with this handle.
pub(crate) struct ServerProcess {
    child: Running,
    /// Kept open, as the server may print more.
    _output: BufReader<ChildStdout>,
    url: String,
}

impl ServerProcess {
    /// Starts a server of the network `onnx` and waits until it listens, however long it compiles. Dropping the future
    /// ends the server.
    pub(crate) async fn start(onnx: &Path, arguments: &BenchArguments) -> Result<Self, Failure> {
        let program = arguments.model_server.clone().map_or_else(beside_this_program, Ok)?;
        let name = model_name(arguments);
        let mut command = Command::new(&program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--report-times", "--model"]).arg(named(name, onnx));
        if let Some(calibration) = &arguments.calibration {
            command.arg("--calibration").arg(named(name, calibration));
        }
        if let Some(threads) = arguments.threads {
            command.arg("--threads").arg(threads.to_string());
        }
        command.args(&arguments.server_arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "error");
        }
        // What is measured is what the command line says.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("TACIT_") {
                command.env_remove(variable);
            }
        }
        let failed = |error: &std::io::Error| Failure::new(format!("cannot start {}", program.display()), error);
        let mut child = Running(command.spawn().map_err(|error| failed(&error))?);
        let Some(output) = child.0.stdout.take() else {
            return Err(Failure::message("the server has no output"));
        };
        let mut output = BufReader::new(output);
        let first_line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).map(|_| (output, line))
        });
        let first_line = first_line.await.map_err(|error| Failure::new("reading what the server prints", &error))?;
        let (output, line) = first_line.map_err(|error| failed(&error))?;
        let Some(address) = line.trim().strip_prefix(READY) else {
            return Err(Failure::message(format!("{} has not started to listen", program.display())));
        };
        Ok(Self { child, _output: output, url: format!("http://{address}") })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Why there is no server any more, if it has ended by itself.
    pub(crate) async fn has_ended(&mut self) -> Option<Failure> {
        // Its connections end a little before it does.
        tokio::time::sleep(ENDING).await;
        let status = self.child.0.try_wait().ok()??;
        Some(Failure::message(format!("the server has ended with {status}")))
    }

    /// Number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }
}

/// A process that ends with this handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing is left to do about a process that cannot be ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The name of the model on the server.
pub(crate) fn model_name(arguments: &BenchArguments) -> &str {
    arguments.model.as_deref().unwrap_or(NAME)
}

fn beside_this_program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::new("cannot find this program", &error))?;
    Ok(program.with_file_name("model-server").with_extension(std::env::consts::EXE_EXTENSION))
}

/// `NAME=FILE`; a file's name need not be text.
fn named(name: &str, file: &Path) -> OsString {
    let mut argument = OsString::from(name);
    argument.push("=");
    argument.push(file);
    argument
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;
    use crate::arguments::parse;

    /// Starts a script in the place of the server.
    async fn start(directory: &TempDir, script: &str) -> Result<ServerProcess, Failure> {
        let path = directory.path().join("model-server");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        start_program(&path).await
    }

    async fn start_program(path: &Path) -> Result<ServerProcess, Failure> {
        let arguments = ["--onnx", "a.onnx", "--calibration", "c.npz", "--threads", "2"];
        let more = ["--model-server", path.to_str().unwrap(), "--", "--headroom", "3"];
        let arguments = parse(&[&arguments[..], &more].concat()).unwrap();
        ServerProcess::start(Path::new("a.onnx"), &arguments).await
    }

    #[tokio::test]
    async fn the_address_is_read_and_the_process_ended() {
        let directory = TempDir::new().unwrap();
        let told = directory.path().join("arguments");
        let script = format!("echo \"$@\" > {}\necho 'listening on 127.0.0.1:7'\nexec sleep 1000", told.display());
        let server = start(&directory, &script).await.unwrap();
        assert_eq!(server.url(), "http://127.0.0.1:7");
        let expected = "serve --listen 127.0.0.1:0 --report-times --model network=a.onnx --calibration network=c.npz \
                        --threads 2 --headroom 3\n";
        assert_eq!(fs::read_to_string(told).unwrap(), expected);
        drop(server);
    }

    #[tokio::test]
    async fn a_server_that_does_not_start_is_a_failure() {
        let directory = TempDir::new().unwrap();
        let error = start(&directory, "exit 1").await.err().unwrap().to_string();
        assert!(error.contains("has not started to listen"), "{error}");
        let missing = start_program(&directory.path().join("missing")).await;
        let error = missing.err().unwrap().to_string();
        assert!(error.starts_with("cannot start ") && error.contains("missing"), "{error}");
    }
    #[tokio::test]
    async fn a_server_that_ends_by_itself_is_noticed() {
        let directory = TempDir::new().unwrap();
        let mut server = start(&directory, "echo 'listening on 127.0.0.1:7'\nexit 3").await.unwrap();
        let error = loop {
            if let Some(error) = server.has_ended().await {
                break error.to_string();
            }
        };
        assert_eq!(error, "the server has ended with exit status: 3");
        let mut server = start(&directory, "echo 'listening on 127.0.0.1:7'\nexec sleep 1000").await.unwrap();
        assert!(server.has_ended().await.is_none());
    }
}
