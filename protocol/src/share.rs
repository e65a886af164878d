//! Additive shares over the ring `Z_{2^32}`.

use crate::wiped::wipe;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// One party's additive share of a tensor, elements in row-major order. Wiped on drop, redacted in `Debug`.
///
/// A value `y` in two's complement is `client + server mod 2^32`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Share(pub Vec<u32>);

impl Zeroize for Share {
    fn zeroize(&mut self) {
        wipe(&mut self.0);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Share {}

impl Share {
    /// A share of `length` zeros.
    pub fn zeros(length: usize) -> Self {
        Self(vec![0; length])
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::ops::Deref for Share {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        &self.0
    }
}

impl std::ops::DerefMut for Share {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.0
    }
}

impl From<Vec<u32>> for Share {
    fn from(elements: Vec<u32>) -> Self {
        Self(elements)
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Share({} elements)", self.0.len())
    }
}
