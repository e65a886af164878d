//! Sizes of the step.

use crate::bits::packed_len;
use crate::plan::ExtensionKind;

/// Size of one square step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SquareLayout {
    /// Number of elements.
    pub elements: usize,
    /// Low bits dropped before squaring, 0 to 30.
    pub drop: u32,
    /// How the random OTs are made.
    pub kind: ExtensionKind,
}

impl SquareLayout {
    /// Bits of `p` that reach the result: `2 p alpha` is taken modulo `2^32`.
    pub(super) fn planes(&self) -> u32 {
        (32 - self.drop).min(31)
    }

    /// Bits of `alpha` that matter next to bit `plane` of `p`.
    pub(super) fn plane_width(plane: u32) -> u32 {
        31 - plane
    }

    /// Bits of the factors of `2T`. Where `2T` vanishes (`drop < 2`) one idle bit keeps the messages uniform.
    pub(super) fn wrap_width(&self) -> u32 {
        self.drop.saturating_sub(1).max(1)
    }

    /// Low bits of the top plane's key that `alpha` uses; no bit of a key is used twice.
    pub(super) fn wrap_key_shift(&self) -> u32 {
        Self::plane_width(self.planes() - 1)
    }

    /// Transfers in which the client chooses.
    pub fn client_transfers(&self) -> usize {
        self.elements * self.planes() as usize
    }

    /// Bytes of the client's extension rows.
    pub fn share_choices_len(&self) -> usize {
        self.kind.extension_len(self.client_transfers())
    }

    /// Bytes of the server's extension rows and corrections.
    pub fn server_correlations_len(&self) -> usize {
        let corrections = (0..self.planes()).map(|plane| packed_len(self.elements, Self::plane_width(plane)));
        self.kind.extension_len(self.elements) + corrections.sum::<usize>()
    }

    /// Bytes of the client's corrections.
    pub fn client_corrections_len(&self) -> usize {
        packed_len(self.elements, self.wrap_width())
    }

    /// Bytes of the server's online message.
    pub fn opening_len(&self) -> usize {
        4 * self.elements + packed_len(self.elements, self.wrap_width())
    }

    /// Bytes of the client's online answer.
    pub fn result_len(&self) -> usize {
        4 * self.elements
    }
}
