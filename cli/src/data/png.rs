//! PNG images.

use std::io::Cursor;

use ndarray::{Array3, ArrayD, Axis};
use png::{BitDepth, Decoder, DecodingError, Limits, Transformations};

use super::DataError;

/// Most bytes that a decoder may take besides the pixels of an image of the right size.
const DECODER_BYTES: usize = 64 << 20;

/// Decodes an image into the dimensions of the network's input: `[channels, rows, columns]` with one channel (grey) or
/// three (red, green, blue), or `[rows, columns]`. Its size must be right; transparency is dropped.
pub(super) fn decode(bytes: &[u8], dimensions: &[usize]) -> Result<ArrayD<u8>, DataError> {
    let (channels, expected) = match *dimensions {
        [channels @ (1 | 3), rows, columns] => (channels, [rows, columns]),
        [rows, columns] => (1, [rows, columns]),
        _ => return Err(DataError::NoImage(dimensions.to_vec())),
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let got = [reader.info().height as usize, reader.info().width as usize];
    if got != expected {
        return Err(DataError::ImageSize { expected, got });
    }
    let mut samples = vec![0; reader.output_buffer_size().ok_or(DecodingError::LimitsExceeded)?];
    let frame = reader.next_frame(&mut samples)?;
    samples.truncate(frame.buffer_size());
    if frame.bit_depth == BitDepth::Sixteen {
        samples = samples.as_chunks().0.iter().map(|&pair| to_eight_bits(u16::from_be_bytes(pair))).collect();
    }
    let pixels = samples.chunks_exact(frame.color_type.samples()).flat_map(|pixel| colours(pixel, channels)).collect();
    let wrong_size = |_| DataError::ImageSize { expected, got };
    // Interleaved colours become planes.
    let interleaved = Array3::from_shape_vec((got[0], got[1], channels), pixels).map_err(wrong_size)?;
    let planes = interleaved.permuted_axes([2, 0, 1]).into_dyn();
    Ok(if dimensions.len() == 2 { planes.index_axis_move(Axis(0), 0) } else { planes })
}

/// The nearest of 256 steps.
fn to_eight_bits(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

/// One pixel in as many channels as the network takes. Grey is the luminance of ITU-R BT.709.
fn colours(pixel: &[u8], channels: usize) -> impl Iterator<Item = u8> + use<> {
    let [red, green, blue] = match *pixel {
        [red, green, blue] | [red, green, blue, _] => [red, green, blue],
        [grey, ..] => [grey; 3],
        [] => [0; 3],
    };
    let luminance = 2126 * u32::from(red) + 7152 * u32::from(green) + 722 * u32::from(blue);
    let planes = if channels == 1 { [(luminance / 10_000) as u8; 3] } else { [red, green, blue] };
    planes.into_iter().take(channels)
}
