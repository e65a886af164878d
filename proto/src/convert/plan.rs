//! The plan, its nodes, and its digest.

use tacit_protocol::plan::{ExtensionKind, TreeHeight};
use tacit_protocol::plan::{InputSpec, Node, OutputFunction, OutputSpec, Plan, PlanDigest};

use super::check::{array, bits, dimensions, finite, known, length, narrow, narrow_all, out_of_range, required};
use super::linear::{shape, shape_to_wire};
use super::step::{step_from_wire, step_to_wire};
use super::{ConvertError, Problem};
use crate::{limits, pb};

impl TryFrom<pb::InputSpec> for InputSpec {
    type Error = ConvertError;

    fn try_from(wire: pb::InputSpec) -> Result<Self, ConvertError> {
        length("name", wire.name.len(), 0..=limits::NAME_BYTES)?;
        let low = finite("low", wire.low)?;
        let high = finite("high", wire.high)?;
        if high <= low {
            return Err(ConvertError::new("high", Problem::EmptyRange));
        }
        let dimensions = dimensions("dimensions", &wire.dimensions)?;
        Ok(Self { name: wire.name, dimensions, low, high })
    }
}

impl TryFrom<&InputSpec> for pb::InputSpec {
    type Error = ConvertError;

    fn try_from(input: &InputSpec) -> Result<Self, ConvertError> {
        Ok(Self {
            name: input.name.clone(),
            dimensions: narrow_all("dimensions", &input.dimensions)?,
            low: input.low,
            high: input.high,
        })
    }
}

impl TryFrom<pb::OutputSpec> for OutputSpec {
    type Error = ConvertError;

    fn try_from(wire: pb::OutputSpec) -> Result<Self, ConvertError> {
        length("name", wire.name.len(), 0..=limits::NAME_BYTES)?;
        length("labels", wire.labels.len(), 0..=limits::LABELS)?;
        for label in &wire.labels {
            length("labels", label.len(), 0..=limits::NAME_BYTES)?;
        }
        let dimensions = dimensions("dimensions", &wire.dimensions)?;
        let function = match known::<pb::OutputFunction>("function", wire.function)? {
            pb::OutputFunction::Identity => OutputFunction::Identity,
            pb::OutputFunction::Softmax => OutputFunction::Softmax,
            pb::OutputFunction::LogSoftmax => OutputFunction::LogSoftmax,
            pb::OutputFunction::Sigmoid => OutputFunction::Sigmoid,
            pb::OutputFunction::ArgMax => OutputFunction::ArgMax,
        };
        Ok(Self { name: wire.name, dimensions, labels: wire.labels, function })
    }
}

impl TryFrom<&OutputSpec> for pb::OutputSpec {
    type Error = ConvertError;

    fn try_from(output: &OutputSpec) -> Result<Self, ConvertError> {
        Ok(Self {
            name: output.name.clone(),
            dimensions: narrow_all("dimensions", &output.dimensions)?,
            labels: output.labels.clone(),
            function: match output.function {
                OutputFunction::Identity => pb::OutputFunction::Identity,
                OutputFunction::Softmax => pb::OutputFunction::Softmax,
                OutputFunction::LogSoftmax => pb::OutputFunction::LogSoftmax,
                OutputFunction::Sigmoid => pb::OutputFunction::Sigmoid,
                OutputFunction::ArgMax => pb::OutputFunction::ArgMax,
            }
            .into(),
        })
    }
}

/// A node; `index` is its own, which all its inputs must precede.
fn node_from_wire(index: usize, wire: pb::Node) -> Result<Node, ConvertError> {
    let step = step_from_wire(required("step", wire.step)?)?;
    length("inputs", wire.inputs.len(), 0..=limits::NODE_INPUTS)?;
    let mut inputs = Vec::with_capacity(wire.inputs.len());
    for input in wire.inputs {
        match usize::try_from(input) {
            Ok(input) if input < index => inputs.push(input),
            _ => return Err(out_of_range("inputs", input, 0, index as i128 - 1)),
        }
    }
    let fraction_range = -limits::FRACTION_BITS..=limits::FRACTION_BITS;
    if !fraction_range.contains(&wire.fraction_bits) {
        let (low, high) = fraction_range.into_inner();
        return Err(out_of_range("fraction_bits", wire.fraction_bits, low.into(), high.into()));
    }
    Ok(Node {
        step,
        inputs,
        shape: shape("shape", wire.shape)?,
        fraction_bits: wire.fraction_bits,
        bits: bits("bits", wire.bits, 1..=31)?,
    })
}

fn node_to_wire(node: &Node) -> Result<pb::Node, ConvertError> {
    Ok(pb::Node {
        step: Some(step_to_wire(&node.step)?),
        inputs: node.inputs.iter().map(|input| narrow("inputs", *input)).collect::<Result<_, _>>()?,
        shape: shape_to_wire("shape", node.shape)?,
        fraction_bits: node.fraction_bits,
        bits: node.bits,
    })
}

fn transfers_from_wire(wire: pb::Transfers) -> Result<ExtensionKind, ConvertError> {
    Ok(match required("kind", wire.kind)? {
        pb::transfers::Kind::SoftSpoken(pb::SoftSpoken { height }) => {
            let known = u8::try_from(height).ok().and_then(TreeHeight::new);
            let maximum = TreeHeight::MAX.get().into();
            ExtensionKind::SoftSpoken(known.ok_or_else(|| out_of_range("soft_spoken.height", height, 1, maximum))?)
        }
        pb::transfers::Kind::Silent(pb::Silent {}) => ExtensionKind::Silent,
    })
}

fn transfers_to_wire(transfers: ExtensionKind) -> pb::Transfers {
    let kind = match transfers {
        ExtensionKind::SoftSpoken(height) => {
            pb::transfers::Kind::SoftSpoken(pb::SoftSpoken { height: height.get().into() })
        }
        ExtensionKind::Silent => pb::transfers::Kind::Silent(pb::Silent {}),
    };
    pb::Transfers { kind: Some(kind) }
}

impl TryFrom<pb::Plan> for Plan {
    type Error = ConvertError;

    fn try_from(wire: pb::Plan) -> Result<Self, ConvertError> {
        let input = required("input", wire.input)?.try_into().map_err(|error: ConvertError| error.within("input"))?;
        let output =
            required("output", wire.output)?.try_into().map_err(|error: ConvertError| error.within("output"))?;
        length("nodes", wire.nodes.len(), 2..=limits::NODES)?;
        let nodes = wire
            .nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| {
                node_from_wire(index, node).map_err(|error| error.within(format_args!("nodes[{index}]")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let transfers =
            transfers_from_wire(required("transfers", wire.transfers)?).map_err(|error| error.within("transfers"))?;
        let plan = Self { input, nodes, output, transfers };
        plan.validate().map_err(|error| ConvertError::new("plan", error.into()))?;
        Ok(plan)
    }
}

impl TryFrom<&Plan> for pb::Plan {
    type Error = ConvertError;

    fn try_from(plan: &Plan) -> Result<Self, ConvertError> {
        let nodes = plan
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| node_to_wire(node).map_err(|error| error.within(format_args!("nodes[{index}]"))))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            input: Some((&plan.input).try_into()?),
            nodes,
            output: Some((&plan.output).try_into()?),
            transfers: Some(transfers_to_wire(plan.transfers)),
        })
    }
}

/// A digest under its field name: exactly 32 bytes.
pub fn digest(field: &str, bytes: &[u8]) -> Result<PlanDigest, ConvertError> {
    array(field, bytes).map(PlanDigest)
}
