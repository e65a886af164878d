//! `model-server inspect`: what a network compiles to.

use std::fmt::{self, Display};
use std::io::{self, Write};

use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use tacit_compiler::{Comparison, CompileReport};
use tacit_engine::prepared::transforms_bytes;
use tacit_protocol::plan::{Axis, LinearStep, Node, OutputFunction, Plan, Step};
use tacit_protocol::session::{PhasePrediction, predict};

use crate::config::InspectArguments;
use crate::load::{self, LoadError};

/// Everything that is shown, also as JSON.
#[derive(Serialize)]
struct Inspection<'a> {
    digest: String,
    input: Input<'a>,
    output: Output<'a>,
    steps: Vec<StepLine>,
    report: &'a CompileReport,
    /// What transforms of all weights take if `serve` holds them.
    transforms_bytes: usize,
    prediction: Prediction,
    #[serde(skip_serializing_if = "Option::is_none")]
    independent: Option<Comparison>,
}

#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    dimensions: &'a [usize],
    low: f32,
    high: f32,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    dimensions: &'a [usize],
    labels: &'a [String],
    /// What the client applies to the logits.
    function: &'static str,
}

#[derive(Serialize)]
struct StepLine {
    step: &'static str,
    inputs: Vec<usize>,
    shape: [usize; 3],
    fraction_bits: i32,
    bits: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    details: String,
}

#[derive(Serialize)]
struct Prediction {
    /// Keys and base transfers, once for each `Preprocess` call.
    setup: Phase,
    /// Each session.
    preprocessing: Phase,
    /// Each inference.
    online: Phase,
}

/// Bytes and round trips as the client sees them.
#[derive(Serialize)]
struct Phase {
    bytes_sent: u64,
    bytes_received: u64,
    round_trips: u32,
    transfers: u64,
}

/// Some independent samples do not fit what calibration found.
#[derive(Debug, thiserror::Error)]
#[error(
    "{overflowing} of {samples} independent samples leave the bits of the plan, so that their answers may be wrong: \
     calibrate with more varied inputs, or raise --headroom"
)]
struct Overflow {
    overflowing: usize,
    samples: usize,
}

/// Compiles the network and prints what came of it; fails if an independent sample leaves the plan's bits.
pub(crate) fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    arguments.check()?;
    let graph = load::graph(&arguments.model)?;
    let calibration = arguments.calibration.as_deref();
    let calibration = calibration.map(|file| load::samples("--calibration", file)).transpose()?;
    let mut compiled =
        load::compile_graph(&arguments.model, graph.clone(), calibration.as_ref(), &arguments.options())?;
    if let Some(error) = &compiled.too_little_headroom {
        compiled.report.warnings.push(format!("`serve` refuses this: {error}"));
    }
    let mut inspection = Inspection::new(&compiled.plan, &compiled.report);
    if let (Some(file), Some(calibration)) = (&arguments.independent, &calibration) {
        let samples = load::samples("--independent", file)?;
        let comparison = tacit_compiler::compare(&graph, &compiled, calibration, &samples);
        inspection.independent = Some(comparison.map_err(LoadError::new("--independent", file))?);
    }
    let mut output = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut output, &inspection)?;
        writeln!(output)?;
    } else {
        write!(output, "{inspection}")?;
    }
    output.flush()?;
    match inspection.independent {
        Some(Comparison { overflowing, samples, .. }) if overflowing > 0 => {
            Err(Overflow { overflowing, samples }.into())
        }
        _ => Ok(()),
    }
}

impl<'a> Inspection<'a> {
    fn new(plan: &'a Plan, report: &'a CompileReport) -> Self {
        let prediction = predict(plan);
        Self {
            digest: plan.digest().to_string(),
            input: Input {
                name: &plan.input.name,
                dimensions: &plan.input.dimensions,
                low: plan.input.low,
                high: plan.input.high,
            },
            output: Output {
                name: &plan.output.name,
                dimensions: &plan.output.dimensions,
                labels: &plan.output.labels,
                function: function(plan.output.function),
            },
            steps: plan.nodes.iter().map(StepLine::new).collect(),
            report,
            transforms_bytes: transforms_bytes(plan),
            prediction: Prediction {
                setup: (&prediction.setup).into(),
                preprocessing: (&prediction.preprocessing).into(),
                online: (&prediction.online).into(),
            },
            independent: None,
        }
    }
}

impl StepLine {
    fn new(node: &Node) -> Self {
        let (step, details) = match &node.step {
            Step::Input => ("input", String::new()),
            Step::Linear(linear) => ("linear", linear_details(linear)),
            Step::Square { drop } => ("square", format!("drop {drop}")),
            Step::Truncate { drop } => ("truncate", format!("drop {drop}")),
            Step::SumPool { kernel: [height, width], stride: [down, right], .. } => {
                ("sum-pool", format!("{height}x{width} every {down}x{right}"))
            }
            Step::Relu { drop, digits } => ("relu", format!("drop {drop}, {}", compared(digits))),
            Step::Maximum { ignored, digits } => ("maximum", format!("ignore {ignored}, {}", compared(digits))),
            Step::Add => ("add", String::new()),
            Step::Subtract => ("subtract", String::new()),
            Step::Offset => ("offset", String::new()),
            Step::Multiply { .. } => ("multiply", "by row and column".to_string()),
            Step::Concat => ("concat", String::new()),
            Step::Slice { axis, start, step, .. } => {
                let axis = match axis {
                    Axis::Channels => "channels",
                    Axis::Rows => "rows",
                    Axis::Columns => "columns",
                };
                ("slice", format!("{axis} from {start} every {step}"))
            }
            Step::ShiftLeft { amount } => ("shift-left", format!("by {amount}")),
            Step::Reshape => ("reshape", String::new()),
            Step::Output { drop } => ("output", format!("drop {drop}")),
            Step::Class { bits } => ("class", format!("{bits} bits")),
        };
        let shape = node.shape;
        Self {
            step,
            inputs: node.inputs.clone(),
            shape: [shape.channels, shape.height, shape.width],
            fraction_bits: node.fraction_bits,
            bits: node.bits,
            details,
        }
    }
}

/// The name of a function at the end.
fn function(function: OutputFunction) -> &'static str {
    match function {
        OutputFunction::Identity => "identity",
        OutputFunction::Softmax => "softmax",
        OutputFunction::LogSoftmax => "log-softmax",
        OutputFunction::Sigmoid => "sigmoid",
        OutputFunction::ArgMax => "arg-max",
    }
}

/// The bits that are compared, by digit.
fn compared(digits: &[u32]) -> String {
    let widths = digits.iter().map(u32::to_string).collect::<Vec<_>>().join("+");
    format!("compare {widths} bits")
}

/// The geometry; the report says how the layer is packed.
fn linear_details(linear: &LinearStep) -> String {
    let [height, width] = linear.shape.kernel;
    let [down, right] = linear.shape.stride;
    let mut details = format!("{height}x{width} every {down}x{right}");
    if linear.shape.groups > 1 {
        details += &format!(", {} groups", linear.shape.groups);
    }
    details
}

impl From<&PhasePrediction> for Phase {
    fn from(phase: &PhasePrediction) -> Self {
        Self {
            bytes_sent: phase.bytes_sent,
            bytes_received: phase.bytes_received,
            round_trips: phase.round_trips,
            transfers: phase.transfers,
        }
    }
}

/// A table without lines; columns are aligned to the right unless they are among `left`. No cell holds text of the network.
fn table(headings: &[&str], left: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings.to_vec());
    for (column, heading) in table.column_iter_mut().zip(headings) {
        let alignment = if left.contains(heading) { CellAlignment::Left } else { CellAlignment::Right };
        column.set_padding((0, 1)).set_cell_alignment(alignment);
    }
    table
}

impl Display for Inspection<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "plan {}", self.digest)?;
        let Input { name, dimensions, low, high } = &self.input;
        writeln!(formatter, "input   {name:?} {dimensions:?}, values {low} to {high}")?;
        let Output { name, dimensions, function, .. } = &self.output;
        writeln!(formatter, "output  {name:?} {dimensions:?}, then {function}")?;
        let headings = ["#", "step", "takes", "shape", "2^-f", "bits", "details"];
        let mut steps = table(&headings, &["step", "takes", "shape", "details"]);
        for (index, step) in self.steps.iter().enumerate() {
            let [channels, height, width] = step.shape;
            let shape = format!("{channels}x{height}x{width}");
            let takes = step.inputs.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            let (fraction_bits, bits) = (step.fraction_bits.to_string(), step.bits.to_string());
            let name = step.step.to_string();
            steps.add_row([index.to_string(), name, takes, shape, fraction_bits, bits, step.details.clone()]);
        }
        writeln!(formatter, "\n{}", steps.trim_fmt())?;
        writeln!(formatter, "\n{}", self.report.to_string().trim_end())?;
        let size = ByteSize(self.transforms_bytes as u64).display().si();
        writeln!(formatter, "\ntransformed weights: {size} where `serve --weight-memory` allows")?;
        let headings = ["expected traffic", "client sends", "client receives", "round trips", "transfers"];
        let mut traffic = table(&headings, &headings[..1]);
        let phases = [
            ("set-up, once", &self.prediction.setup),
            ("preprocessing, each", &self.prediction.preprocessing),
            ("online, each", &self.prediction.online),
        ];
        for (name, phase) in phases {
            let [sent, received] = [phase.bytes_sent, phase.bytes_received].map(|bytes| bytes.to_string());
            traffic.add_row([name, &sent, &received, &phase.round_trips.to_string(), &phase.transfers.to_string()]);
        }
        writeln!(formatter, "\n{}", traffic.trim_fmt())?;
        self.independent.as_ref().map_or(Ok(()), |comparison| write!(formatter, "\n{comparison}"))
    }
}
