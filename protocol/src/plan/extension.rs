//! How random OTs are extended, and the sizes that follow from it.

/// Batches of random OTs are counted in multiples of this many.
pub const BLOCK: usize = 128;

/// Computational security in bits: number of base OTs, and of rows of an extension.
pub(crate) const ROWS: usize = 128;

/// `count` rounded up to a multiple of [`BLOCK`].
pub const fn padded(count: usize) -> usize {
    count.next_multiple_of(BLOCK)
}

/// How random OTs are made of base OTs. Public; both parties must use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionKind {
    /// SoftSpokenOT with GGM trees of this height `k`: `ceil(128 / k)` bits for each random OT. Nothing to set up, and no
    /// assumption but those of AES.
    SoftSpoken(TreeHeight),
    /// Silent OT, from learning parity with noise: one bit for each random OT, after a set-up of about 1.3 bits for each
    /// and a fixed part of 124,000 bytes.
    Silent,
}

impl ExtensionKind {
    /// What plans use unless told otherwise.
    pub const DEFAULT: Self = Self::SoftSpoken(TreeHeight::DEFAULT);

    /// Height of the GGM trees of the base OTs.
    pub const fn tree_height(self) -> TreeHeight {
        match self {
            Self::SoftSpoken(height) => height,
            Self::Silent => TreeHeight::MAX,
        }
    }

    /// Exact bytes of one extension message for [`padded`]`(count)` random OTs.
    pub const fn extension_len(self, count: usize) -> usize {
        match self {
            Self::SoftSpoken(height) => height.extension_len(count),
            Self::Silent => padded(count) / 8,
        }
    }
}

impl Default for ExtensionKind {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Height `k` of the GGM trees, 1 to 8: an extension sends `ceil(128 / k)` bits for each random OT, and computes about
/// `2^k * 128 / k` bits of pseudorandom streams. Both parties must use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeHeight(u8);

impl TreeHeight {
    /// What plans use unless told otherwise: 2.75 bytes for each random OT. Up to here each level saves more time on a
    /// network of 1 Gbit/s than it costs in computation (the table in `docs/protocol.md`, section 5.2).
    pub const DEFAULT: Self = Self(6);

    /// The fewest bytes for each random OT.
    pub const MAX: Self = Self(8);

    /// A height of 1 to 8.
    pub const fn new(height: u8) -> Option<Self> {
        if 1 <= height && height <= 8 { Some(Self(height)) } else { None }
    }

    /// The height, 1 to 8.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Number of trees.
    pub(crate) const fn trees(self) -> usize {
        ROWS.div_ceil(self.0 as usize)
    }

    /// Bytes of an extension message for 128 random OTs.
    pub(crate) const fn block_len(self) -> usize {
        self.trees() * BLOCK / 8
    }

    /// Exact bytes of one extension message for [`padded`]`(count)` random OTs.
    pub const fn extension_len(self, count: usize) -> usize {
        count.div_ceil(BLOCK) * self.block_len()
    }
}
