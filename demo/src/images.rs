//! Arrays of `.npz` files.

use std::io::Cursor;

use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;

/// Array `x`, 8-bit pixels brought to `0..=1`.
///
/// # Errors
/// If the file has no such array.
pub fn images(npz: &[u8]) -> anyhow::Result<ArrayD<f32>> {
    let pixels: ArrayD<u8> = NpzReader::new(Cursor::new(npz))?.by_name("x")?;
    Ok(pixels.mapv(|pixel| f32::from(pixel) / 255.0))
}

/// Array `y`.
///
/// # Errors
/// If the file has no such array.
pub fn labels(npz: &[u8]) -> anyhow::Result<Vec<u8>> {
    let labels: Array1<u8> = NpzReader::new(Cursor::new(npz))?.by_name("y")?;
    Ok(labels.to_vec())
}

/// One image as a flat vector.
pub fn flat(images: &ArrayD<f32>, index: usize) -> Vec<f32> {
    images.index_axis(ndarray::Axis(0), index).iter().copied().collect()
}

/// Index of the largest value.
pub fn class(logits: &[f32]) -> usize {
    let largest = logits.iter().copied().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    largest.map_or(0, |(index, _)| index)
}
