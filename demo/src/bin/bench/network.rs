//! What is measured: a bundled network or one from files.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, bail};
use ndarray::{Array2, ArrayD, ArrayView1, Axis};
use tacit_demo::images::{self, Channel};
use tacit_demo::{bundled, local_server};
use tacit_engine::{Answer, CompileOptions, CompiledModel};

use crate::Arguments;

/// Inputs of noise that a network without calibration inputs is calibrated with.
const NOISE_INPUTS: usize = 64;

/// A network with inputs for it.
pub(crate) struct Network {
    onnx: Cow<'static, [u8]>,
    calibration: ArrayD<f32>,
    /// Inputs to infer, in turn.
    inputs: ArrayD<f32>,
    /// Logits of the inputs in plain inference, where they are known.
    expected: Option<Array2<f32>>,
}

impl Network {
    /// Reads what the command line names.
    pub(crate) fn load(arguments: &Arguments) -> anyhow::Result<Self> {
        let Some(inputs) = &arguments.inputs else {
            if arguments.model.ends_with(".onnx") {
                bail!("--inputs is needed for a network from a file");
            }
            let network = bundled::find(&arguments.model)?;
            let (inputs, expected) = (network.images()?, Some(network.expected()?));
            return Ok(Self { onnx: network.onnx.into(), calibration: network.calibration()?, inputs, expected });
        };
        let channels = arguments.pixels.channels()?;
        let inputs = read_inputs(inputs, &channels)?;
        let calibration = match &arguments.calibration {
            Some(file) => read_inputs(file, &channels)?,
            None => noise(&inputs.shape()[1..]),
        };
        let expected = arguments.expected.as_deref();
        let expected = expected.map(|file| images::logits(&read(file)?).with_context(|| file.display().to_string()));
        let expected = expected.transpose()?;
        if expected.as_ref().is_some_and(|expected| expected.nrows() < inputs.len_of(Axis(0))) {
            bail!("there are fewer expected logits than inputs");
        }
        Ok(Self { onnx: read(Path::new(&arguments.model))?.into(), calibration, inputs, expected })
    }

    /// Compiles it as the command line asks.
    pub(crate) fn compile(&self, arguments: &Arguments) -> anyhow::Result<CompiledModel> {
        let answer = if arguments.class_only { Answer::Class } else { Answer::Logits };
        let comparison_round_trips = arguments.comparison_round_trips;
        let options = CompileOptions { answer, comparison_round_trips, ..CompileOptions::default() };
        local_server::compile_with(&self.onnx, &self.calibration, &options)
    }

    /// Input number `index`, from the start again after the last.
    pub(crate) fn input(&self, index: usize) -> ArrayD<f32> {
        self.inputs.index_axis(Axis(0), index % self.inputs.len_of(Axis(0))).to_owned()
    }

    /// The plain logits of that input.
    pub(crate) fn expected(&self, index: usize) -> Option<ArrayView1<'_, f32>> {
        self.expected.as_ref().map(|expected| expected.row(index % self.inputs.len_of(Axis(0))))
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_inputs(path: &Path, channels: &[Channel]) -> anyhow::Result<ArrayD<f32>> {
    let inputs = images::inputs(&read(path)?, channels).with_context(|| path.display().to_string())?;
    if inputs.ndim() < 2 || inputs.is_empty() {
        bail!("{}: an array of shape {:?} instead of [n, ...]", path.display(), inputs.shape());
    }
    Ok(inputs)
}

/// The same uniform noise from 0 to 1 on every machine and in both processes.
fn noise(dimensions: &[usize]) -> ArrayD<f32> {
    let mut state = 1u32;
    let shape: Vec<usize> = std::iter::once(NOISE_INPUTS).chain(dimensions.iter().copied()).collect();
    ArrayD::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    })
}
