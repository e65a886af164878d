//! The steps of a plan.

use tacit_protocol::plan::{Axis, Step};

use super::ConvertError;
use super::check::{bits, known, length, out_of_range};
use super::linear::{extent, extent_to_wire, padding, padding_to_wire};
use crate::{limits, pb};

pub(super) fn step_from_wire(wire: pb::node::Step) -> Result<Step, ConvertError> {
    use pb::node::Step as Wire;
    let (field, step) = match wire {
        Wire::Input(pb::InputStep {}) => return Ok(Step::Input),
        Wire::Add(pb::AddStep {}) => return Ok(Step::Add),
        Wire::Subtract(pb::SubtractStep {}) => return Ok(Step::Subtract),
        Wire::Offset(pb::OffsetStep {}) => return Ok(Step::Offset),
        Wire::Concat(pb::ConcatStep {}) => return Ok(Step::Concat),
        Wire::Reshape(pb::ReshapeStep {}) => return Ok(Step::Reshape),
        Wire::Linear(linear) => ("linear", linear.try_into().map(Step::Linear)),
        Wire::Square(pb::SquareStep { drop }) => {
            ("square", bits("drop", drop, 0..=30).map(|drop| Step::Square { drop }))
        }
        Wire::Truncate(pb::TruncateStep { drop }) => {
            ("truncate", bits("drop", drop, 1..=30).map(|drop| Step::Truncate { drop }))
        }
        Wire::Relu(relu) => ("relu", relu_from_wire(relu)),
        Wire::Maximum(maximum) => ("maximum", maximum_from_wire(maximum)),
        Wire::SumPool(pool) => ("sum_pool", sum_pool(pool)),
        Wire::Multiply(multiply) => ("multiply", multiply_from_wire(multiply)),
        Wire::Slice(slice) => ("slice", slice_from_wire(slice)),
        Wire::ShiftLeft(pb::ShiftLeftStep { amount }) => {
            ("shift_left", bits("amount", amount, 1..=30).map(|amount| Step::ShiftLeft { amount }))
        }
        Wire::Output(pb::OutputStep { drop }) => {
            ("output", bits("drop", drop, 0..=30).map(|drop| Step::Output { drop }))
        }
        Wire::ClassIndex(pb::ClassStep { bits: revealed }) => {
            ("class", bits("bits", revealed, 1..=limits::CLASS_BITS).map(|bits| Step::Class { bits }))
        }
    };
    step.map_err(|error| error.within(field))
}

fn relu_from_wire(wire: pb::ReluStep) -> Result<Step, ConvertError> {
    Ok(Step::Relu { drop: bits("drop", wire.drop, 0..=29)?, digits: digits(wire.digits)? })
}

fn maximum_from_wire(wire: pb::MaximumStep) -> Result<Step, ConvertError> {
    Ok(Step::Maximum { ignored: bits("ignored", wire.ignored, 0..=29)?, digits: digits(wire.digits)? })
}

fn digits(widths: Vec<u32>) -> Result<Vec<u32>, ConvertError> {
    length("digits", widths.len(), 1..=limits::DIGITS)?;
    widths.into_iter().map(|width| bits("digits", width, 1..=limits::DIGIT_BITS)).collect()
}

fn multiply_from_wire(wire: pb::MultiplyStep) -> Result<Step, ConvertError> {
    let factors = |field: &str, values: Vec<u32>| {
        length(field, values.len(), 1..=limits::DIMENSION)?;
        values.into_iter().map(|value| bits(field, value, 1..=limits::EXTENT as u32)).collect::<Result<Vec<u32>, _>>()
    };
    Ok(Step::Multiply { rows: factors("rows", wire.rows)?, columns: factors("columns", wire.columns)? })
}

fn slice_from_wire(wire: pb::SliceStep) -> Result<Step, ConvertError> {
    let axis = match known::<pb::Axis>("axis", wire.axis)? {
        pb::Axis::Channels => Axis::Channels,
        pb::Axis::Rows => Axis::Rows,
        pb::Axis::Columns => Axis::Columns,
        pb::Axis::Unspecified => return Err(out_of_range("axis", 0, 1, 3)),
    };
    Ok(Step::Slice {
        axis,
        start: wire.start,
        step: bits("step", wire.step, 1..=limits::EXTENT as u32)?,
        spacing: bits("spacing", wire.spacing, 1..=limits::EXTENT as u32)?,
    })
}

fn sum_pool(wire: pb::SumPoolStep) -> Result<Step, ConvertError> {
    Ok(Step::SumPool {
        kernel: extent("kernel", wire.kernel)?,
        stride: extent("stride", wire.stride)?,
        padding: padding("padding", wire.padding)?,
    })
}

pub(super) fn step_to_wire(step: &Step) -> Result<pb::node::Step, ConvertError> {
    use pb::node::Step as Wire;
    Ok(match step {
        Step::Input => Wire::Input(pb::InputStep {}),
        Step::Add => Wire::Add(pb::AddStep {}),
        Step::Subtract => Wire::Subtract(pb::SubtractStep {}),
        Step::Offset => Wire::Offset(pb::OffsetStep {}),
        Step::Concat => Wire::Concat(pb::ConcatStep {}),
        Step::Reshape => Wire::Reshape(pb::ReshapeStep {}),
        Step::Linear(linear) => Wire::Linear((*linear).try_into()?),
        Step::Square { drop } => Wire::Square(pb::SquareStep { drop: *drop }),
        Step::Truncate { drop } => Wire::Truncate(pb::TruncateStep { drop: *drop }),
        Step::Relu { drop, digits } => Wire::Relu(pb::ReluStep { drop: *drop, digits: digits.clone() }),
        Step::Maximum { ignored, digits } => {
            Wire::Maximum(pb::MaximumStep { ignored: *ignored, digits: digits.clone() })
        }
        Step::SumPool { kernel, stride, padding } => Wire::SumPool(pb::SumPoolStep {
            kernel: extent_to_wire("kernel", *kernel)?,
            stride: extent_to_wire("stride", *stride)?,
            padding: padding_to_wire("padding", *padding)?,
        }),
        Step::Multiply { rows, columns } => {
            Wire::Multiply(pb::MultiplyStep { rows: rows.clone(), columns: columns.clone() })
        }
        Step::Slice { axis, start, step, spacing } => {
            let axis = match axis {
                Axis::Channels => pb::Axis::Channels,
                Axis::Rows => pb::Axis::Rows,
                Axis::Columns => pb::Axis::Columns,
            };
            Wire::Slice(pb::SliceStep { axis: axis.into(), start: *start, step: *step, spacing: *spacing })
        }
        Step::ShiftLeft { amount } => Wire::ShiftLeft(pb::ShiftLeftStep { amount: *amount }),
        Step::Output { drop } => Wire::Output(pb::OutputStep { drop: *drop }),
        Step::Class { bits } => Wire::ClassIndex(pb::ClassStep { bits: *bits }),
    })
}
