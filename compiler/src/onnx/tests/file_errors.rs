//! Errors about constants, inputs, outputs and the file as a whole.

use super::{Model, value_info};
use crate::onnx::OnnxError;
use crate::onnx::schema::{SparseTensorProto, StringStringEntryProto, TensorProto, data_type};

/// A model that squares an image and has a constant `s`.
fn image() -> Model {
    Model::new(&[-1, 2, 3, 3]).floats("s", &[], &[3.0])
}

/// Checks the message for a model with a broken initializer that is used.
#[track_caller]
fn check_initializer(edit: impl Fn(&mut TensorProto), reason: &str) {
    let mut model = image().node("y", "Add x s", vec![]);
    edit(&mut model.graph().initializer[0]);
    model.assert_error(&format!("initializer `s`: {reason}"));
}

#[test]
fn initializers() {
    let external = "its data lies in another file (external data), which is not supported; save the model with all \
                    data in one file";
    check_initializer(|s| s.data_location = 1, external);
    check_initializer(
        |s| s.external_data.push(StringStringEntryProto { key: "location".to_owned(), value: "w.bin".to_owned() }),
        external,
    );
    check_initializer(|s| s.dims = vec![-1], "negative dimension -1");
    check_initializer(|s| s.dims = vec![2], "has 4 bytes of data where its dimensions need 2 times 4");
    check_initializer(|s| s.raw_data.truncate(3), "has 3 bytes of data where its dimensions need 1 times 4");
    check_initializer(|s| s.raw_data.clear(), "has 0 elements where its dimensions need 1");
    check_initializer(|s| s.dims = vec![1 << 40, 1 << 40], "dimensions [1099511627776, 1099511627776] are too large");
    check_initializer(|s| s.dims = vec![1; 9], "9 dimensions; at most 8 are supported");
    check_initializer(
        |s| s.data_type = 8,
        "data type string is not supported; supported are float16, bfloat16, float32, float64, int32, int64, bool",
    );
    check_initializer(
        |s| {
            s.data_type = data_type::FLOAT16;
            s.int32_data = vec![-1];
        },
        "-1 is not a 16-bit float",
    );
}

#[test]
fn inputs_and_outputs() {
    let error = |edit: &dyn Fn(&mut Model), message: &str| {
        let mut model = image().node("y", "Mul x x", vec![]);
        edit(&mut model);
        model.assert_error(&format!("ONNX graph: {message}"));
    };
    error(
        &|model| model.graph().input.push(value_info("z", Some(&[1]))),
        "exactly one input is supported, the file has [\"x\", \"z\"]",
    );
    error(&|model| model.graph().input.clear(), "exactly one input is supported, the file has []");
    error(
        &|model| model.graph().output.push(value_info("s", None)),
        "exactly one output is supported, the file has [\"y\", \"s\"]",
    );
    error(&|model| model.graph().output[0].name = "s".to_owned(), "output `s` does not depend on the input");
    error(
        &|model| model.graph().output[0] = value_info("y", Some(&[-1, 7])),
        "output `y` is declared with other dimensions than the computed [1, 2, 3, 3]",
    );
    error(&|model| model.graph().input[0] = value_info("x", None), "input `x` has no declared shape");
    error(
        &|model| model.graph().input[0] = value_info("x", Some(&[3])),
        "input `x` has 1 dimensions; supported are [batch, features] to [batch, channels, height, width]",
    );
    error(
        &|model| model.graph().input[0] = value_info("x", Some(&[-1, 2, -1, 3])),
        "input `x` has no fixed size in dimension 2; only the batch (dimension 0) may be symbolic",
    );
    error(
        &|model| model.graph().input[0] = value_info("x", Some(&[1, 1 << 30, 1 << 30])),
        "input `x` has dimensions [1, 1073741824, 1073741824], which are too large",
    );
    error(
        &|model| {
            let tensor_type = model.graph().input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
            tensor_type.elem_type = 2;
        },
        "input `x` is a tensor of uint8; only floats are supported",
    );
    error(
        &|model| model.graph().sparse_initializer.push(SparseTensorProto {}),
        "sparse initializers are not supported; store them dense",
    );
}

#[test]
fn operator_sets() {
    let mut model = image().node("y", "Mul x x", vec![]);
    for version in 9..=21 {
        model.proto.opset_import[0].version = version;
        model.load().unwrap();
    }
    for version in [8, 22] {
        model.proto.opset_import[0].version = version;
        model.assert_error(&format!("ONNX opset {version} is not supported; supported are opsets 9 to 21"));
    }
    model.proto.opset_import.clear();
    model.assert_error("ONNX opset 0 is not supported; supported are opsets 9 to 21");
}

#[test]
fn files() {
    assert!(matches!(crate::onnx::load_file("no-such-file.onnx"), Err(OnnxError::Read(_))));
    let mut model = image();
    model.proto.graph = None;
    model.assert_error("not a valid ONNX file: there is no graph");
    let message = crate::onnx::load(b"").unwrap_err().to_string();
    assert_eq!(message, "ONNX opset 0 is not supported; supported are opsets 9 to 21");
}
