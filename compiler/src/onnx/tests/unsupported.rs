//! Operators that are not supported, or for constants only.

use super::errors::{check, image};
use super::int;
use crate::onnx::SUPPORTED_OPERATORS;

#[test]
fn unsupported_operators_name_the_supported_ones() {
    let model = image().node("y", "Tanh x", vec![]);
    let message = model.load().unwrap_err().to_string();
    assert!(message.starts_with(
        "node `y_node`: operator `Tanh` is not supported: it is neither piecewise linear nor a square, and \
         approximations are not made silently; train with ReLU, HardSwish or another activation of the list; \
         supported are Add, ArgMax, AveragePool, "
    ));
    assert!(SUPPORTED_OPERATORS.iter().all(|operator| message.contains(operator.name)));
}

#[test]
fn unsupported_operators_say_why() {
    let reasons = [
        ("Erf", "neither piecewise linear nor a square"),
        ("Gelu", "neither piecewise linear nor a square"),
        ("Exp", "neither piecewise linear nor a square"),
        ("LayerNormalization", "statistics of the input"),
        ("InstanceNormalization", "statistics of the input"),
        ("LSTM", "recurrence and control flow"),
        ("Resize", "changes the resolution"),
        ("QuantizeLinear", "export the network in floats"),
        ("NonZero", "not one of the supported operators"),
    ];
    for (operator, reason) in reasons {
        let model = image().node("y", &format!("{operator} x"), vec![]);
        let start = format!("node `y_node`: operator `{operator}` is not supported: ");
        model.assert_error_contains(&[&start, reason]);
    }
}

#[test]
fn supported_operators_are_sorted() {
    assert!(SUPPORTED_OPERATORS.is_sorted_by_key(|operator| operator.name));
}

#[test]
fn other_domains() {
    let mut model = image().node("y", "Conv x w", vec![]);
    model.graph().node[0].domain = "com.example".to_owned();
    model.assert_error_contains(&[
        "node `y_node`: operator `com.example.Conv` is not supported: it is not a standard ONNX operator",
    ]);
    model.graph().node[0].domain = "ai.onnx".to_owned();
    model.load().unwrap();
}

#[test]
fn a_node_without_a_name_is_called_as_its_output() {
    let mut model = image().node("y", "Tanh x", vec![]);
    model.graph().node[0].name.clear();
    model.assert_error_contains(&["node `y`: operator `Tanh`"]);
    model.graph().node[0].output.clear();
    model.assert_error("ONNX graph: output `y` is not computed by any node");
}

#[test]
fn unsupported_operators_in_dead_branches_do_not_matter() {
    let model = image().node("dead", "Tanh x", vec![]).node("y", "Mul x x", vec![]);
    assert_eq!(model.operators(), ["Quadratic"]);
}

#[test]
fn operators_for_constants_only() {
    let reason = "is supported for constants only, and its input depends on the network's input";
    check("Gather x axes", vec![], reason);
    check("Sqrt x", vec![], reason);
    check("Conv w w", vec![], "has only constant inputs; it is supported for layers' values only");
    image()
        .node("c", "Cast s", vec![int("to", 8)])
        .node("y", "Mul x c", vec![])
        .assert_error("node `c_node` (Cast): casts to string; supported are float32, float64, int32, int64, bool");
    image()
        .node("c", "Div axes axes", vec![])
        .node("y", "Mul x c", vec![])
        .assert_error("node `c_node` (Div): overflows or divides by zero");
}
