//! The networks and images of `models/`, compiled into the program.

use anyhow::Context;
use ndarray::{Array2, ArrayD};

use crate::images::{self, Channel};

/// A bundled network.
pub struct Bundled {
    /// Name on the command line and on the server.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The file that PyTorch exported.
    pub onnx: &'static [u8],
    set: &'static Set,
    expected: &'static [u8],
}

/// Images that networks were trained for.
struct Set {
    calibration: &'static [u8],
    images: &'static [u8],
    /// What the images' pixels are normalised with.
    channels: &'static [Channel],
}

static DIGITS: Set = Set {
    calibration: include_bytes!("../../models/digits_calibration.npz"),
    images: include_bytes!("../../models/digits.npz"),
    channels: &[],
};
static FASHION: Set = Set {
    calibration: include_bytes!("../../models/fashion_calibration.npz"),
    images: include_bytes!("../../models/fashion.npz"),
    channels: &[],
};
/// The calibration images are normalised in the file, so that `model-server` can read them too.
static CIFAR: Set = Set {
    calibration: include_bytes!("../../models/cifar_calibration.npz"),
    images: include_bytes!("../../models/cifar.npz"),
    channels: &[(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)],
};

/// An entry of [`NETWORKS`]; the file's name without its extension names the expected logits too.
macro_rules! network {
    ($name:literal, $file:literal, $set:expr, $about:literal) => {
        Bundled {
            name: $name,
            about: $about,
            onnx: include_bytes!(concat!("../../models/", $file, ".onnx")),
            set: &$set,
            expected: include_bytes!(concat!("../../models/expected/", $file, ".npy")),
        }
    };
}

/// All bundled networks.
pub const NETWORKS: &[Bundled] = &[
    network!("m1", "m1_minionn_relu", DIGITS, "MiniONN-MNIST: ReLU, BatchNorm, average pooling"),
    network!("m2", "m2_minionn_quad", DIGITS, "MiniONN-MNIST with quadratic activations"),
    network!("m3", "m3_lenet5_maxpool", DIGITS, "LeNet-5 for MNIST: ReLU, max pooling"),
    network!("m4", "m4_cryptonets_square", DIGITS, "CryptoNets-like for MNIST: squares"),
    network!("m5", "m5_resnet8_cifar_relu", CIFAR, "ResNet-8 for CIFAR-10: ReLU, residual additions"),
    network!("f1", "f1_fashion_minionn_relu", FASHION, "the architecture of m1 trained on Fashion-MNIST"),
    network!("f2", "f2_fashion_minionn_quad", FASHION, "the architecture of m2 trained on Fashion-MNIST"),
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
        images::inputs(self.set.calibration, &[])
    }

    /// Test images in the network's domain.
    ///
    /// # Errors
    /// If the bundled file cannot be read.
    pub fn images(&self) -> anyhow::Result<ArrayD<f32>> {
        images::inputs(self.set.images, self.set.channels)
    }

    /// True classes of the test images.
    ///
    /// # Errors
    /// If the bundled file cannot be read.
    pub fn labels(&self) -> anyhow::Result<Vec<u8>> {
        images::labels(self.set.images)
    }

    /// Logits that onnxruntime gives for the test images.
    ///
    /// # Errors
    /// If the bundled file cannot be read.
    pub fn expected(&self) -> anyhow::Result<Array2<f32>> {
        images::logits(self.expected)
    }
}
