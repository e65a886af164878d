//! From an ONNX file to what private inference runs: a public plan and secret parameters.
//!
//! ```text
//!   onnx        an ONNX file becomes a layer graph
//!   graph       the layer graph in floats, and its reference evaluation
//!   merge       everything that is linear is fused into the linear layers
//!   quantize    calibration, scales, integer weights
//!   compile     the way from graph to plan, parameters and report; headroom and comparisons of calibration sets
//! ```

mod compile;
mod floats;
pub mod graph;
pub mod merge;
pub mod onnx;
pub mod quantize;
#[cfg(test)]
mod test_support;

pub use compile::{
    Answer, Comparison, CompileError, CompileOptions, CompileReport, CompiledModel, LayerReport, TooLittleHeadroom,
    compare, compile,
};
