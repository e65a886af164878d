//! What only the owner of a model needs: from an ONNX file to a public plan with secret parameters, and
//! the evaluation of the server's side.

mod compile;
pub mod fixed_point;
mod floats;
pub mod graph;
pub mod kernels;
pub mod merge;
pub mod onnx;
mod parameters;
pub mod prepared;
pub mod quantize;
mod runs;
#[cfg(test)]
mod test_support;

pub use compile::{Answer, CompileError, CompileOptions, CompileReport, CompiledModel, LayerReport, compile};
pub use parameters::{LinearParameters, Parameters, RingBias};
