//! Why a network cannot be merged.

/// Why a network cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer `{layer}`: {reason}")]
pub struct MergeError {
    /// Name of the layer.
    pub layer: String,
    /// What is wrong, and what to do.
    pub reason: String,
}
