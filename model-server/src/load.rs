//! From files to a model that can be served.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tacit_compiler::graph::Graph;
use tacit_compiler::quantize::Calibration;
use tacit_compiler::{CompileOptions, CompiledModel, compile, onnx};
use tacit_engine::prepared::transforms_bytes;
use tacit_protocol::session::ServerModel;

use crate::config::ModelSource;

/// Why a model cannot be loaded, with the flag that named the file.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {file}")]
pub struct LoadError {
    /// `--model`, `--calibration` or `--independent`.
    pub flag: &'static str,
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub source: Box<dyn Error + Send + Sync>,
}

impl LoadError {
    pub(crate) fn new<E: Error + Send + Sync + 'static>(flag: &'static str, file: &Path) -> impl FnOnce(E) -> Self {
        let file = file.display().to_string();
        move |error| Self { flag, file, source: Box::new(error) }
    }
}

/// Reads and compiles a network; `calibration` holds sample inputs.
///
/// # Errors
/// [`LoadError`] if a file cannot be read or understood, if the network cannot be compiled, or if the calibration inputs
/// leave less headroom than asked for.
pub fn compile_files(
    network: &Path,
    calibration: Option<&Path>,
    options: &CompileOptions,
) -> Result<CompiledModel, LoadError> {
    let samples = calibration.map(|file| samples("--calibration", file)).transpose()?;
    let compiled = compile_graph(network, graph(network)?, samples.as_ref(), options)?;
    match (calibration, &compiled.too_little_headroom) {
        (Some(file), Some(error)) => Err(LoadError::new("--calibration", file)(error.clone())),
        _ => Ok(compiled),
    }
}

/// Reads a network.
pub(crate) fn graph(network: &Path) -> Result<Graph, LoadError> {
    onnx::load_file(network).map_err(LoadError::new("--model", network))
}

/// Reads sample inputs.
pub(crate) fn samples(flag: &'static str, file: &Path) -> Result<Calibration, LoadError> {
    Calibration::from_file(file).map_err(LoadError::new(flag, file))
}

/// Compiles a network that was read from `network`.
pub(crate) fn compile_graph(
    network: &Path,
    graph: Graph,
    samples: Option<&Calibration>,
    options: &CompileOptions,
) -> Result<CompiledModel, LoadError> {
    compile(graph, samples, options).map_err(LoadError::new("--model", network))
}

/// Loads a model: reads, compiles, transforms the weights and checks the noise bounds. Takes what transforms it holds from
/// `weight_memory`, in bytes.
///
/// # Errors
/// As for [`compile_files`], or if the noise bound of a layer does not hold.
#[tracing::instrument(name = "load", skip_all, fields(model = %source.name))]
pub fn model(source: &ModelSource, weight_memory: &mut usize) -> Result<Arc<dyn ServerModel>, LoadError> {
    let started = Instant::now();
    let compiled = compile_files(&source.network, source.calibration.as_deref(), &source.options)?;
    let compile_seconds = started.elapsed().as_secs_f64();
    let prepared = compiled.prepare(*weight_memory).map_err(LoadError::new("--model", &source.network))?;
    let held = prepared.transforms_bytes();
    *weight_memory = weight_memory.saturating_sub(held);
    for warning in &compiled.report.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        steps = compiled.plan.nodes.len(),
        transforms_held_bytes = held,
        transforms_bytes = transforms_bytes(&compiled.plan),
        memory_bytes = prepared.memory_bytes(),
        compile_seconds,
        seconds = started.elapsed().as_secs_f64(),
        "model loaded"
    );
    Ok(Arc::new(prepared))
}
