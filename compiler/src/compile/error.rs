//! Why a network cannot be compiled.

use tacit_protocol::plan::PlanError;
use tacit_protocol::rlwe::RlweError;

use tacit_engine::PrepareError;

use super::headroom::TooLittleHeadroom;
use crate::graph::GraphError;
use crate::merge::MergeError;
use crate::quantize::QuantizeError;

/// Why a network cannot be compiled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompileError {
    /// The graph is not consistent.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A layer cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A layer does not fit fixed point.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The plan and its parameters cannot be served.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Calibration leaves less headroom than was asked for.
    #[error(transparent)]
    Headroom(#[from] TooLittleHeadroom),
    /// A layer's weights fit no packing.
    #[error("layer `{layer}` cannot be encrypted: {source}")]
    Packing {
        /// Name of the layer.
        layer: String,
        /// Why.
        source: RlweError,
    },
    /// The plan breaks a rule, most often a size.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Calibration samples of another network.
    #[error("calibration samples have {found} elements, the network takes {expected}")]
    CalibrationLength {
        /// Elements of the network's input.
        expected: usize,
        /// Elements of a sample.
        found: usize,
    },
    /// The input range is empty or does not hold the calibration samples.
    #[error("the input range from {low} to {high} is empty or does not hold all calibration samples")]
    InputRange {
        /// Smallest value.
        low: f32,
        /// Largest value.
        high: f32,
    },
    /// Too much headroom.
    #[error("{0} bits of headroom leave none for the values; take at most 15")]
    HeadroomBits(u32),
    /// A class is to be revealed where there is only one.
    #[error("the network has a single output, so there is no class to reveal; serve its logits")]
    OneClass,
    /// A class is to be revealed where there are too many for logits and codes to be compared together.
    #[error(
        "the network has {classes} outputs, and the class alone can be revealed of at most {most}; serve its logits"
    )]
    TooManyClasses {
        /// Outputs of the network.
        classes: usize,
        /// As many as could be compared.
        most: usize,
    },
    /// Values overflow.
    #[error(
        "values of the network are not finite numbers for inputs in the given range; check weights and input range"
    )]
    NotFinite,
}
