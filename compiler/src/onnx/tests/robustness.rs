//! Damaged and hostile files give an error or a valid graph, without a panic and without large allocations.

use std::path::Path;

use proptest::prelude::*;

use super::{Model, float_tensor, int, ints, tensor};
use crate::onnx::schema::{AttributeProto, NodeProto};
use crate::onnx::{OnnxError, load};

/// A small file with every kind of message in it, of about 1 kB.
fn small_file() -> Vec<u8> {
    Model::new(&[-1, 1, 4, 4])
        .floats("w", &[2, 1, 2, 2], &super::ramp(8))
        .floats("gain", &[2], &[1.0, 2.0])
        .integers("shape", &[2], &[-1, 8])
        .floats("m", &[8, 3], &super::ramp(24))
        .node("conv", "Conv x w", vec![ints("pads", &[1, 1, 0, 0]), ints("strides", &[2, 2])])
        .node("bn", "BatchNormalization conv gain gain gain gain", vec![])
        .node("two", "Constant", vec![tensor("value", float_tensor("", &[], &[2.0]))])
        .node("square", "Pow bn two", vec![])
        .node("flat", "Reshape square shape", vec![])
        .node("y", "Gemm flat m", vec![int("transB", 0)])
        .bytes()
}

/// A small file with the operators of other networks: transposed layouts, channels, maxima, a function at the end.
fn file_with_channels_last() -> Vec<u8> {
    Model::new(&[-1, 3, 3, 2])
        .floats("w", &[4, 2, 2, 2], &super::ramp(32))
        .floats("six", &[], &[6.0])
        .floats("zero", &[], &[0.0])
        .integers("sizes", &[2], &[1, 3])
        .integers("axes", &[2], &[1, 2])
        .integers("one", &[1], &[1])
        .integers("far", &[1], &[4])
        .integers("last", &[1], &[-1])
        .integers("pads", &[8], &[0, 0, 0, 0, 0, 1, 0, 0])
        .floats("m", &[5, 2], &super::ramp(10))
        .node("first", "Transpose x", vec![ints("perm", &[0, 3, 1, 2])])
        .node("conv", "Conv first w", vec![])
        .node("clip", "Clip conv zero six", vec![])
        .node("pool", "MaxPool clip", vec![ints("kernel_shape", &[2, 1]), ints("pads", &[1, 0, 0, 0])])
        .node("back", "Transpose pool", vec![ints("perm", &[0, 2, 3, 1])])
        .node("a", "Split back sizes", vec![int("axis", 3)])
        .outputs(&["a", "b"])
        .node("slice", "Slice b one far last", vec![])
        .node("swish", "HardSwish slice", vec![])
        .node("join", "Concat swish a a", vec![int("axis", -1)])
        .node("again", "Transpose join", vec![ints("perm", &[0, 3, 1, 2])])
        .node("pad", "Pad again pads", vec![])
        .node("last4", "Transpose pad", vec![ints("perm", &[0, 2, 3, 1])])
        .node("mean", "ReduceMean last4 axes", vec![int("keepdims", 0)])
        .node("p", "MatMul mean m", vec![])
        .node("y", "Softmax p", vec![])
        .bytes()
}

/// Loads bytes; a graph that comes out is valid.
fn load_anything(bytes: &[u8]) -> Result<(), OnnxError> {
    load(bytes).map(|graph| graph.validate().unwrap())
}

#[test]
fn every_truncation_of_a_small_file() {
    for bytes in [small_file(), file_with_channels_last()] {
        load_anything(&bytes).unwrap();
        for length in 0..bytes.len() {
            let _ = load_anything(&bytes[..length]);
        }
    }
}

#[test]
fn every_bit_flip_of_a_small_file() {
    for mut bytes in [small_file(), file_with_channels_last()] {
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = load_anything(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_networks(position: prop::sample::Index, value: u8, cut: Option<prop::sample::Index>) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/m2_minionn_quad.onnx");
        let mut bytes = std::fs::read(path).unwrap();
        let position = position.index(bytes.len());
        bytes[position] = value;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = load_anything(&bytes);
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(load_anything(&bytes).is_err());
    }

    #[test]
    fn random_replacements(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for mut bytes in [small_file(), file_with_channels_last()] {
            for (position, value) in &changes {
                let position = position.index(bytes.len());
                bytes[position] = *value;
            }
            let _ = load_anything(&bytes);
        }
    }
}

#[test]
fn truncated_files_say_so() {
    let bytes = small_file();
    let error = load(&bytes[..bytes.len() / 2]).unwrap_err();
    assert_eq!(error.to_string(), "not a valid ONNX file: the file ends in the middle of a field");
}

#[test]
fn many_empty_messages_are_refused_before_they_are_decoded() {
    let mut model = Model::new(&[-1, 1]);
    let mut node = NodeProto { op_type: "Add".to_owned(), ..NodeProto::default() };
    node.attribute = vec![AttributeProto::default(); 600_000];
    model.graph().node = vec![node];
    model.assert_error("not a valid ONNX file: too many fields");
}

/// A length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut bytes).unwrap();
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn packed_integers_are_bounded_before_they_are_decoded() {
    let tensor = field(7, &vec![0; (1 << 25) + 1]);
    let error = load(&field(7, &field(5, &tensor))).unwrap_err();
    assert_eq!(error.to_string(), "not a valid ONNX file: too many fields");
}

#[test]
fn too_many_nodes() {
    let mut model = Model::new(&[-1, 1]).floats("c", &[], &[2.0]);
    for index in 0..10_001 {
        model = model.node(&index.to_string(), "Constant", vec![]);
    }
    model.assert_error("ONNX graph: 10001 nodes; at most 10000 are supported");
}

#[test]
fn too_many_layers() {
    let mut model = Model::new(&[-1, 1]).floats("c", &[], &[2.0]);
    let names: Vec<String> = (0..20_000).map(|index| format!("x{index}")).collect();
    let maxima = format!("Max{}", " x".repeat(20_000));
    model = model.node("m", &maxima, vec![]).node("y", "Neg m", vec![]);
    model.assert_error("node `m_node` (Max): makes more than 40000 layers together with the nodes before it");
    let parts = Model::new(&[-1, 20_000]).node("parts", "Split x", vec![int("axis", 1)]);
    let parts = parts.outputs(&names.iter().map(String::as_str).collect::<Vec<_>>()).node("y", "Neg x7", vec![]);
    assert_eq!(parts.operators(), ["Slice", "Affine"]);
}

#[test]
fn long_names_are_cut() {
    let mut model = Model::new(&[-1, 1]).node("y", "Relu x", vec![]);
    model.graph().node[0].name = "\u{e9}".repeat(1000);
    assert_eq!(model.load().unwrap().layers[1].name, "\u{e9}".repeat(200));
}

#[test]
fn constants_that_grow_in_folding_are_bounded() {
    let model = Model::new(&[-1, 1])
        .integers("s", &[1], &[3 << 22])
        .node("a", "ConstantOfShape s", vec![])
        .node("b", "Add a a", vec![])
        .node("y", "Add x b", vec![]);
    model.assert_error("node `b_node` (Add): makes too many elements of constants for the size of the file");
    Model::new(&[-1, 1])
        .integers("s", &[2], &[1 << 20, 1 << 20])
        .node("a", "ConstantOfShape s", vec![])
        .node("y", "Add x a", vec![])
        .assert_error("node `a_node` (ConstantOfShape): dimensions [1048576, 1048576] are too large");
}

#[test]
fn images_that_grow_by_padding_are_bounded() {
    let grow = |size: i64| {
        Model::new(&[-1, 1, 1, 1]).node("p", "Pad x", vec![ints("pads", &[0, 0, 0, 0, 0, 0, size, size])]).node(
            "y",
            "GlobalAveragePool p",
            vec![],
        )
    };
    grow(9_999).assert_error("layer `p_node` (number 1): shape 1x10000x10000 must have 1 to 16777216 elements");
    grow(65_536).assert_error_contains(&["node `p_node` (Pad)", "are too large"]);
}

#[test]
fn nested_messages_of_any_depth() {
    // A graph attribute inside of a node inside of a graph, and so on: skipped, not followed.
    let mut inner = Vec::new();
    for _ in 0..10_000 {
        inner = field(6, &inner);
    }
    assert!(load(&inner).is_err());
}
