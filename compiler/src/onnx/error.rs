//! What can be wrong with an ONNX file.

use super::operators::SUPPORTED_OPERATORS;
use crate::graph::GraphError;

/// Why an ONNX file cannot be used. No variant contains weights.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file could not be read.
    #[error("cannot read the ONNX file: {0}")]
    Read(#[from] std::io::Error),
    /// The file is larger than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES).
    #[error("the ONNX file is larger than the limit of {limit} bytes")]
    FileTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not an ONNX protobuf message, or a truncated one.
    #[error("not a valid ONNX file: {0}")]
    Malformed(String),
    /// The operator set is older or newer than the supported ones.
    #[error("ONNX opset {version} is not supported; supported are opsets {oldest} to {newest}")]
    Opset {
        /// Version of the default operator set that the file imports, 0 if none.
        version: i64,
        /// Oldest supported version.
        oldest: i64,
        /// Newest supported version.
        newest: i64,
    },
    /// The graph as a whole cannot be used: its inputs, outputs, size.
    #[error("ONNX graph: {0}")]
    Graph(String),
    /// A constant cannot be used.
    #[error("initializer `{name}`: {reason}")]
    Initializer {
        /// Name of the tensor.
        name: String,
        /// What is wrong, and what is supported.
        reason: String,
    },
    /// A node uses an operator that is not supported at all.
    #[error("node `{node}`: operator `{operator}` is not supported: {reason}; supported are {}", SupportedOperators)]
    UnsupportedOperator {
        /// Name of the node, or of its output if it has none.
        node: String,
        /// The operator, with its domain if it is not a standard one.
        operator: String,
        /// Why, and what to use.
        reason: &'static str,
    },
    /// A node uses a supported operator in a way that is not supported, or wrongly.
    #[error("node `{node}` ({operator}): {reason}")]
    Node {
        /// Name of the node, or of its output if it has none.
        node: String,
        /// The operator.
        operator: String,
        /// What is wrong, and what is supported.
        reason: String,
    },
    /// The layer graph that the file describes is not valid.
    #[error(transparent)]
    Layers(#[from] GraphError),
}

/// Lists the supported operators in an error message.
struct SupportedOperators;

impl std::fmt::Display for SupportedOperators {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, operator) in SUPPORTED_OPERATORS.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            formatter.write_str(operator.name)?;
        }
        Ok(())
    }
}
