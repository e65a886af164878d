//! Compiles a network and compares its plain fixed-point evaluation with the logits of a reference runtime.
//!
//! `accuracy MODEL.onnx CALIBRATION.npz INPUTS.npz EXPECTED.npz`: inputs as for calibration (array `x`), expected with the
//! array `logits`, float32 `[samples, classes]`.

use std::error::Error;
use std::fs::File;
use std::time::Instant;

use ndarray::Array2;
use ndarray_npy::NpzReader;
use tacit_compiler::quantize::Calibration;
use tacit_compiler::{CompileOptions, compile, onnx};
use tacit_engine::fixed_point::Evaluator;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, calibration, inputs, expected] = arguments.as_slice() else {
        return Err("usage: accuracy MODEL.onnx CALIBRATION.npz INPUTS.npz EXPECTED.npz".into());
    };
    let graph = onnx::load_file(model)?;
    let calibration = Calibration::from_file(calibration)?;
    let start = Instant::now();
    let compiled = compile(graph, Some(&calibration), &CompileOptions::default())?;
    println!("{}\ncompiled in {:.2?}", compiled.report, start.elapsed());
    let inputs = Calibration::from_file(inputs)?;
    let expected: Array2<f32> = NpzReader::new(File::open(expected)?)?.by_name("logits")?;
    let (mut same, mut sum, mut most) = (0, 0.0f64, 0.0f32);
    let start = Instant::now();
    let evaluator = Evaluator::new(&compiled.plan, &compiled.parameters);
    for (sample, expected) in inputs.samples().iter().zip(expected.rows()) {
        let input = compiled.plan.encode_input(sample)?;
        let ring = evaluator.logits(&input);
        let logits = compiled.plan.decode_output(&ring);
        let class = |values: &mut dyn Iterator<Item = f32>| {
            values.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map(|best| best.0)
        };
        same += usize::from(class(&mut logits.iter().copied()) == class(&mut expected.iter().copied()));
        let differences = logits.iter().zip(expected).map(|(got, expected)| (got - expected).abs());
        most = differences.clone().fold(most, f32::max);
        sum += f64::from(differences.sum::<f32>()) / logits.len() as f64;
    }
    println!(
        "same class {same} of {}, logits off by {:.4} on average, {most:.4} at most; {:.2?} for each evaluation",
        inputs.len(),
        sum / inputs.len() as f64,
        start.elapsed() / inputs.len() as u32
    );
    Ok(())
}
