//! `tacit infer`.

use std::path::Path;

use ndarray::{Array1, ArrayD, Axis};
use ndarray_npy::write_npy;
use tacit_client::{Client, Inference, Model, OutputFunction, PhaseStatistics};

use crate::args::InferArguments;
use crate::data::{self, Batch};
use crate::report::Report;
use tacit_bench::terminal::Failure;
use tacit_bench::terminal::Progress;

/// Inputs that are prepared for together: bounds the sessions that both sides hold.
const CHUNK: usize = 32;

/// Classifies the inputs and reports.
pub(crate) async fn run(arguments: InferArguments) -> Result<(), Failure> {
    let client = Client::builder().engine(arguments.engine).connect(&arguments.server).await?;
    let model = client.model(&arguments.model).await?;
    let batch = tokio::task::block_in_place(|| data::load(&arguments.input, &arguments.pixels, &model))?;
    let (inferences, preprocessing) = infer(&model, &batch).await?;
    if let Some(path) = &arguments.output {
        write_outputs(path, &model, &inferences)?;
    }
    let report = Report::new(&batch.names, &model.plan().output.labels, &inferences, preprocessing);
    if arguments.json { report.print_json() } else { report.print_tables(&mut std::io::stdout().lock()) }
        .map_err(|error| Failure::new("cannot print", &error))
}

/// All answers in order, and what their preparation cost.
async fn infer(model: &Model, batch: &Batch) -> Result<(Vec<Inference>, PhaseStatistics), Failure> {
    // Each input is prepared for and inferred.
    let progress = Progress::new(2 * batch.names.len() as u64);
    let mut inferences = Vec::with_capacity(batch.names.len());
    let mut preprocessing = PhaseStatistics::default();
    for chunk in batch.inputs.axis_chunks_iter(Axis(0), CHUNK) {
        progress.phase("preparing");
        let bar = progress.clone();
        preprocessing += model.preprocess_with(chunk.len_of(Axis(0)) as u32, move || bar.step()).await?;
        progress.phase("inferring");
        for input in chunk.axis_iter(Axis(0)) {
            inferences.push(model.infer(&input.to_owned()).await?);
            progress.step();
        }
    }
    progress.finish();
    Ok((inferences, preprocessing))
}

/// Writes the outputs as plain inference gives them: `[n, outputs...]`, or classes `[n]`.
fn write_outputs(path: &Path, model: &Model, inferences: &[Inference]) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::new(path.display(), error);
    if model.plan().output.function == OutputFunction::ArgMax {
        let classes: Array1<i64> = inferences.iter().map(|inference| inference.class() as i64).collect();
        return write_npy(path, &classes).map_err(|error| failed(&error));
    }
    let mut shape = vec![inferences.len()];
    shape.extend(&model.plan().output.dimensions);
    let outputs = inferences.iter().flat_map(|inference| inference.outputs().into_iter()).collect();
    let array = ArrayD::<f32>::from_shape_vec(shape, outputs).map_err(|error| failed(&error))?;
    write_npy(path, &array).map_err(|error| failed(&error))
}
