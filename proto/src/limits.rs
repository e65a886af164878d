//! Bounds that the schema documents. Both sides hold to them, and the conversions enforce them.

use tacit_protocol::{plan, session::Message};

/// Longest message, in bytes of its protobuf encoding: what `max_decoding_message_size` is set to.
pub const MESSAGE_BYTES: usize = 1 << 20;

/// Most bytes of the protobuf encoding of a piece beyond its data: tags, lengths, session, node and offset.
pub const PIECE_OVERHEAD_BYTES: usize = 64;

// A full piece fits into a message.
const _: () = assert!(Message::MAX_DATA + PIECE_OVERHEAD_BYTES <= MESSAGE_BYTES);

/// Bytes that gRPC puts before each message: a compression flag and the length.
pub const FRAME_BYTES: usize = 5;

/// Longest name or label, in bytes of UTF-8.
pub const NAME_BYTES: usize = 256;

/// Most dimensions of an input or output tensor.
pub const TENSOR_RANK: usize = 8;

/// Largest dimension of a shape, in elements.
pub const DIMENSION: usize = plan::MAX_ELEMENTS;

/// Most elements of one value.
pub const ELEMENTS: usize = plan::MAX_ELEMENTS;

/// Largest kernel, stride, dilation, window or padding, in elements.
pub const EXTENT: usize = 1 << 12;

/// Most nodes of a plan.
pub const NODES: usize = plan::MAX_NODES;

/// Most inputs of a node.
pub const NODE_INPUTS: usize = plan::MAX_INPUTS;

/// Most digits of a comparison.
pub const DIGITS: usize = plan::MAX_DIGITS;

/// Most bits of a digit of a comparison.
pub const DIGIT_BITS: u32 = plan::MAX_DIGIT_BITS;

/// Most bits of a revealed class.
pub const CLASS_BITS: u32 = plan::MAX_CLASS_BITS;

/// Most labels of a model.
pub const LABELS: usize = 1 << 16;

/// Largest absolute value of `fraction_bits`.
pub const FRACTION_BITS: i32 = 64;

/// Longest message of the base OTs, in bytes.
pub const BASE_TRANSFER_BYTES: usize = 65536;

/// Longest request of a silent set-up, in bytes.
pub const SILENT_REQUEST_BYTES: usize = 131_072;

/// Most models in one listing.
pub const MODELS: usize = 1024;

/// Most round trips of a step.
pub const ROUNDS: u32 = 8;

/// Largest offset of a piece, exclusive, in bytes.
pub const OFFSET: u64 = 1 << 40;

/// Longest lifetime of a session, in seconds.
pub const LIFETIME_SECONDS: u64 = u32::MAX as u64;

/// Largest count of bytes or transfers in a prediction, exclusive.
pub const TRAFFIC: u64 = 1 << 48;

/// Largest time that is reported, exclusive, in nanoseconds: some hundred days.
pub const TIME_NANOSECONDS: u64 = 1 << 53;
