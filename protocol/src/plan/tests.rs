//! Rules of a plan, each broken once.

use super::*;

fn packing() -> Packing {
    Packing {
        parameters: ParameterSet::N4096,
        group_tile: 1,
        channel_tile: 1,
        output_tile: 2,
        window: [4, 4],
        upload_bits: 52,
        response_mask_bits: 44,
        response_body_bits: 40,
    }
}

fn node(step: Step, inputs: &[NodeId], shape: Shape, fraction_bits: i32) -> Node {
    Node { step, inputs: inputs.to_vec(), shape, fraction_bits, bits: 31 }
}

/// Convolution 3x3 of a 4x4 image to two channels, square, sum pool, output.
fn plan() -> Plan {
    let input = Shape::new(1, 4, 4);
    let output = Shape::new(2, 2, 2);
    let shape = LinearShape { input, output, kernel: [3, 3], ..LinearShape::fully_connected(1, 2) };
    Plan {
        input: InputSpec { name: "image".into(), dimensions: vec![1, 4, 4], low: -1.0, high: 1.0 },
        nodes: vec![
            node(Step::Input, &[], input, 8),
            node(Step::Linear(LinearStep { shape, packing: packing() }), &[0], output, 16),
            node(Step::Square { drop: 10 }, &[1], output, 12),
            node(
                Step::SumPool { kernel: [2, 2], stride: [2, 2], padding: Padding::default() },
                &[2],
                Shape::vector(2),
                12,
            ),
            node(Step::Output { drop: 2 }, &[3], Shape::vector(2), 12),
        ],
        output: OutputSpec {
            name: "logits".into(),
            dimensions: vec![2],
            labels: vec![],
            function: OutputFunction::Identity,
        },
        transfers: ExtensionKind::DEFAULT,
    }
}

#[test]
fn a_sound_plan_passes() {
    plan().validate().unwrap();
}

#[test]
fn each_broken_rule_is_refused() {
    type Break = fn(&mut Plan);
    let breaks: &[(&str, Break)] = &[
        ("no nodes", |plan| plan.nodes.clear()),
        ("no output", |plan| _ = plan.nodes.pop()),
        ("two inputs", |plan| plan.nodes[2].step = Step::Input),
        ("input of its own", |plan| plan.nodes[2].inputs = vec![2]),
        ("input out of range", |plan| plan.nodes[2].inputs = vec![99]),
        ("no input", |plan| plan.nodes[2].inputs.clear()),
        ("two inputs of a square", |plan| plan.nodes[2].inputs = vec![1, 1]),
        ("empty shape", |plan| plan.nodes[0].shape.width = 0),
        ("overflowing shape", |plan| plan.nodes[0].shape = Shape::new(usize::MAX, 2, 2)),
        ("large shape", |plan| plan.nodes[0].shape = Shape::new(MAX_ELEMENTS, 2, 1)),
        ("fraction bits", |plan| plan.nodes[0].fraction_bits = 65),
        ("no bits", |plan| plan.nodes[1].bits = 0),
        ("32 bits", |plan| plan.nodes[1].bits = 32),
        ("square drop", |plan| plan.nodes[2].step = Step::Square { drop: 31 }),
        ("square scale", |plan| plan.nodes[2].fraction_bits = 13),
        ("truncate nothing", |plan| plan.nodes[2].step = Step::Truncate { drop: 0 }),
        ("shift too far", |plan| plan.nodes[2].step = Step::ShiftLeft { amount: 31 }),
        ("ReLU digits", |plan| plan.nodes[2].step = Step::Relu { drop: 10, digits: vec![6; 3] }),
        ("no ReLU digits", |plan| plan.nodes[2].step = Step::Relu { drop: 10, digits: vec![] }),
        ("wide ReLU group", |plan| plan.nodes[2].step = Step::Relu { drop: 13, digits: vec![7, 5, 5] }),
        ("ReLU drop", |plan| plan.nodes[2].step = Step::Relu { drop: 30, digits: vec![1] }),
        ("one term of a maximum", |plan| plan.nodes[2].step = Step::Maximum { ignored: 11, digits: vec![5; 4] }),
        ("one term of a difference", |plan| plan.nodes[2].step = Step::Subtract),
        ("multipliers", |plan| plan.nodes[2].step = Step::Multiply { rows: vec![1; 2], columns: vec![1; 3] }),
        ("multiplier zero", |plan| plan.nodes[2].step = Step::Multiply { rows: vec![1; 2], columns: vec![1, 0] }),
        ("offset scale", |plan| plan.nodes[2].step = Step::Offset),
        ("concat channels", |plan| (plan.nodes[2].step, plan.nodes[2].inputs) = (Step::Concat, vec![1, 1])),
        ("too many joined", |plan| (plan.nodes[2].step, plan.nodes[2].inputs) = (Step::Concat, vec![1; 65])),
        ("slice scale", |plan| plan.nodes[2].step = Step::Slice { axis: Axis::Rows, start: 0, step: 1, spacing: 1 }),
        ("slice step", |plan| {
            plan.nodes[2].fraction_bits = 16;
            plan.nodes[2].step = Step::Slice { axis: Axis::Rows, start: 0, step: 0, spacing: 1 };
        }),
        ("class of several values", |plan| plan.nodes[4].step = Step::Class { bits: 1 }),
        ("pool shape", |plan| plan.nodes[3].shape = Shape::vector(3)),
        ("reshape size", |plan| plan.nodes[3].step = Step::Reshape),
        ("output shape", |plan| plan.nodes[4].shape = Shape::vector(1)),
        ("output drop", |plan| plan.nodes[4].step = Step::Output { drop: 31 }),
        ("input dimensions", |plan| plan.input.dimensions = vec![4, 5]),
        ("overflowing dimensions", |plan| plan.input.dimensions = vec![usize::MAX, 16]),
        ("output dimensions", |plan| plan.output.dimensions = vec![3]),
        ("labels", |plan| plan.output.labels = vec!["one".into()]),
        ("long name", |plan| plan.input.name = "x".repeat(257)),
        ("empty range", |plan| plan.input.high = -1.0),
        ("infinite range", |plan| plan.input.high = f32::INFINITY),
        ("NaN range", |plan| plan.input.low = f32::NAN),
        ("range beyond the bits", |plan| plan.nodes[0].bits = 9),
        ("kernel", |plan| linear(plan).kernel = [0, 3]),
        ("huge kernel", |plan| linear(plan).kernel = [usize::MAX, 3]),
        ("stride", |plan| linear(plan).stride = [0, 1]),
        ("dilation", |plan| linear(plan).dilation = [2, 1]),
        ("padding", |plan| linear(plan).padding.top = usize::MAX),
        ("groups", |plan| linear(plan).groups = 0),
        ("groups that do not divide", |plan| linear(plan).groups = 3),
        ("layer input", |plan| linear(plan).input.channels = 2),
        ("layer output", |plan| linear(plan).output.channels = 4),
    ];
    for (name, break_rule) in breaks {
        let mut broken = plan();
        break_rule(&mut broken);
        assert!(broken.validate().is_err(), "{name}");
    }
}

fn linear(plan: &mut Plan) -> &mut LinearShape {
    match &mut plan.nodes[1].step {
        Step::Linear(linear) => &mut linear.shape,
        _ => panic!("node 1 is linear"),
    }
}

#[test]
fn the_digest_depends_on_everything() {
    let changes: &[fn(&mut Plan)] = &[
        |_| (),
        |plan| plan.input.name = "picture".into(),
        |plan| plan.input.high = 2.0,
        |plan| plan.nodes[1].bits = 30,
        |plan| plan.nodes[2].step = Step::Square { drop: 9 },
        |plan| plan.nodes[2].step = Step::Truncate { drop: 10 },
        |plan| plan.nodes[2].step = Step::Relu { drop: 10, digits: vec![5; 4] },
        |plan| plan.nodes[2].step = Step::Relu { drop: 10, digits: vec![4; 5] },
        |plan| plan.nodes[2].step = Step::Maximum { ignored: 10, digits: vec![5; 4] },
        |plan| plan.nodes[2].step = Step::Multiply { rows: vec![1, 2], columns: vec![1, 3] },
        |plan| plan.nodes[2].step = Step::Multiply { rows: vec![1, 3], columns: vec![1, 2] },
        |plan| plan.nodes[2].step = Step::Slice { axis: Axis::Rows, start: 0, step: 1, spacing: 1 },
        |plan| plan.nodes[2].step = Step::Slice { axis: Axis::Columns, start: 0, step: 1, spacing: 1 },
        |plan| plan.nodes[2].step = Step::Slice { axis: Axis::Rows, start: -1, step: 1, spacing: 1 },
        |plan| plan.nodes[2].step = Step::Subtract,
        |plan| plan.nodes[2].step = Step::Offset,
        |plan| plan.nodes[2].step = Step::Concat,
        |plan| plan.nodes[4].step = Step::Class { bits: 2 },
        |plan| plan.output.function = OutputFunction::Softmax,
        |plan| plan.output.labels = vec!["a".into(), "b".into()],
        |plan| plan.output.labels = vec!["ab".into(), String::new()],
        |plan| linear(plan).kernel = [3, 2],
        |plan| plan.transfers = ExtensionKind::Silent,
        |plan| plan.transfers = ExtensionKind::SoftSpoken(TreeHeight::new(1).unwrap()),
        |plan| plan.transfers = ExtensionKind::SoftSpoken(TreeHeight::MAX),
    ];
    let digests: Vec<PlanDigest> = changes
        .iter()
        .map(|change| {
            let mut plan = plan();
            change(&mut plan);
            plan.digest()
        })
        .collect();
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "change {index} left the digest as it was");
    }
}

#[test]
fn inputs_are_checked_before_anything_is_sent() {
    let plan = plan();
    let fine = [0.5f32; 16];
    assert_eq!(plan.encode_input(&fine).unwrap()[0], 128);
    assert_eq!(plan.encode_input(&[-1.0; 16]).unwrap()[0], -256i32 as u32);
    assert_eq!(plan.encode_input(&fine[1..]), Err(InputError::Length { expected: 16, got: 15 }));
    for bad in [f32::NAN, f32::INFINITY, 1.001, -1.001] {
        let mut input = fine;
        input[7] = bad;
        assert!(matches!(plan.encode_input(&input), Err(InputError::OutOfRange { index: 7, .. })));
    }
    assert_eq!(plan.decode_output(&[4096, -2048i32 as u32]), [1.0, -0.5]);
}

#[test]
fn pools_that_take_hours_are_refused() {
    let plan = |side: usize, kernel: usize| {
        let mut plan = plan();
        let image = Shape::new(1, side, side);
        let pooled = Shape::new(1, side - kernel + 1, side - kernel + 1);
        let rows = Shape { height: 4, ..pooled };
        let slice = |axis| Step::Slice { axis, start: 0, step: 1, spacing: 1 };
        let pool = Step::SumPool { kernel: [kernel; 2], stride: [1, 1], padding: Padding::default() };
        let mut nodes = vec![
            node(Step::Input, &[], image, 8),
            node(pool, &[0], pooled, 8),
            node(slice(Axis::Rows), &[1], rows, 8),
            node(slice(Axis::Columns), &[2], Shape::new(1, 4, 4), 8),
        ];
        nodes.extend(plan.nodes.drain(1..).map(|node| Node { inputs: vec![node.inputs[0] + 3], ..node }));
        plan.input.dimensions = vec![1, side, side];
        plan.nodes = nodes;
        plan.validate()
    };
    assert_eq!(plan(512, 64), Ok(()));
    assert!(plan(2048, 1024).is_err_and(|error| error.to_string().contains("2^34")));
}
