//! Sizes of the step.

use crate::bits::packed_len;
use crate::plan::ExtensionKind;

/// Size of one truncate step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncateLayout {
    /// Number of elements.
    pub elements: usize,
    /// Low bits dropped, 1 to 30.
    pub drop: u32,
    /// How the random OTs are made.
    pub kind: ExtensionKind,
}

impl TruncateLayout {
    /// Bytes of the server's extension rows.
    pub fn server_correlations_len(&self) -> usize {
        self.kind.extension_len(self.elements)
    }

    /// Bytes of the client's corrections.
    pub fn client_corrections_len(&self) -> usize {
        packed_len(self.elements, self.drop)
    }

    /// Bytes of the server's online message.
    pub fn opening_len(&self) -> usize {
        packed_len(self.elements, 1)
    }

    /// Bytes of the client's online answer.
    pub fn result_len(&self) -> usize {
        4 * self.elements
    }
}
