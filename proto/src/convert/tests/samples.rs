//! Two small plans that together hold every kind of step.

use tacit_protocol::plan::ExtensionKind;
use tacit_protocol::plan::{
    Axis, InputSpec, LinearShape, LinearStep, Node, OutputFunction, OutputSpec, Padding, Plan, Shape, Step,
};
use tacit_protocol::rlwe::choose_packing;

fn node(step: Step, inputs: &[usize], shape: Shape, fraction_bits: i32) -> Node {
    Node { step, inputs: inputs.to_vec(), shape, fraction_bits, bits: 30 }
}

/// A linear step with the packing that its weights allow.
fn linear(shape: LinearShape) -> Step {
    let weights = vec![1; shape.weight_count()];
    let packing = choose_packing(&shape, &weights).expect("small layers fit");
    Step::Linear(LinearStep { shape, packing })
}

/// A plan of squares and truncations that reveals logits.
pub(super) fn plan() -> Plan {
    let image = Shape::new(2, 6, 6);
    let features = Shape::new(4, 3, 3);
    let pooled = Shape::new(4, 2, 2);
    let convolution = LinearShape {
        input: image,
        output: features,
        groups: 2,
        kernel: [3, 2],
        stride: [2, 2],
        padding: Padding { top: 1, left: 0, bottom: 0, right: 0 },
        dilation: [1, 1],
    };
    let dense = LinearShape::fully_connected(16, 3);
    let nodes = vec![
        node(Step::Input, &[], image, 8),
        node(linear(convolution), &[0], features, 18),
        node(Step::Square { drop: 12 }, &[1], features, 12),
        node(Step::Truncate { drop: 10 }, &[1], features, 8),
        node(Step::ShiftLeft { amount: 4 }, &[3], features, 12),
        node(Step::Add, &[2, 4], features, 12),
        node(Step::SumPool { kernel: [2, 2], stride: [1, 1], padding: Padding::default() }, &[5], pooled, 12),
        node(Step::Reshape, &[6], Shape::vector(16), 12),
        node(linear(dense), &[7], Shape::vector(3), 20),
        node(Step::Output { drop: 8 }, &[8], Shape::vector(3), 20),
    ];
    let plan = Plan {
        input: InputSpec { name: "image".into(), dimensions: vec![2, 6, 6], low: -1.0, high: 2.5 },
        nodes,
        output: OutputSpec {
            name: "logits".into(),
            dimensions: vec![3],
            labels: vec!["cat".into(), "dog".into(), "owl".into()],
            function: OutputFunction::Softmax,
        },
        transfers: ExtensionKind::DEFAULT,
    };
    plan.validate().expect("the sample is valid");
    plan
}

/// A plan of comparisons that reveals a class.
pub(super) fn comparing_plan() -> Plan {
    let (pixels, wide, half) = (Shape::new(1, 4, 4), Shape::new(2, 4, 4), Shape::new(2, 2, 4));
    let dense = LinearShape::fully_connected(16, 3);
    let columns = |start: i32| Step::Slice { axis: Axis::Columns, start, step: 2, spacing: 1 };
    let digits = vec![5, 5, 5, 5];
    let nodes = vec![
        node(Step::Input, &[], pixels, 8),
        Node { bits: 19, ..node(Step::Relu { drop: 9, digits: digits.clone() }, &[0], pixels, -1) },
        Node { bits: 19, ..node(Step::Offset, &[1], pixels, -1) },
        Node { bits: 20, ..node(Step::Subtract, &[1, 2], pixels, -1) },
        Node { bits: 20, ..node(Step::Concat, &[3, 1], wide, -1) },
        Node { bits: 20, ..node(Step::Slice { axis: Axis::Rows, start: -1, step: 2, spacing: 1 }, &[4], half, -1) },
        Node { bits: 20, ..node(Step::Slice { axis: Axis::Rows, start: 1, step: 2, spacing: 1 }, &[4], half, -1) },
        Node { bits: 20, ..node(Step::Maximum { ignored: 0, digits: digits.clone() }, &[5, 6], half, -1) },
        node(Step::Multiply { rows: vec![1, 3], columns: vec![4, 2, 1, 4096] }, &[7], half, -1),
        node(Step::Reshape, &[8], Shape::vector(16), -1),
        node(linear(dense), &[9], Shape::vector(3), 7),
        node(Step::Slice { axis: Axis::Channels, start: 2, step: 1, spacing: 1 }, &[10], Shape::vector(1), 7),
        node(columns(0), &[11], Shape::vector(1), 7),
        node(Step::Class { bits: 2 }, &[12], Shape::vector(1), 7),
    ];
    let labels = vec![String::new(); 3];
    let plan = Plan {
        nodes,
        input: InputSpec { name: "pixels".into(), dimensions: vec![4, 4], low: 0.0, high: 1.0 },
        output: OutputSpec { name: "class".into(), dimensions: vec![3], labels, function: OutputFunction::ArgMax },
        transfers: ExtensionKind::DEFAULT,
    };
    plan.validate().expect("the sample is valid");
    plan
}
