//! Input files: read, checked against the network's input, and joined to one batch.

mod npy;
mod npz;
mod pixels;
mod png;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis};
use tacit_client::Model;

use crate::args::PixelArguments;
use pixels::Normalisation;
use tacit_bench::terminal::Failure;

/// Largest input file, and largest array in an archive, in bytes.
const FILE_BYTES: u64 = 1 << 30;

/// Largest batch, in elements of all inputs together.
const BATCH_ELEMENTS: usize = 1 << 28;

/// Elements as a file holds them.
#[derive(Debug, PartialEq)]
enum Elements {
    /// In the network's own domain.
    Numbers(ArrayD<f32>),
    /// To be scaled.
    Pixels(ArrayD<u8>),
}

/// The inputs of all files.
pub(crate) struct Batch {
    /// Shape `[n, dimensions...]`.
    pub(crate) inputs: ArrayD<f32>,
    /// Where each input comes from.
    pub(crate) names: Vec<String>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum DataError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("larger than 1 GiB")]
    TooLarge,
    #[error("more than {BATCH_ELEMENTS} elements in all")]
    TooManyElements,
    #[error("neither .npy, .npz nor .png")]
    Format,
    #[error("not a .npy array: {0}")]
    Npy(String),
    #[error("elements of type {0}, expected float32 or uint8")]
    ElementType(String),
    #[error("not a .npz archive with an array x: {0}")]
    Npz(#[from] zip::result::ZipError),
    #[error("not a usable .png image: {0}")]
    Png(#[from] ::png::DecodingError),
    #[error("an image of {got:?} rows and columns, the network takes {expected:?}")]
    ImageSize { expected: [usize; 2], got: [usize; 2] },
    #[error("an image, but the network takes inputs of shape {0:?}")]
    NoImage(Vec<usize>),
    #[error("an array of shape {got:?}, the network takes {expected:?} or a batch [n, ...] of that")]
    Shape { expected: Vec<usize>, got: Vec<usize> },
    #[error("float32 is taken as it is: --scale, --mean and --std are for uint8 arrays and images")]
    NotPixels,
    #[error("{given} numbers for {option}, the network's input has {channels} channels")]
    Channels { option: &'static str, given: usize, channels: usize },
    #[error("input {input}: element {index} is not a number from {low} to {high}")]
    Range { input: usize, index: usize, low: f32, high: f32 },
}

/// Reads all input files of a command line.
pub(crate) fn load(files: &[PathBuf], pixels: &PixelArguments, model: &Model) -> Result<Batch, Failure> {
    let input = &model.plan().input;
    let mut batch = Collector::new(&input.dimensions, [input.low, input.high], pixels);
    for path in files {
        batch.add(path).map_err(|error| Failure::new(path.display(), &error))?;
    }
    batch.finish().map_err(|error| Failure::new("the input", &error))
}

/// Joins files.
struct Collector<'a> {
    dimensions: &'a [usize],
    range: [f32; 2],
    pixels: &'a PixelArguments,
    elements: Vec<f32>,
    names: Vec<String>,
}

impl<'a> Collector<'a> {
    fn new(dimensions: &'a [usize], range: [f32; 2], pixels: &'a PixelArguments) -> Self {
        Self { dimensions, range, pixels, elements: Vec::new(), names: Vec::new() }
    }

    /// Appends one file's inputs.
    fn add(&mut self, path: &Path) -> Result<(), DataError> {
        let array = match read(path, self.dimensions)? {
            Elements::Numbers(_) if self.pixels.is_given() => return Err(DataError::NotPixels),
            Elements::Numbers(array) => self.batch(array)?,
            Elements::Pixels(array) => {
                Normalisation::new(self.pixels, self.dimensions)?.apply(&self.batch(array)?, self.dimensions)
            }
        };
        let count = array.len_of(Axis(0));
        for (input, values) in array.axis_iter(Axis(0)).enumerate() {
            let [low, high] = self.range;
            if let Some(index) = values.iter().position(|value| !(low..=high).contains(value)) {
                return Err(DataError::Range { input, index, low, high });
            }
        }
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        self.names.extend((0..count).map(|index| match count {
            1 => file.to_string(),
            _ => format!("{file}[{index}]"),
        }));
        self.elements.extend(array.iter());
        Ok(())
    }

    /// Gives an array the shape `[n, dimensions...]`.
    fn batch<T>(&self, array: ArrayD<T>) -> Result<ArrayD<T>, DataError> {
        let array = if array.shape() == self.dimensions { array.insert_axis(Axis(0)) } else { array };
        if array.ndim() != self.dimensions.len() + 1 || array.shape()[1..] != *self.dimensions {
            return Err(DataError::Shape { expected: self.dimensions.to_vec(), got: array.shape().to_vec() });
        }
        if self.elements.len() + array.len() > BATCH_ELEMENTS {
            return Err(DataError::TooManyElements);
        }
        Ok(array)
    }

    fn finish(self) -> Result<Batch, DataError> {
        let mut shape = vec![self.names.len()];
        shape.extend(self.dimensions);
        let inputs = ArrayD::from_shape_vec(shape, self.elements);
        let inputs = inputs.map_err(|_| DataError::Shape { expected: self.dimensions.to_vec(), got: Vec::new() })?;
        Ok(Batch { inputs, names: self.names })
    }
}

/// Reads a file by its extension.
fn read(path: &Path, dimensions: &[usize]) -> Result<Elements, DataError> {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("npy") => npy::decode(&contents(path)?),
        Some("npz") => npz::decode(&contents(path)?),
        Some("png") => png::decode(&contents(path)?, dimensions).map(Elements::Pixels),
        _ => Err(DataError::Format),
    }
}

/// A whole file, if it is not too large.
fn contents(path: &Path) -> Result<Vec<u8>, DataError> {
    let file = File::open(path)?;
    if file.metadata()?.len() > FILE_BYTES {
        return Err(DataError::TooLarge);
    }
    bounded(file)
}

/// Reads to the end, but not beyond the limit, whatever a header or the file system said.
fn bounded(reader: impl io::Read) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    reader.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES { Err(DataError::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;
