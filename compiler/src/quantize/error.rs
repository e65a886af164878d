//! Why a network cannot be brought to fixed point.

/// Why a network cannot be brought to fixed point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantizeError {
    /// A layer's values or weights cannot be represented.
    #[error("layer `{layer}`: {reason}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl QuantizeError {
    pub(crate) fn layer(layer: &str, reason: impl Into<String>) -> Self {
        Self::Layer { layer: layer.to_string(), reason: reason.into() }
    }
}
