//! A server inside this program.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ndarray::ArrayD;
use tacit_compiler::quantize::Calibration;
use tacit_compiler::{CompileOptions, CompiledModel, compile, onnx};
use tacit_model_server::{Limits, Server, ShutdownHandle};

use crate::images;

/// A network, compiled with calibration images and default options.
///
/// # Errors
/// What the reader or the compiler says.
pub fn compile_network(onnx: &[u8], calibration: &ArrayD<f32>) -> anyhow::Result<CompiledModel> {
    compile_with(onnx, calibration, &CompileOptions::default())
}

/// A network, compiled with calibration images.
///
/// # Errors
/// What the reader or the compiler says.
pub fn compile_with(onnx: &[u8], calibration: &ArrayD<f32>, options: &CompileOptions) -> anyhow::Result<CompiledModel> {
    let samples = (0..calibration.len_of(ndarray::Axis(0))).map(|index| images::flat(calibration, index)).collect();
    let graph = onnx::load(onnx)?;
    Ok(compile(graph, Some(&Calibration::from_samples(samples)?), options)?)
}

/// A running server: where it listens, and what ends it.
pub struct LocalServer {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    handle: ShutdownHandle,
    task: tokio::task::JoinHandle<()>,
}

impl LocalServer {
    /// Serves a compiled network under a name, on a free port.
    ///
    /// # Errors
    /// If the weights cannot be prepared or no port can be bound.
    pub async fn start(name: &str, compiled: &CompiledModel) -> anyhow::Result<Self> {
        let model = Arc::new(compiled.prepare(usize::MAX)?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::builder().model(name, model).limits(Limits::default()).bind(address).await?;
        let url = format!("http://{}", server.local_address());
        let handle = server.shutdown_handle();
        let task = tokio::spawn(async move {
            if let Err(error) = server.serve().await {
                eprintln!("the server stopped: {error}");
            }
        });
        Ok(Self { url, handle, task })
    }

    /// What the server holds and runs.
    pub fn handle(&self) -> &ShutdownHandle {
        &self.handle
    }

    /// Stops the server.
    pub async fn stop(self) {
        self.handle.shut_down();
        // A server that failed has said so already.
        _ = self.task.await;
    }
}
