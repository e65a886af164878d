//! Every error names the node and the operator, says why, and what is supported.

use super::{Model, float, int, ints, ramp, string};
use crate::onnx::schema::AttributeProto;

/// A model over an image of two channels with some constants to use.
pub(super) fn image() -> Model {
    Model::new(&[-1, 2, 3, 3])
        .floats("w", &[2, 2, 2, 2], &ramp(16))
        .floats("s", &[], &[3.0])
        .floats("zero", &[], &[0.0])
        .floats("v", &[2], &[1.0, 2.0])
        .floats("row", &[3], &[1.0, 2.0, 3.0])
        .floats("column", &[3, 1], &[1.0, 2.0, 3.0])
        .integers("axes", &[1], &[0])
}

/// Checks the whole message of an image model with a single node.
#[track_caller]
pub(super) fn check(arguments: &str, attributes: Vec<AttributeProto>, reason: &str) {
    let operator = arguments.split(' ').next().unwrap();
    let message = format!("node `y_node` ({operator}): {reason}");
    image().node("y", arguments, attributes).assert_error(&message);
}

#[test]
fn attributes() {
    check("Add x s", vec![int("broadcast", 1)], "attribute `broadcast` is not supported; none is");
    check("Flatten x", vec![float("axis", 1.0)], "attribute `axis` has the wrong type");
    check("Flatten x", vec![int("start", 1)], "attribute `start` is not supported; supported are axis");
}

#[test]
fn missing_inputs() {
    check("Conv x", vec![], "the weights (input 1) is missing");
    check("Mul x", vec![], "input 1 is missing");
    check(
        "Mul x unknown",
        vec![],
        "takes `unknown`, which is no input, initializer or supported output of an earlier node",
    );
}

#[test]
fn nodes_out_of_order() {
    let model = image().node("y", "Mul later x", vec![]).node("later", "Mul x x", vec![]);
    model.assert_error_contains(&["node `y_node` (Mul): takes `later`"]);
}

#[test]
fn convolutions() {
    check(
        "Conv x x",
        vec![],
        "the weights must be a constant; only initializers, Constant nodes and what is computed from them are supported",
    );
    check("Conv x row", vec![], "has weights of dimensions [3]; 4 dimensions are supported");
    check(
        "Conv x w",
        vec![int("group", 2)],
        "has 2 groups and weights of dimensions [2, 2, 2, 2] for 2 input channels",
    );
    check(
        "Conv x w",
        vec![int("group", 0)],
        "has 0 groups and weights of dimensions [2, 2, 2, 2] for 2 input channels",
    );
    check("Conv x w row", vec![], "has a bias of dimensions [3] for 2 output channels");
    check("Conv x w", vec![ints("kernel_shape", &[3, 3])], "has a kernel_shape other than that of its weights, [2, 2]");
    check(
        "Conv x w",
        vec![ints("strides", &[0, 1])],
        "has strides [0, 1]; 2 numbers from 1 to 65536 are supported (two-dimensional images)",
    );
    check(
        "Conv x w",
        vec![ints("pads", &[0, -1, 0, 0])],
        "has pads [0, -1, 0, 0]; 4 numbers from 0 to 65536 are supported (two-dimensional images)",
    );
    check(
        "Conv x w",
        vec![string("auto_pad", "SAME")],
        "has auto_pad `SAME`; supported are NOTSET, VALID, SAME_UPPER, SAME_LOWER",
    );
    Model::new(&[-1, 2, 9]).floats("w", &[2, 2, 3], &ramp(12)).node("y", "Conv x w", vec![]).assert_error(
        "node `y_node` (Conv): takes a value of 3 dimensions; only two-dimensional images \
             [batch, channels, height, width] are supported",
    );
}

#[test]
fn matrix_products() {
    let vector = |arguments, attributes, reason: &str| {
        Model::new(&[-1, 2])
            .floats("m", &[3, 2], &ramp(6))
            .floats("square", &[2, 2], &ramp(4))
            .floats("row", &[3], &ramp(3))
            .node("y", arguments, attributes)
            .assert_error(&format!("node `y_node` {reason}"));
    };
    vector("Gemm x m", vec![], "(Gemm): multiplies 2 features with a matrix of dimensions [3, 2]");
    vector("MatMul x m", vec![], "(MatMul): multiplies 2 features with a matrix of dimensions [3, 2]");
    vector("MatMul x row", vec![], "(MatMul): has a matrix of dimensions [3]; 2 dimensions are supported");
    vector("Gemm x square row", vec![], "(Gemm): has an addend C of dimensions [3] for 2 outputs");
    vector(
        "Gemm x square",
        vec![int("transA", 1)],
        "(Gemm): transposes the layer's value A (transA = 1); only transB is supported",
    );
    vector(
        "MatMul square x",
        vec![],
        "(MatMul): input 0 must be a layer's value, not a constant, where another input is one",
    );
    vector(
        "MatMul x x",
        vec![],
        "(MatMul): the right operand must be a constant; only initializers, Constant nodes and what is computed \
         from them are supported",
    );
    check("Gemm x w", vec![], "takes a value of dimensions [1, 2, 3, 3]; [batch, features] is supported");
    check(
        "MatMul x w",
        vec![],
        "takes a value of dimensions [1, 2, 3, 3]; one row of features per sample is supported",
    );
}

#[test]
fn normalization() {
    check("BatchNormalization x v v v row", vec![], "has 3 values of variance for 2 channels");
    check(
        "BatchNormalization x v v v v",
        vec![int("training_mode", 1)],
        "is in training mode; export the model for inference (model.eval())",
    );
    check("BatchNormalization x v v v v", vec![float("epsilon", -1.0)], "has a variance that is not positive");
    image()
        .integers("on", &[], &[1])
        .node("y", "Dropout x s on", vec![])
        .assert_error("node `y_node` (Dropout): is in training mode; export the model for inference (model.eval())");
}

#[test]
fn pools() {
    check("AveragePool x", vec![], "has no kernel_shape");
    check(
        "AveragePool x",
        vec![ints("kernel_shape", &[4, 1])],
        "has a kernel of extent [4, 1], larger than the padded image of 3 in one dimension",
    );
    check(
        "AveragePool x",
        vec![ints("kernel_shape", &[2, 2]), ints("dilations", &[2, 2])],
        "has dilations [2, 2]; only 1 is supported",
    );
    check(
        "AveragePool x",
        vec![ints("kernel_shape", &[2, 2]), ints("pads", &[2, 0, 0, 0])],
        "has pads as large as its kernel [2, 2]; smaller ones are supported",
    );
    check(
        "AveragePool x",
        vec![ints("kernel_shape", &[2])],
        "has kernel_shape [2]; 2 numbers from 1 to 65536 are supported (two-dimensional images)",
    );
}

#[test]
fn pads() {
    let pads = |values: &[i64]| vec![ints("pads", values)];
    check("Pad x", vec![], "has no pads");
    check("Pad x", pads(&[1, 1]), "has 2 pads for 4 axes");
    check(
        "Pad x",
        vec![string("mode", "reflect")],
        "has mode `reflect`; only constant padding with zeros is supported",
    );
    check("Pad x _ s", pads(&[0; 8]), "pads with 3; only padding with zeros is supported");
    check("Pad x", vec![float("value", 1.0)], "pads with 1; only padding with zeros is supported");
    check(
        "Pad x",
        pads(&[1, 0, 0, 0, 0, 0, 0, 0]),
        "pads the batch; only padding of channels, height and width is supported",
    );
    check(
        "Pad x",
        pads(&[0, 0, -1, 0, 0, 0, 0, 0]),
        "has pads [-1, 0, 0, 0]; 4 numbers from 0 to 65536 are supported (two-dimensional images)",
    );
}

#[test]
fn elementwise_arithmetic() {
    check("Pow x s", vec![], "has exponent 3; supported are 1 and 2");
    check("Pow x row", vec![], "has several exponents; one exponent is supported");
    check(
        "Pow s x",
        vec![],
        "has an exponent that depends on the network's input; only constant exponents are supported",
    );
    check("Div s x", vec![], "divides by a layer's value; only division by a constant is supported");
    check("Div x x", vec![], "divides by a layer's value; only division by a constant is supported");
    check("Div x zero", vec![], "divides by zero");
    check(
        "Mul x column",
        vec![],
        "scales by a constant that differs between the elements of a channel; supported are scalars and one factor \
         per channel",
    );
    check(
        "Add x v",
        vec![],
        "a constant of dimensions [2] meets a value of dimensions [1, 2, 3, 3]; supported are constants that are \
         scalars, per channel or per element, and do not change the value's dimensions",
    );
}

#[test]
fn constants_of_more_dimensions_than_the_value() {
    for size in [1, 2] {
        Model::new(&[-1, size]).floats("c", &[1, 1, 1], &[2.0]).node("y", "Mul x c", vec![]).assert_error_contains(&[
            "node `y_node` (Mul): a constant of dimensions [1, 1, 1] meets a value of dimensions [1, ",
        ]);
    }
}

#[test]
fn products_of_activations() {
    let cubic = image().node("xx", "Mul x x", vec![]).node("y", "Mul xx x", vec![]);
    cubic.assert_error("node `y_node` (Mul): makes a polynomial of degree 3; activations of degree 2 are supported");
    let gate = image().node("g", "GlobalAveragePool x", vec![]).node("y", "Mul x g", vec![]);
    gate.assert_error(
        "node `y_node` (Mul): multiplies two values that both depend on the input; supported are constants and, as \
         the product of two secrets, the square of one value",
    );
    let two = image().node("p", "Conv x w", vec![]).node("q", "Conv x w", vec![]).node("y", "Mul p q", vec![]);
    two.assert_error(
        "node `y_node` (Mul): multiplies two values that both depend on the input; supported are constants and, as \
         the product of two secrets, the square of one value",
    );
}

#[test]
fn dimensions() {
    check("Transpose x", vec![ints("perm", &[0, 1, 1, 2])], "[0, 1, 1, 2] is not a permutation of 4 axes");
    check("Flatten x", vec![int("axis", 2)], "gives dimensions [2, 9]; the batch of 1 must stay the first dimension");
    check("Flatten x", vec![int("axis", 5)], "axis 5 is outside of 4 dimensions");
    check("Squeeze x", vec![], "gives dimensions [2, 3, 3]; the batch of 1 must stay the first dimension");
    check("Squeeze x", vec![ints("axes", &[1])], "axis 1 of dimensions [1, 2, 3, 3] is not 1");
    check("Unsqueeze x", vec![], "has no axes");
    check("Unsqueeze x", vec![ints("axes", &[i64::MIN])], "axis -9223372036854775808 is outside of 5 dimensions");
    check("Reshape x", vec![], "the new shape (input 1) is missing");
    check("Reshape x v", vec![], "a constant of integers is needed, not of floats");
    check("Reshape x axes", vec![], "dimensions [1, 2, 3, 3] cannot be reshaped to [0]");
}

#[test]
fn numbers_that_are_not_finite_name_the_layer() {
    let model = |value: f32| {
        let mut weights = ramp(16);
        weights[5] = value;
        image().floats("bad", &[2, 2, 2, 2], &weights).node("y", "Conv x bad", vec![])
    };
    for value in [f32::NAN, f32::INFINITY] {
        model(value).assert_error("layer `y_node` (number 1): weights: number 5 is not finite");
    }
    image()
        .floats("nan", &[], &[f32::NAN])
        .node("y", "Add x nan", vec![])
        .assert_error("layer `y_node` (number 1): shift: number 0 is not finite");
}
