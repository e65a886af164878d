//! The gRPC schema of private inference (`tacit.v1`), its stubs, and the one place where wire types
//! become domain types.
//!
//! [`pb`] is generated from `tacit/v1/*.proto`. [`convert`] turns it into the types of
//! `tacit_protocol` and back; every length, shape and range is checked there, so that nothing behind
//! it needs to look at a wire type. [`reason`] maps typed failures to gRPC status codes, and
//! [`limits`] holds the bounds that the schema documents. [`times`] takes the times that the schema can report.

pub mod convert;
pub mod limits;
pub mod reason;
pub mod times;

pub use convert::{ConvertError, Problem};
pub use reason::Reason;
pub use times::{StepTimes, Stopwatch};

/// Generated messages of the package `tacit.v1`, with the client's stub under the feature `client` and the service trait
/// under the feature `server`, so that neither side compiles the other's dependencies.
#[allow(missing_docs, unused_qualifications, clippy::all)]
pub mod pb {
    tonic::include_proto!("tacit.v1");
}

/// The encoded `FileDescriptorSet` of the schema, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tacit.v1.bin"));
