//! `.npz` archives, compressed or not.

use std::io::Cursor;

use zip::ZipArchive;

use super::{DataError, Elements, FILE_BYTES, bounded, npy};

/// Decodes the array `x` of an archive.
pub(super) fn decode(bytes: &[u8]) -> Result<Elements, DataError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let name = if archive.index_for_name("x.npy").is_some() { "x.npy" } else { "x" };
    let entry = archive.by_name(name)?;
    if entry.size() > FILE_BYTES {
        return Err(DataError::TooLarge);
    }
    npy::decode(&bounded(entry)?)
}
