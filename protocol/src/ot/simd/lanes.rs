//! Units that the operations work on.

/// Four blocks of 16 bytes, which are transposed side by side.
pub(in crate::ot) type Lane = [u8; LANE];

/// Bytes of a lane.
pub(in crate::ot) const LANE: usize = 64;

/// Blocks in a lane.
pub(in crate::ot) const LANE_BLOCKS: usize = LANE / 16;

/// Lanes that are worked on at once: 64 blocks, what the widest AES instructions take in one go.
pub(in crate::ot) const STREAM_LANES: usize = 16;

/// The stream of one leaf, or a sum of such.
pub(in crate::ot) type Stream = [Lane; STREAM_LANES];

/// A row of the matrix that is transposed. The last lane is unused: it keeps the 128 rows' equal
/// lanes out of each other's way in the cache.
pub(in crate::ot) type Row = [Lane; STREAM_LANES + 1];

/// A node of a tree, or a correlated string.
pub(super) type Node = [u8; 16];

/// How many elements of a vector each of the sums of `Instructions::gather` has.
pub(in crate::ot) const LOCALITY: usize = 10;

/// Base-2 logarithm of the most leaves that `Instructions::fold` takes.
pub(in crate::ot) const FOLD: usize = 4;
