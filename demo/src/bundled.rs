//! The networks and images of `models/`, compiled into the program.

use anyhow::Context;
use ndarray::{Array2, ArrayD};

use crate::images;

/// A bundled network.
pub struct Bundled {
    /// Name on the command line and on the server.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The file that PyTorch exported.
    pub onnx: &'static [u8],
    calibration: &'static [u8],
    images: &'static [u8],
    expected: &'static [u8],
}

const DIGITS: &[u8] = include_bytes!("../../models/digits.npz");
const DIGITS_CALIBRATION: &[u8] = include_bytes!("../../models/digits_calibration.npz");
const FASHION: &[u8] = include_bytes!("../../models/fashion.npz");
const FASHION_CALIBRATION: &[u8] = include_bytes!("../../models/fashion_calibration.npz");

/// All bundled networks.
pub const NETWORKS: &[Bundled] = &[
    Bundled {
        name: "m2",
        about: "MiniONN-MNIST, BatchNorm, quadratic activations, average pooling",
        onnx: include_bytes!("../../models/m2_minionn_quad.onnx"),
        calibration: DIGITS_CALIBRATION,
        images: DIGITS,
        expected: include_bytes!("../../models/expected/m2_minionn_quad.npy"),
    },
    Bundled {
        name: "m4",
        about: "CryptoNets-like, squares",
        onnx: include_bytes!("../../models/m4_cryptonets_square.onnx"),
        calibration: DIGITS_CALIBRATION,
        images: DIGITS,
        expected: include_bytes!("../../models/expected/m4_cryptonets_square.npy"),
    },
    Bundled {
        name: "f2",
        about: "the architecture of m2 trained on Fashion-MNIST",
        onnx: include_bytes!("../../models/f2_fashion_minionn_quad.onnx"),
        calibration: FASHION_CALIBRATION,
        images: FASHION,
        expected: include_bytes!("../../models/expected/f2_fashion_minionn_quad.npy"),
    },
];

/// The bundled network of a name.
///
/// # Errors
/// If there is none; the message lists the names.
pub fn find(name: &str) -> anyhow::Result<&'static Bundled> {
    let names = || NETWORKS.iter().map(|network| network.name).collect::<Vec<_>>().join(", ");
    NETWORKS
        .iter()
        .find(|network| network.name == name)
        .with_context(|| format!("no network {name}; bundled are {}", names()))
}

impl Bundled {
    /// Training images for calibration, in the network's domain.
    ///
    /// # Errors
    /// If the bundled file cannot be read.
    pub fn calibration(&self) -> anyhow::Result<ArrayD<f32>> {
        images::images(self.calibration)
    }

    /// Test images in the network's domain.
    ///
    /// # Errors
    /// If the bundled file cannot be read.
    pub fn images(&self) -> anyhow::Result<ArrayD<f32>> {
        images::images(self.images)
    }

    /// True classes of the test images.
    ///
    /// # Errors
    /// If the bundled file cannot be read.
    pub fn labels(&self) -> anyhow::Result<Vec<u8>> {
        images::labels(self.images)
    }

    /// Logits that onnxruntime gives for the test images.
    ///
    /// # Errors
    /// If the bundled file cannot be read.
    pub fn expected(&self) -> anyhow::Result<Array2<f32>> {
        use ndarray_npy::ReadNpyExt;
        Ok(Array2::read_npy(self.expected)?)
    }
}
