//! Calibration samples: real inputs from which ranges and scales are taken.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use ndarray::{ArrayD, Axis};
use ndarray_npy::{NpzReader, ReadNpyExt};

/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Inputs of a network, from its training set and in its input domain.
#[derive(Clone, PartialEq)]
pub struct Calibration {
    samples: Vec<Vec<f32>>,
}

/// Why calibration samples cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("the calibration file cannot be read")]
    Io(#[from] std::io::Error),
    /// The file is not what is expected.
    #[error("the calibration file must be .npy, or .npz with an array `x`, of float32 or uint8: {0}")]
    Format(String),
    /// The file is too large.
    #[error("the calibration file has {0} bytes, at most {MAX_BYTES} are read")]
    Size(u64),
    /// There are no samples, or they are not alike.
    #[error("calibration needs at least one sample, all with the same number of elements")]
    Shape,
    /// A sample holds a value that is not finite.
    #[error("calibration sample {sample} holds a value that is not a finite number")]
    NotFinite {
        /// Index of the sample.
        sample: usize,
    },
}

impl Calibration {
    /// Samples in memory, row-major, in the network's input domain.
    ///
    /// # Errors
    /// If there are none, they differ in length, or a value is not finite.
    pub fn from_samples(samples: Vec<Vec<f32>>) -> Result<Self, CalibrationError> {
        let length = samples.first().map_or(0, Vec::len);
        if length == 0 || samples.iter().any(|sample| sample.len() != length) {
            return Err(CalibrationError::Shape);
        }
        match samples.iter().position(|sample| sample.iter().any(|value| !value.is_finite())) {
            Some(sample) => Err(CalibrationError::NotFinite { sample }),
            None => Ok(Self { samples }),
        }
    }

    /// Reads `.npy`, or the array `x` of an `.npz`: `[samples, ...]`, float32 in the network's input domain, or uint8,
    /// which is divided by 255.
    ///
    /// # Errors
    /// If the file cannot be read, is too large, or does not hold such an array.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, CalibrationError> {
        let mut file = File::open(path.as_ref())?;
        let size = file.metadata()?.len();
        if size > MAX_BYTES {
            return Err(CalibrationError::Size(size));
        }
        let mut magic = [0; 2];
        file.read_exact(&mut magic)?;
        file.rewind()?;
        let array = if &magic == b"PK" { read_npz(&file)? } else { read_npy(&file)? };
        if array.ndim() == 0 {
            return Err(CalibrationError::Shape);
        }
        Self::from_samples(array.axis_iter(Axis(0)).map(|sample| sample.iter().copied().collect()).collect())
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Never: there is at least one sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Elements of each sample.
    pub fn elements(&self) -> usize {
        self.samples.first().map_or(0, Vec::len)
    }

    /// The samples.
    pub fn samples(&self) -> &[Vec<f32>] {
        &self.samples
    }

    /// Smallest and largest value of all samples.
    pub fn range(&self) -> (f32, f32) {
        let values = self.samples.iter().flatten();
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
    }
}

impl std::fmt::Debug for Calibration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Calibration({} samples of {} elements)", self.len(), self.elements())
    }
}

fn format_error(error: impl std::fmt::Display) -> CalibrationError {
    CalibrationError::Format(error.to_string())
}

fn read_npy(mut file: &File) -> Result<ArrayD<f32>, CalibrationError> {
    if let Ok(array) = ArrayD::<f32>::read_npy(file) {
        return Ok(array);
    }
    file.rewind()?;
    ArrayD::<u8>::read_npy(file).map(from_bytes).map_err(format_error)
}

fn read_npz(file: &File) -> Result<ArrayD<f32>, CalibrationError> {
    let mut archive = NpzReader::new(file).map_err(format_error)?;
    let names = archive.names().map_err(format_error)?;
    let name = ["x", "x.npy"].into_iter().find(|name| names.iter().any(|found| found == name));
    let name = name.ok_or_else(|| format_error(format!("it holds {names:?}")))?;
    if let Ok(array) = archive.by_name::<_, ndarray::IxDyn>(name) {
        return Ok(array);
    }
    archive.by_name::<ndarray::OwnedRepr<u8>, _>(name).map(from_bytes).map_err(format_error)
}

fn from_bytes(array: ArrayD<u8>) -> ArrayD<f32> {
    array.mapv(|value| f32::from(value) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray_npy::WriteNpyExt;

    #[test]
    fn files_of_floats_and_bytes_are_read() {
        let directory = std::env::temp_dir().join(format!("tacit-calibration-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("x.npy");
        let floats = ArrayD::from_shape_vec(vec![2, 1, 3], vec![0.0f32, 0.5, 1.0, -1.0, 2.0, 3.0]).unwrap();
        floats.write_npy(File::create(&path).unwrap()).unwrap();
        let calibration = Calibration::from_file(&path).unwrap();
        assert_eq!((calibration.len(), calibration.elements(), calibration.range()), (2, 3, (-1.0, 3.0)));
        let bytes = ArrayD::from_shape_vec(vec![1, 2], vec![0u8, 255]).unwrap();
        bytes.write_npy(File::create(&path).unwrap()).unwrap();
        assert_eq!(Calibration::from_file(&path).unwrap().samples(), [[0.0, 1.0]]);
        let archive = directory.join("x.npz");
        let mut writer = ndarray_npy::NpzWriter::new(File::create(&archive).unwrap());
        writer.add_array("y", &bytes).unwrap();
        writer.finish().unwrap();
        assert!(matches!(Calibration::from_file(&archive), Err(CalibrationError::Format(_))));
        let mut writer = ndarray_npy::NpzWriter::new(File::create(&archive).unwrap());
        writer.add_array("x", &bytes).unwrap();
        writer.finish().unwrap();
        assert_eq!(Calibration::from_file(&archive).unwrap().samples(), [[0.0, 1.0]]);
        std::fs::write(&path, b"no numbers in here").unwrap();
        assert!(matches!(Calibration::from_file(&path), Err(CalibrationError::Format(_))));
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(matches!(Calibration::from_file(&path), Err(CalibrationError::Io(_))));
    }

    #[test]
    fn samples_are_checked() {
        assert!(matches!(Calibration::from_samples(vec![]), Err(CalibrationError::Shape)));
        assert!(matches!(Calibration::from_samples(vec![vec![1.0], vec![]]), Err(CalibrationError::Shape)));
        let error = Calibration::from_samples(vec![vec![1.0], vec![f32::NAN]]);
        assert!(matches!(error, Err(CalibrationError::NotFinite { sample: 1 })));
    }
}
