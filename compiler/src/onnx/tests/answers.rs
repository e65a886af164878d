//! Functions at the very end, which are left to the client.

use tacit_protocol::plan::OutputFunction;

use super::{Model, int, ints};
use crate::onnx::schema::AttributeProto;

/// A linear layer to four outputs `l`, of these dimensions.
fn logits(dims: &[i64]) -> Model {
    let model = Model::new(&[-1, 2])
        .floats("w", &[2, 4], &[1.0, 2.0, 3.0, 4.0, -1.0, 0.5, 0.0, 1.0])
        .floats("two", &[], &[2.0])
        .integers("flat", &[2], &[-1, 4])
        .integers("dims", &[dims.len() as i64], dims)
        .node("p", "MatMul x w", vec![]);
    model.node("l", "Reshape p dims", vec![])
}

#[track_caller]
fn assert_function(model: &Model, function: OutputFunction, dimensions: &[usize]) {
    let graph = model.load().unwrap();
    assert_eq!(graph.output_function, function);
    assert_eq!(graph.output_dimensions, dimensions);
    assert_eq!(graph.evaluate(&[1.0, 2.0]).unwrap(), [-1.0, 3.0, 3.0, 6.0]);
}

fn end(dims: &[i64], operator: &str, attributes: Vec<AttributeProto>) -> Model {
    logits(dims).node("y", &format!("{operator} l"), attributes)
}

#[test]
fn functions_are_named_and_the_outputs_are_the_logits() {
    for (operator, function) in [("Softmax", OutputFunction::Softmax), ("LogSoftmax", OutputFunction::LogSoftmax)] {
        for axis in [1, -1] {
            assert_function(&end(&[-1, 4], operator, vec![int("axis", axis)]), function, &[4]);
        }
        assert_function(&end(&[-1, 4, 1, 1], operator, vec![int("axis", 1)]), function, &[4, 1, 1]);
        assert_function(&end(&[-1, 4], operator, vec![]), function, &[4]);
        assert_function(&end(&[-1, 4, 1, 1], operator, vec![]).opset(12), function, &[4, 1, 1]);
        assert_function(&end(&[-1, 2, 2], operator, vec![]).opset(11), function, &[2, 2]);
    }
    assert_function(&end(&[-1, 4], "Sigmoid", vec![]), OutputFunction::Sigmoid, &[4]);
    assert_function(&end(&[-1, 2, 2], "Sigmoid", vec![]), OutputFunction::Sigmoid, &[2, 2]);
    assert_function(&logits(&[-1, 4]).node("y", "Identity l", vec![]), OutputFunction::Identity, &[4]);
}

#[test]
fn the_index_of_the_largest_output() {
    for keep in [0, 1] {
        let attributes = || vec![int("axis", 1), int("keepdims", keep), int("select_last_index", 0)];
        assert_function(&end(&[-1, 4], "ArgMax", attributes()), OutputFunction::ArgMax, &[4]);
        assert_function(&end(&[-1, 4, 1, 1], "ArgMax", attributes()), OutputFunction::ArgMax, &[4, 1, 1]);
    }
    end(&[-1, 4], "ArgMax", vec![]).assert_error(
        "node `y_node` (ArgMax): runs over axis 0 of dimensions [1, 4]; supported is one vector of outputs and its axis",
    );
    end(&[-1, 4], "ArgMax", vec![int("axis", 1), int("select_last_index", 1)])
        .assert_error("node `y_node` (ArgMax): selects the last of several largest outputs; the first is supported");
}

#[test]
fn the_declared_dimensions_are_those_of_the_function() {
    for (keep, declared) in [(0, vec![-1]), (1, vec![-1, 1])] {
        let mut model = end(&[-1, 4], "ArgMax", vec![int("axis", -1), int("keepdims", keep)]);
        model.graph().output[0] = super::value_info("y", Some(&declared));
        assert_function(&model, OutputFunction::ArgMax, &[4]);
        model.graph().output[0] = super::value_info("y", Some(&[-1, 4]));
        model.assert_error_contains(&["output `y` is declared with other dimensions"]);
    }
}

#[test]
fn an_index_behind_a_function_that_keeps_the_order() {
    for operator in ["Softmax", "LogSoftmax", "Sigmoid"] {
        let model = logits(&[-1, 4]).node("f", &format!("{operator} l"), vec![]).node(
            "y",
            "ArgMax f",
            vec![int("axis", 1), int("keepdims", 0)],
        );
        assert_function(&model, OutputFunction::ArgMax, &[4]);
    }
}

#[test]
fn other_dimensions_behind_a_function() {
    let softmax = || logits(&[-1, 4, 1, 1]).node("f", "Softmax l", vec![int("axis", 1)]);
    let function = OutputFunction::Softmax;
    assert_function(&softmax().node("y", "Flatten f", vec![]), function, &[4, 1, 1]);
    assert_function(&softmax().node("y", "Squeeze f", vec![ints("axes", &[2, 3])]), function, &[4, 1, 1]);
    let several = softmax().node("r", "Reshape f flat", vec![]).node("i", "Identity r", vec![]);
    assert_function(&several.clone().node("y", "Cast i", vec![int("to", 1)]), function, &[4, 1, 1]);
    assert_function(&several.node("y", "ArgMax i", vec![int("axis", 1)]), OutputFunction::ArgMax, &[4, 1, 1]);
    softmax()
        .node("y", "Reshape f dims3", vec![])
        .integers("dims3", &[2], &[-1, 3])
        .assert_error("node `y_node` (Reshape): dimensions [1, 4, 1, 1] cannot be reshaped to [-1, 3]");
}

#[test]
fn functions_over_a_part_of_the_outputs() {
    let over = |axis: i64, dims: &str| {
        format!("runs over axis {axis} of dimensions {dims}; supported is one vector of outputs and its axis")
    };
    let check = |dims: &[i64], attributes, opset, message: String| {
        end(dims, "Softmax", attributes).opset(opset).assert_error(&format!("node `y_node` (Softmax): {message}"));
    };
    check(&[-1, 2, 2], vec![int("axis", 1)], 13, over(1, "[1, 2, 2]"));
    check(&[-1, 2, 2], vec![int("axis", 2)], 12, over(2, "[1, 2, 2]"));
    check(&[-1, 4, 1, 1], vec![], 13, over(3, "[1, 4, 1, 1]"));
    check(&[-1, 4], vec![int("axis", 0)], 12, over(0, "[1, 4]"));
    check(&[-1, 4], vec![int("axis", 2)], 13, "axis 2 is outside of 2 dimensions".to_owned());
}

#[test]
fn functions_in_the_middle_name_themselves_and_what_follows() {
    for operator in ["Softmax", "LogSoftmax", "Sigmoid"] {
        for follower in ["Mul f two", "Mul l f", "Relu f", "Softmax f"] {
            let model = logits(&[-1, 4]).node("f", &format!("{operator} l"), vec![]).node("y", follower, vec![]);
            let next = follower.split(' ').next().unwrap();
            model.assert_error(&format!(
                "node `f_node` ({operator}): is supported at the very end of the network only, where the client applies \
                 it; here node `y_node` ({next}) takes its value"
            ));
        }
    }
    let index =
        logits(&[-1, 4]).node("f", "ArgMax l", vec![int("axis", 1)]).node("y", "ArgMax f", vec![int("axis", 1)]);
    index.assert_error_contains(&["node `f_node` (ArgMax): is supported at the very end of the network only"]);
}

#[test]
fn a_function_of_the_input_itself() {
    Model::new(&[-1, 4])
        .node("y", "Softmax x", vec![])
        .assert_error("ONNX graph: output `y` is the input itself, there is nothing to compute");
}
