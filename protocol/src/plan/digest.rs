//! Canonical encoding of a plan and its SHA-256 digest.
//!
//! Numbers are 64-bit little-endian (signed ones in two's complement, floats by their IEEE 754 bits), strings and
//! lists are preceded by their length, each step by a tag. The encoding starts with [`VERSION`].

use sha2::{Digest, Sha256};

use super::extension::ExtensionKind;
use super::graph::{OutputFunction, Plan, Step};
use super::linear::LinearStep;
use super::parameters::ParameterSet;
use super::shape::{Axis, Padding, Shape};

/// First bytes of the encoding: changes whenever the meaning of a plan changes.
const VERSION: &[u8] = b"tacit plan v3";

/// SHA-256 of the canonical encoding of a plan. Client and server compare it before any work is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanDigest(pub [u8; 32]);

impl std::fmt::Display for PlanDigest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for PlanDigest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PlanDigest({self})")
    }
}

impl Plan {
    /// SHA-256 of the canonical encoding.
    pub fn digest(&self) -> PlanDigest {
        let mut encoder = Encoder(Sha256::new());
        encoder.0.update(VERSION);
        encoder.text(&self.input.name);
        encoder.numbers(&self.input.dimensions);
        encoder.number(u64::from(self.input.low.to_bits()));
        encoder.number(u64::from(self.input.high.to_bits()));
        encoder.text(&self.output.name);
        encoder.numbers(&self.output.dimensions);
        encoder.size(self.output.labels.len());
        self.output.labels.iter().for_each(|label| encoder.text(label));
        encoder.number(match self.output.function {
            OutputFunction::Identity => 0,
            OutputFunction::Softmax => 1,
            OutputFunction::LogSoftmax => 2,
            OutputFunction::Sigmoid => 3,
            OutputFunction::ArgMax => 4,
        });
        encoder.size(self.nodes.len());
        for node in &self.nodes {
            encoder.step(&node.step);
            encoder.numbers(&node.inputs);
            encoder.shape(node.shape);
            encoder.number(i64::from(node.fraction_bits) as u64);
            encoder.number(u64::from(node.bits));
        }
        match self.transfers {
            ExtensionKind::SoftSpoken(height) => {
                encoder.number(0);
                encoder.number(u64::from(height.get()));
            }
            ExtensionKind::Silent => encoder.number(1),
        }
        PlanDigest(encoder.0.finalize().into())
    }
}

struct Encoder(Sha256);

impl Encoder {
    fn number(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    fn size(&mut self, value: usize) {
        self.number(value as u64);
    }

    fn numbers(&mut self, values: &[usize]) {
        self.size(values.len());
        values.iter().for_each(|value| self.size(*value));
    }

    fn factors(&mut self, values: &[u32]) {
        self.size(values.len());
        values.iter().for_each(|value| self.number(u64::from(*value)));
    }

    fn text(&mut self, text: &str) {
        self.size(text.len());
        self.0.update(text.as_bytes());
    }

    fn shape(&mut self, shape: Shape) {
        [shape.channels, shape.height, shape.width].into_iter().for_each(|size| self.size(size));
    }

    fn padding(&mut self, padding: Padding) {
        let Padding { top, left, bottom, right } = padding;
        [top, left, bottom, right].into_iter().for_each(|size| self.size(size));
    }

    fn pair(&mut self, pair: [usize; 2]) {
        pair.into_iter().for_each(|size| self.size(size));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Input => self.number(0),
            Step::Linear(linear) => {
                self.number(1);
                self.linear(linear);
            }
            Step::Square { drop } => {
                self.number(2);
                self.number(u64::from(*drop));
            }
            Step::Truncate { drop } => {
                self.number(3);
                self.number(u64::from(*drop));
            }
            Step::SumPool { kernel, stride, padding } => {
                self.number(4);
                self.pair(*kernel);
                self.pair(*stride);
                self.padding(*padding);
            }
            Step::Add => self.number(5),
            Step::ShiftLeft { amount } => {
                self.number(6);
                self.number(u64::from(*amount));
            }
            Step::Reshape => self.number(7),
            Step::Output { drop } => {
                self.number(8);
                self.number(u64::from(*drop));
            }
            Step::Relu { drop, digits } => {
                self.number(9);
                self.number(u64::from(*drop));
                self.factors(digits);
            }
            Step::Maximum { ignored, digits } => {
                self.number(10);
                self.number(u64::from(*ignored));
                self.factors(digits);
            }
            Step::Subtract => self.number(11),
            Step::Offset => self.number(12),
            Step::Multiply { rows, columns } => {
                self.number(13);
                self.factors(rows);
                self.factors(columns);
            }
            Step::Concat => self.number(14),
            Step::Slice { axis, start, step, spacing } => {
                self.number(15);
                self.number(match axis {
                    Axis::Channels => 0,
                    Axis::Rows => 1,
                    Axis::Columns => 2,
                });
                self.number(i64::from(*start) as u64);
                self.number(u64::from(*step));
                self.number(u64::from(*spacing));
            }
            Step::Class { bits } => {
                self.number(16);
                self.number(u64::from(*bits));
            }
        }
    }

    fn linear(&mut self, linear: &LinearStep) {
        let LinearStep { shape, packing } = linear;
        self.shape(shape.input);
        self.shape(shape.output);
        self.size(shape.groups);
        self.pair(shape.kernel);
        self.pair(shape.stride);
        self.padding(shape.padding);
        self.pair(shape.dilation);
        self.number(match packing.parameters {
            ParameterSet::N4096 => 4096,
            ParameterSet::N2048 => 2048,
        });
        self.size(packing.group_tile);
        self.size(packing.channel_tile);
        self.size(packing.output_tile);
        self.pair(packing.window);
        self.number(u64::from(packing.upload_bits));
        self.number(u64::from(packing.response_mask_bits));
        self.number(u64::from(packing.response_body_bits));
    }
}
