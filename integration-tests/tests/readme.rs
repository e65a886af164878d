//! The README says what the programs do.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

use tacit_compiler::onnx::SUPPORTED_OPERATORS;

#[test]
fn every_supported_operator_is_in_the_table_with_its_limits() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let table: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| operator |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let expected: Vec<String> = SUPPORTED_OPERATORS
        .iter()
        .map(|operator| match operator.limits {
            "" => format!("| `{}` | |", operator.name),
            limits => format!("| `{}` | {limits} |", operator.name),
        })
        .collect();
    assert_eq!(table, expected, "the table of the README is to be\n{}", expected.join("\n"));
}
