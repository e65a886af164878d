//! Reads ONNX files: from protobuf bytes to the layer graph.
//!
//! What is supported is in [`SUPPORTED_OPERATORS`]; everything else is refused with an error that names the node.
//! The batch is always the first dimension and is treated as one sample. Constants are folded; elementwise
//! arithmetic becomes polynomials of degree at most 2 (`a*x^2 + b*x + c`, scalars or per channel), whatever
//! the order in which an exporter writes it. Activations of straight pieces consist of ReLU, exactly; smooth ones are
//! not approximated. A transposition moves nothing until its value is needed in another order. What stands at the very
//! end of a network (`Softmax`, `ArgMax`, ...) is left to the client ([`Graph::output_function`]).
//!
//! A file is untrusted: sizes are checked before anything is allocated.

mod answer;
mod error;
mod file;
mod labels;
mod layers;
mod node;
mod node_reader;
mod operators;
mod order;
mod polynomial;
mod preflight;
mod schema;
mod shape;
mod tensor;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use prost::Message;

pub use error::OnnxError;
pub use file::{NEWEST_OPSET, OLDEST_OPSET};
pub use operators::{SUPPORTED_OPERATORS, SupportedOperator};

use crate::graph::Graph;

/// Largest accepted file, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 28;

/// Reads an ONNX model from a file.
///
/// # Errors
/// As [`load`], and if the file cannot be read or is larger than [`MAX_FILE_BYTES`].
pub fn load_file(path: impl AsRef<Path>) -> Result<Graph, OnnxError> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    load(&bytes)
}

/// Reads an ONNX model from the bytes of a file. The graph that is returned is valid
/// ([`Graph::validate`]).
///
/// # Errors
/// If the bytes are no ONNX model, if the model uses what is not supported, or if it is inconsistent.
pub fn load(bytes: &[u8]) -> Result<Graph, OnnxError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(OnnxError::FileTooLarge { limit: MAX_FILE_BYTES });
    }
    preflight::check(bytes)?;
    let model = schema::ModelProto::decode(bytes).map_err(|error| OnnxError::Malformed(error.to_string()))?;
    file::read(&model, bytes.len())
}
