use std::io::Write as _;

use ::png::{BitDepth, ColorType, Encoder};
use ndarray_npy::{NpzWriter, WriteNpyExt};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn npy<T: ndarray_npy::WritableElement>(array: &ArrayD<T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    array.write_npy(&mut bytes).unwrap();
    bytes
}

fn png(size: [u32; 2], colours: ColorType, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size[0], size[1]);
    encoder.set_color(colours);
    encoder.set_depth(depth);
    encoder.set_palette(vec![0, 0, 0, 10, 20, 30]);
    encoder.write_header().unwrap().write_image_data(samples).unwrap();
    bytes
}

/// Writes files, and reads them as one batch.
fn batch(
    files: &[(&str, Vec<u8>)],
    dimensions: &[usize],
    range: [f32; 2],
    pixels: &PixelArguments,
) -> Result<Batch, DataError> {
    let directory = TempDir::new().unwrap();
    let mut collector = Collector::new(dimensions, range, pixels);
    for (name, bytes) in files {
        let path: PathBuf = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        collector.add(&path)?;
    }
    collector.finish()
}

const UNIT: [f32; 2] = [0.0, 1.0];

#[test]
fn float_arrays_are_taken_as_they_are() {
    let one = ArrayD::from_shape_fn(vec![1, 2, 2], |at| (at[1] * 2 + at[2]) as f32 / 4.0);
    let two = ArrayD::from_elem(vec![2, 1, 2, 2], 0.5f32);
    let files = [("a.npy", npy(&one)), ("b.NPY", npy(&two))];
    let batch = batch(&files, &[1, 2, 2], UNIT, &PixelArguments::default()).unwrap();
    assert_eq!(batch.inputs.shape(), [3, 1, 2, 2]);
    assert_eq!(batch.names, ["a.npy", "b.NPY[0]", "b.NPY[1]"]);
    assert_eq!(batch.inputs.iter().copied().take(5).collect::<Vec<_>>(), [0.0, 0.25, 0.5, 0.75, 0.5]);
}

#[test]
fn column_order_is_understood() {
    let array = ArrayD::from_shape_vec(vec![2, 3], vec![1u8, 2, 3, 4, 5, 6]).unwrap();
    let turned = array.clone().reversed_axes();
    assert!(npy(&turned).windows(4).any(|word| word == b"True"));
    assert_eq!(npy::decode(&npy(&turned)).unwrap(), Elements::Pixels(turned));
}

#[test]
fn pixels_are_scaled_per_channel() {
    let pixels = ArrayD::from_shape_vec(vec![1, 2, 1, 2], vec![0u8, 255, 51, 102]).unwrap();
    let files = [("x.npy", npy(&pixels))];
    let values = |arguments: &PixelArguments| {
        let batch = batch(&files, &[2, 1, 2], [-1000.0, 1000.0], arguments).unwrap();
        batch.inputs.iter().copied().collect::<Vec<f32>>()
    };
    assert_eq!(values(&PixelArguments::default()), [0.0, 1.0, 0.2, 0.4]);
    let arguments = PixelArguments { scale: Some(51.0), mean: vec![1.0], std: vec![2.0, 0.5] };
    assert_eq!(values(&arguments), [-0.5, 2.0, 0.0, 2.0]);
    let arguments = PixelArguments { mean: vec![0.0; 3], ..Default::default() };
    let error = batch(&files, &[2, 1, 2], UNIT, &arguments).err().unwrap();
    assert_eq!(error.to_string(), "3 numbers for --mean, the network's input has 2 channels");
}

#[test]
fn pixel_options_do_not_fit_floats() {
    let files = [("x.npy", npy(&ArrayD::<f32>::zeros(vec![1, 1, 1])))];
    let arguments = PixelArguments { scale: Some(255.0), ..Default::default() };
    assert!(matches!(batch(&files, &[1, 1, 1], UNIT, &arguments), Err(DataError::NotPixels)));
}

#[test]
fn archives_hold_x() {
    let array = ArrayD::from_elem(vec![2, 1, 2, 2], 255u8);
    for compressed in [false, true] {
        let mut bytes = io::Cursor::new(Vec::new());
        let method = if compressed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        let mut writer = zip::ZipWriter::new(&mut bytes);
        for name in ["y.npy", "x.npy"] {
            writer.start_file(name, options).unwrap();
            let elements = if name == "x.npy" { npy(&array) } else { b"other".to_vec() };
            writer.write_all(&elements).unwrap();
        }
        writer.finish().unwrap();
        let files = [("set.npz", bytes.into_inner())];
        let batch = batch(&files, &[1, 2, 2], UNIT, &PixelArguments::default()).unwrap();
        assert_eq!(batch.inputs, ArrayD::from_elem(vec![2, 1, 2, 2], 1.0f32));
    }
    let mut writer = NpzWriter::new(io::Cursor::new(Vec::new()));
    writer.add_array("z", &array).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert!(matches!(npz::decode(&bytes), Err(DataError::Npz(_))));
    assert!(matches!(npz::decode(b"PK nothing"), Err(DataError::Npz(_))));
}

#[test]
fn images_become_planes() {
    let decoded = |image: &[u8], dimensions: &[usize]| {
        let planes = png::decode(image, dimensions).unwrap();
        assert_eq!(planes.shape(), dimensions);
        planes.iter().copied().collect::<Vec<_>>()
    };
    let grey = png([3, 2], ColorType::Grayscale, BitDepth::Eight, &[0, 10, 20, 30, 40, 50]);
    assert_eq!(decoded(&grey, &[1, 2, 3]), [0, 10, 20, 30, 40, 50]);
    assert_eq!(decoded(&grey, &[2, 3]), [0, 10, 20, 30, 40, 50]);
    assert_eq!(decoded(&grey, &[3, 2, 3]), [0, 10, 20, 30, 40, 50].repeat(3));

    let colour = png([2, 1], ColorType::Rgb, BitDepth::Eight, &[0, 100, 200, 1, 100, 200]);
    assert_eq!(decoded(&colour, &[3, 1, 2]), [0, 1, 100, 100, 200, 200]);
    assert_eq!(decoded(&colour, &[1, 1, 2]), [85, 86]);
    let transparent = png([1, 1], ColorType::Rgba, BitDepth::Eight, &[1, 2, 3, 4]);
    assert_eq!(decoded(&transparent, &[3, 1, 1]), [1, 2, 3]);
    let grey_and_transparent = png([1, 1], ColorType::GrayscaleAlpha, BitDepth::Eight, &[7, 4]);
    assert_eq!(decoded(&grey_and_transparent, &[3, 1, 1]), [7, 7, 7]);
}

#[test]
fn images_of_any_depth_become_bytes() {
    let decoded =
        |image: &[u8], dimensions: &[usize]| png::decode(image, dimensions).unwrap().into_raw_vec_and_offset().0;
    let bits = png([8, 1], ColorType::Grayscale, BitDepth::One, &[0b1010_0001]);
    assert_eq!(decoded(&bits, &[1, 8]), [255, 0, 255, 0, 0, 0, 0, 255]);
    let palette = png([2, 1], ColorType::Indexed, BitDepth::Four, &[0x10]);
    assert_eq!(png::decode(&palette, &[3, 1, 2]).unwrap().iter().copied().collect::<Vec<_>>(), [10, 0, 20, 0, 30, 0]);
    let deep = png([3, 1], ColorType::Grayscale, BitDepth::Sixteen, &[0xff, 0xff, 0x00, 0x80, 0x00, 0x81]);
    assert_eq!(decoded(&deep, &[1, 3]), [255, 0, 1]);
}

#[test]
fn images_must_fit() {
    let image = png([28, 27], ColorType::Grayscale, BitDepth::Eight, &[0; 28 * 27]);
    let error = png::decode(&image, &[1, 28, 28]).unwrap_err();
    assert_eq!(error.to_string(), "an image of [27, 28] rows and columns, the network takes [28, 28]");
    assert!(matches!(png::decode(&image, &[2, 27, 28]), Err(DataError::NoImage(_))));
    assert!(matches!(png::decode(&image, &[756]), Err(DataError::NoImage(_))));
    assert!(matches!(png::decode(&image[..50], &[1, 27, 28]), Err(DataError::Png(_))));
}

#[test]
fn values_outside_the_range_are_refused() {
    for value in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
        let array = ArrayD::from_shape_vec(vec![2, 1, 1, 2], vec![0.0, 1.0, 0.5, value]).unwrap();
        let error = batch(&[("x.npy", npy(&array))], &[1, 1, 2], UNIT, &PixelArguments::default()).err().unwrap();
        assert_eq!(error.to_string(), "input 1: element 1 is not a number from 0 to 1");
    }
}

#[test]
fn other_files_are_refused() {
    let refused = |name: &str, bytes: Vec<u8>| {
        batch(&[(name, bytes)], &[1, 2, 2], UNIT, &PixelArguments::default()).err().unwrap()
    };
    assert!(matches!(refused("x.jpg", vec![]), DataError::Format));
    assert!(matches!(refused("x", vec![]), DataError::Format));
    assert!(matches!(refused("x.npy", vec![]), DataError::Npy(_)));
    let shape = refused("x.npy", npy(&ArrayD::<f32>::zeros(vec![2, 2])));
    assert_eq!(shape.to_string(), "an array of shape [2, 2], the network takes [1, 2, 2] or a batch [n, ...] of that");
    let doubles = refused("x.npy", npy(&ArrayD::<f64>::zeros(vec![1, 2, 2])));
    assert_eq!(doubles.to_string(), "elements of type '<f8', expected float32 or uint8");
    assert!(matches!(read(Path::new("missing.npy"), &[1]), Err(DataError::Io(_))));
}

/// A header and no data.
fn header(text: &str) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

#[test]
fn headers_that_promise_too_much_are_refused() {
    for (kind, shape) in [
        ("<f4", "(1000000000000,)"),
        ("|u1", "(1000000000000,)"),
        ("<f4", "(4294967296, 4294967296, 4294967296)"),
        ("<f4", "(0, 18446744073709551615, 18446744073709551615)"),
        (">f4", "(1000000000000,)"),
    ] {
        let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        assert!(npy::decode(&header(&text)).is_err(), "{kind} {shape}");
    }
    let deep = format!("{}{}\n", "(".repeat(30_000), ")".repeat(30_000));
    assert!(matches!(npy::decode(&header(&deep)), Err(DataError::Npy(_))));
    assert!(npy::decode(&header("{'descr': '<f4'}\n")).is_err());
    assert!(npy::decode(b"\x93NUMPY\x09\x00\x00\x00").is_err());
    assert!(npy::decode(b"\x93NUMPY\x01\x00\xff\xff{").is_err());
}

proptest! {
    #[test]
    fn damaged_files_never_panic(position in 0usize..4096, value: u8, cut in 0usize..4096) {
        let array = npy(&ArrayD::<f32>::zeros(vec![1, 2, 2]));
        let mut writer = NpzWriter::new(io::Cursor::new(Vec::new()));
        writer.add_array("x", &ArrayD::<u8>::zeros(vec![1, 2, 2])).unwrap();
        let archive = writer.finish().unwrap().into_inner();
        let picture = png([2, 2], ColorType::Grayscale, BitDepth::Eight, &[0; 4]);
        for mut bytes in [array, archive, picture] {
            let length = bytes.len();
            bytes[position % length] = value;
            bytes.truncate(length - (cut % length) * usize::from(cut % 3 == 0));
            let _ = (npy::decode(&bytes), npz::decode(&bytes), png::decode(&bytes, &[1, 2, 2]));
        }
    }
}
