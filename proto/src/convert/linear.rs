//! Shapes, extents, packing and linear steps.

use tacit_protocol::plan::ParameterSet;
use tacit_protocol::plan::{LinearShape, LinearStep, Packing, Padding, Shape};

use super::check::{bits, bounded, elements, narrow, required};
use super::{ConvertError, Problem};
use crate::{limits, pb};

impl TryFrom<pb::Shape> for Shape {
    type Error = ConvertError;

    fn try_from(wire: pb::Shape) -> Result<Self, ConvertError> {
        let shape = Self {
            channels: bounded("channels", wire.channels, 1..=limits::DIMENSION)?,
            height: bounded("height", wire.height, 1..=limits::DIMENSION)?,
            width: bounded("width", wire.width, 1..=limits::DIMENSION)?,
        };
        elements("channels", &[shape.channels, shape.height, shape.width])?;
        Ok(shape)
    }
}

impl TryFrom<Shape> for pb::Shape {
    type Error = ConvertError;

    fn try_from(shape: Shape) -> Result<Self, ConvertError> {
        Ok(Self {
            channels: narrow("channels", shape.channels)?,
            height: narrow("height", shape.height)?,
            width: narrow("width", shape.width)?,
        })
    }
}

/// A required shape under its field name.
pub(super) fn shape(field: &str, wire: Option<pb::Shape>) -> Result<Shape, ConvertError> {
    required(field, wire)?.try_into().map_err(|error: ConvertError| error.within(field))
}

/// A shape for the wire under its field name.
pub(super) fn shape_to_wire(field: &str, shape: Shape) -> Result<Option<pb::Shape>, ConvertError> {
    shape.try_into().map(Some).map_err(|error: ConvertError| error.within(field))
}

/// A required pair of counts under its field name, rows first.
pub(super) fn extent(field: &str, wire: Option<pb::Extent>) -> Result<[usize; 2], ConvertError> {
    let wire = required(field, wire)?;
    let side = |name, value| bounded(name, value, 1..=limits::EXTENT).map_err(|error| error.within(field));
    Ok([side("height", wire.height)?, side("width", wire.width)?])
}

/// A pair of counts for the wire under its field name.
pub(super) fn extent_to_wire(field: &str, extent: [usize; 2]) -> Result<Option<pb::Extent>, ConvertError> {
    Ok(Some(pb::Extent { height: narrow(field, extent[0])?, width: narrow(field, extent[1])? }))
}

/// Padding under its field name; absent means none.
pub(super) fn padding(field: &str, wire: Option<pb::Padding>) -> Result<Padding, ConvertError> {
    let wire = wire.unwrap_or_default();
    let side = |name, value| bounded(name, value, 0..=limits::EXTENT).map_err(|error| error.within(field));
    Ok(Padding {
        top: side("top", wire.top)?,
        left: side("left", wire.left)?,
        bottom: side("bottom", wire.bottom)?,
        right: side("right", wire.right)?,
    })
}

/// Padding for the wire under its field name; none is left out.
pub(super) fn padding_to_wire(field: &str, padding: Padding) -> Result<Option<pb::Padding>, ConvertError> {
    if padding == Padding::default() {
        return Ok(None);
    }
    Ok(Some(pb::Padding {
        top: narrow(field, padding.top)?,
        left: narrow(field, padding.left)?,
        bottom: narrow(field, padding.bottom)?,
        right: narrow(field, padding.right)?,
    }))
}

/// A known parameter set under its field name.
pub(super) fn parameter_set(field: &str, wire: i32) -> Result<ParameterSet, ConvertError> {
    match pb::ParameterSet::try_from(wire) {
        Ok(pb::ParameterSet::N4096) => Ok(ParameterSet::N4096),
        Ok(pb::ParameterSet::N2048) => Ok(ParameterSet::N2048),
        Ok(pb::ParameterSet::Unspecified) | Err(_) => {
            Err(ConvertError::new(field, Problem::UnknownValue { value: wire }))
        }
    }
}

/// A parameter set for the wire.
pub(super) fn parameter_set_to_wire(parameters: ParameterSet) -> i32 {
    let wire = match parameters {
        ParameterSet::N4096 => pb::ParameterSet::N4096,
        ParameterSet::N2048 => pb::ParameterSet::N2048,
    };
    wire.into()
}

impl TryFrom<pb::Packing> for Packing {
    type Error = ConvertError;

    fn try_from(wire: pb::Packing) -> Result<Self, ConvertError> {
        let parameters = parameter_set("parameters", wire.parameters)?;
        let limit = parameters.dimension();
        let window = required("window", wire.window)?;
        let side = |name, value| bounded(name, value, 1..=limit).map_err(|error: ConvertError| error.within("window"));
        Ok(Self {
            parameters,
            group_tile: bounded("group_tile", wire.group_tile, 1..=limits::DIMENSION)?,
            channel_tile: bounded("channel_tile", wire.channel_tile, 1..=limit)?,
            output_tile: bounded("output_tile", wire.output_tile, 1..=limit)?,
            window: [side("height", window.height)?, side("width", window.width)?],
            upload_bits: bits("upload_bits", wire.upload_bits, 1..=64)?,
            response_mask_bits: bits("response_mask_bits", wire.response_mask_bits, 1..=64)?,
            response_body_bits: bits("response_body_bits", wire.response_body_bits, 1..=64)?,
        })
    }
}

impl TryFrom<Packing> for pb::Packing {
    type Error = ConvertError;

    fn try_from(packing: Packing) -> Result<Self, ConvertError> {
        Ok(Self {
            parameters: parameter_set_to_wire(packing.parameters),
            group_tile: narrow("group_tile", packing.group_tile)?,
            channel_tile: narrow("channel_tile", packing.channel_tile)?,
            output_tile: narrow("output_tile", packing.output_tile)?,
            window: extent_to_wire("window", packing.window)?,
            upload_bits: packing.upload_bits,
            response_mask_bits: packing.response_mask_bits,
            response_body_bits: packing.response_body_bits,
        })
    }
}

impl TryFrom<pb::LinearStep> for LinearStep {
    type Error = ConvertError;

    fn try_from(wire: pb::LinearStep) -> Result<Self, ConvertError> {
        Ok(Self {
            shape: LinearShape {
                input: shape("input", wire.input)?,
                output: shape("output", wire.output)?,
                groups: bounded("groups", wire.groups, 1..=limits::DIMENSION)?,
                kernel: extent("kernel", wire.kernel)?,
                stride: extent("stride", wire.stride)?,
                padding: padding("padding", wire.padding)?,
                dilation: extent("dilation", wire.dilation)?,
            },
            packing: required("packing", wire.packing)?
                .try_into()
                .map_err(|error: ConvertError| error.within("packing"))?,
        })
    }
}

impl TryFrom<LinearStep> for pb::LinearStep {
    type Error = ConvertError;

    fn try_from(linear: LinearStep) -> Result<Self, ConvertError> {
        let LinearStep { shape, packing } = linear;
        Ok(Self {
            input: shape_to_wire("input", shape.input)?,
            output: shape_to_wire("output", shape.output)?,
            groups: narrow("groups", shape.groups)?,
            kernel: extent_to_wire("kernel", shape.kernel)?,
            stride: extent_to_wire("stride", shape.stride)?,
            padding: padding_to_wire("padding", shape.padding)?,
            dilation: extent_to_wire("dilation", shape.dilation)?,
            packing: Some(packing.try_into()?),
        })
    }
}
