//! Arrays of `.npy` and `.npz` files.

use std::io::Cursor;

use anyhow::{Context, ensure};
use ndarray::{Array1, Array2, ArrayD, Axis, IxDyn};
use ndarray_npy::{NpzReader, ReadNpyExt};

/// Mean and standard deviation that the pixels of a channel are brought to 0 and 1 with, after division by 255.
pub type Channel = (f32, f32);

/// Inputs `[n, ...]` of a `.npy`, or of the array `x` of an `.npz`. Floats are taken as they are; an 8-bit pixel becomes
/// `(pixel / 255 - mean) / std` of its channel, and `pixel / 255` without `channels`.
///
/// # Errors
/// If the file has no such array, or another number of channels.
pub fn inputs(bytes: &[u8], channels: &[Channel]) -> anyhow::Result<ArrayD<f32>> {
    if let Ok(floats) = array::<f32>(bytes, "x") {
        return Ok(floats);
    }
    let pixels = array::<u8>(bytes, "x").context("neither float32 nor 8-bit pixels")?;
    let mut inputs = pixels.mapv(|pixel| f32::from(pixel) / 255.0);
    if !channels.is_empty() {
        let fits = inputs.ndim() > 1 && inputs.len_of(Axis(1)) == channels.len();
        ensure!(fits, "an array of shape {:?} for {} channels", inputs.shape(), channels.len());
        for (mut plane, (mean, std)) in inputs.axis_iter_mut(Axis(1)).zip(channels) {
            plane.mapv_inplace(|value| (value - mean) / std);
        }
    }
    Ok(inputs)
}

/// Logits `[n, classes]` of a `.npy`, or of the array `logits` of an `.npz`.
///
/// # Errors
/// If the file has no such array.
pub fn logits(bytes: &[u8]) -> anyhow::Result<Array2<f32>> {
    Ok(array::<f32>(bytes, "logits")?.into_dimensionality()?)
}

fn array<T: ndarray_npy::ReadableElement>(bytes: &[u8], name: &str) -> anyhow::Result<ArrayD<T>> {
    if bytes.starts_with(b"PK") {
        let mut archive = NpzReader::new(Cursor::new(bytes))?;
        return Ok(archive.by_name::<ndarray::OwnedRepr<T>, IxDyn>(name)?);
    }
    Ok(ArrayD::read_npy(bytes)?)
}

/// Array `y` of an `.npz`.
///
/// # Errors
/// If the file has no such array.
pub fn labels(npz: &[u8]) -> anyhow::Result<Vec<u8>> {
    let labels: Array1<u8> = NpzReader::new(Cursor::new(npz))?.by_name("y")?;
    Ok(labels.to_vec())
}

/// One image as a flat vector.
pub fn flat(images: &ArrayD<f32>, index: usize) -> Vec<f32> {
    images.index_axis(Axis(0), index).iter().copied().collect()
}

/// Index of the largest value.
pub fn class(logits: &[f32]) -> usize {
    let largest = logits.iter().copied().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    largest.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray_npy::{NpzWriter, WriteNpyExt};

    #[test]
    fn pixels_are_normalised_by_channel_and_floats_taken_as_they_are() {
        let pixels = ArrayD::from_shape_vec(vec![1, 2, 1, 2], vec![0u8, 255, 51, 102]).unwrap();
        let mut npy = Vec::new();
        pixels.write_npy(&mut npy).unwrap();
        let values = |channels: &[Channel]| inputs(&npy, channels).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(values(&[]), [0.0, 1.0, 0.2, 0.4]);
        assert_eq!(values(&[(0.5, 0.5), (0.0, 0.1)]), [-1.0, 1.0, 2.0, 4.0]);
        assert!(inputs(&npy, &[(0.5, 0.5)]).is_err());

        let floats = pixels.mapv(f32::from);
        let mut npz = Cursor::new(Vec::new());
        let mut writer = NpzWriter::new(&mut npz);
        writer.add_array("x", &floats).unwrap();
        writer.add_array("logits", &floats.to_shape((1, 4)).unwrap()).unwrap();
        writer.finish().unwrap();
        assert_eq!(inputs(npz.get_ref(), &[]).unwrap(), floats);
        assert_eq!(logits(npz.get_ref()).unwrap().dim(), (1, 4));
        assert_eq!(inputs(npz.get_ref(), &[(0.5, 0.5), (0.0, 0.1)]).unwrap(), floats);
        assert!(inputs(b"no array", &[]).is_err() && logits(&npy).is_err());
    }
}
