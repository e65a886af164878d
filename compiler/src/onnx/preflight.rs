//! A walk over the wire format before it is decoded.
//!
//! An empty message takes two bytes in a file and hundreds in memory, so that decoding a hostile file could
//! take a hundred times its size. The walk counts what would be allocated and refuses too much of it.

use super::error::OnnxError;

/// Strings and messages in one file. A network of 10,000 nodes has about 200,000.
const MAX_DELIMITED_FIELDS: usize = 500_000;

/// Bytes of packed integers, each of which may become eight bytes.
const MAX_PACKED_INTEGER_BYTES: usize = 1 << 25;

/// The messages of the schema in which repeated fields occur.
#[derive(Clone, Copy)]
enum Level {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    TensorShape,
    Leaf,
}

impl Level {
    /// The message that a length-delimited field holds.
    fn child(self, field: u64) -> Self {
        match (self, field) {
            (Self::Model, 7) => Self::Graph,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::TensorShape,
            _ => Self::Leaf,
        }
    }

    /// Whether a length-delimited field holds packed integers.
    fn is_packed_integers(self, field: u64) -> bool {
        matches!((self, field), (Self::Tensor, 1 | 5 | 7) | (Self::Attribute, 8))
    }
}

/// What the walk has counted.
#[derive(Default)]
struct Counters {
    delimited_fields: usize,
    packed_integer_bytes: usize,
}

/// Checks that decoding `bytes` as a model allocates a bounded amount of memory.
pub(super) fn check(bytes: &[u8]) -> Result<(), OnnxError> {
    walk(bytes, Level::Model, &mut Counters::default())
}

fn walk(mut message: &[u8], level: Level, counters: &mut Counters) -> Result<(), OnnxError> {
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                take_varint(&mut message)?;
            }
            1 => {
                take(&mut message, 8)?;
            }
            5 => {
                take(&mut message, 4)?;
            }
            2 => {
                let field = key >> 3;
                let length = take_varint(&mut message)?;
                let content = take(&mut message, length)?;
                counters.delimited_fields += 1;
                if level.is_packed_integers(field) {
                    counters.packed_integer_bytes += content.len();
                }
                if counters.delimited_fields > MAX_DELIMITED_FIELDS
                    || counters.packed_integer_bytes > MAX_PACKED_INTEGER_BYTES
                {
                    return Err(OnnxError::Malformed("too many fields".to_owned()));
                }
                match level.child(field) {
                    Level::Leaf => {}
                    child => walk(content, child, counters)?,
                }
            }
            wire_type => {
                return Err(OnnxError::Malformed(format!("wire type {wire_type} is not supported")));
            }
        }
    }
    Ok(())
}

fn take<'a>(message: &mut &'a [u8], length: u64) -> Result<&'a [u8], OnnxError> {
    let parts = usize::try_from(length).ok().and_then(|length| message.split_at_checked(length));
    let (content, rest) = parts.ok_or_else(truncated)?;
    *message = rest;
    Ok(content)
}

fn take_varint(message: &mut &[u8]) -> Result<u64, OnnxError> {
    let mut value = 0_u64;
    for (index, &byte) in message.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *message = &message[index + 1..];
            return Ok(value);
        }
    }
    Err(truncated())
}

fn truncated() -> OnnxError {
    OnnxError::Malformed("the file ends in the middle of a field".to_owned())
}
