//! PNG images.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, Limits, codecs::png::PngDecoder};
use ndarray::{Array3, ArrayD, Axis};

use super::DataError;

/// Most bytes that a decoder may take besides the pixels of an image of the right size.
const DECODER_BYTES: u64 = 64 << 20;

/// Decodes an image into the dimensions of the network's input: `[channels, rows, columns]` with one channel (grey) or
/// three (red, green, blue), or `[rows, columns]`. Its size must be right; transparency is dropped.
pub(super) fn decode(bytes: &[u8], dimensions: &[usize]) -> Result<ArrayD<u8>, DataError> {
    let (channels, expected) = match *dimensions {
        [channels @ (1 | 3), rows, columns] => (channels, [rows, columns]),
        [rows, columns] => (1, [rows, columns]),
        _ => return Err(DataError::NoImage(dimensions.to_vec())),
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_BYTES);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits)?;
    let (columns, rows) = decoder.dimensions();
    let got = [rows as usize, columns as usize];
    if got != expected {
        return Err(DataError::ImageSize { expected, got });
    }
    let image = DynamicImage::from_decoder(decoder)?;
    let pixels = if channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() };
    let wrong_size = |_| DataError::ImageSize { expected, got };
    // Interleaved colours become planes.
    let interleaved = Array3::from_shape_vec((got[0], got[1], channels), pixels).map_err(wrong_size)?;
    let planes = interleaved.permuted_axes([2, 0, 1]).into_dyn();
    Ok(if dimensions.len() == 2 { planes.index_axis_move(Axis(0), 0) } else { planes })
}
