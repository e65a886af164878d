//! What only the owner of a model needs: from an ONNX file to a public plan with secret parameters, and
//! the evaluation of the server's side.

pub mod graph;
pub mod onnx;
pub mod kernels;
pub mod parameters;
pub mod fixed_point;
pub mod prepared;
