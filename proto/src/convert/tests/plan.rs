use proptest::prelude::*;
use prost::Message as _;
use tacit_protocol::plan::ParameterSet;
use tacit_protocol::plan::{ExtensionKind, TreeHeight};
use tacit_protocol::plan::{LinearStep, Padding, Plan, PlanDigest, Shape};

use super::super::digest;
use super::samples::{comparing_plan, plan};
use super::{Problem, assert_refused};
use crate::{limits, pb};

fn wire() -> pb::Plan {
    pb::Plan::try_from(&plan()).expect("the sample fits the wire")
}

/// Changes the sample on the wire and converts it.
fn changed(change: impl FnOnce(&mut pb::Plan)) -> Result<Plan, crate::ConvertError> {
    let mut wire = wire();
    change(&mut wire);
    Plan::try_from(wire)
}

fn step(wire: &mut pb::Plan, node: usize) -> &mut pb::node::Step {
    wire.nodes[node].step.as_mut().expect("nodes have steps")
}

fn linear(wire: &mut pb::Plan) -> &mut pb::LinearStep {
    match step(wire, 1) {
        pb::node::Step::Linear(linear) => linear,
        other => panic!("not linear: {other:?}"),
    }
}

#[test]
fn a_plan_with_every_step_survives_the_wire() {
    for plan in [plan(), comparing_plan()] {
        let bytes = pb::Plan::try_from(&plan).unwrap().encode_to_vec();
        let decoded = pb::Plan::decode(bytes.as_slice()).unwrap();
        let restored = Plan::try_from(decoded).unwrap();
        assert_eq!(restored, plan);
        assert_eq!(restored.digest(), plan.digest());
    }
}

#[test]
fn input_and_output_fields_are_checked() {
    assert_refused(changed(|wire| wire.input = None), "input");
    assert_refused(changed(|wire| wire.output = None), "output");
    let input =
        |change: fn(&mut pb::InputSpec)| changed(|wire| change(wire.input.as_mut().expect("the sample has an input")));
    assert_refused(input(|input| input.name = "x".repeat(limits::NAME_BYTES + 1)), "input.name");
    assert_refused(input(|input| input.dimensions.clear()), "input.dimensions");
    assert_refused(input(|input| input.dimensions = vec![1; 9]), "input.dimensions");
    assert_refused(input(|input| input.dimensions[1] = 0), "input.dimensions");
    assert_refused(input(|input| input.dimensions[1] = u32::MAX), "input.dimensions");
    let problem =
        assert_refused(input(|input| input.dimensions = vec![limits::DIMENSION as u32; 8]), "input.dimensions");
    assert_eq!(problem, Problem::TooManyElements { limit: limits::ELEMENTS });
    assert_refused(input(|input| input.low = f32::NAN), "input.low");
    assert_refused(input(|input| input.high = f32::INFINITY), "input.high");
    assert_eq!(assert_refused(input(|input| input.high = -1.0), "input.high"), Problem::EmptyRange);

    let output = |change: fn(&mut pb::OutputSpec)| {
        changed(|wire| change(wire.output.as_mut().expect("the sample has an output")))
    };
    assert_refused(output(|output| output.name = "x".repeat(257)), "output.name");
    assert_refused(output(|output| output.dimensions = vec![0]), "output.dimensions");
    assert_refused(output(|output| output.labels[1] = "x".repeat(257)), "output.labels");
    assert_refused(output(|output| output.labels = vec![String::new(); 65537]), "output.labels");
    let problem = assert_refused(
        output(|output| {
            output.labels.pop();
        }),
        "plan",
    );
    assert!(matches!(problem, Problem::Plan(_)));
}

#[test]
fn every_kind_of_transfers_survives_the_wire_and_no_other() {
    let heights = (1..=8).filter_map(TreeHeight::new).map(ExtensionKind::SoftSpoken);
    for transfers in heights.chain([ExtensionKind::Silent]) {
        let plan = Plan { transfers, ..plan() };
        let bytes = pb::Plan::try_from(&plan).unwrap().encode_to_vec();
        let restored = Plan::try_from(pb::Plan::decode(bytes.as_slice()).unwrap()).unwrap();
        assert_eq!((restored.transfers, restored.digest()), (transfers, plan.digest()));
    }
    assert_refused(changed(|wire| wire.transfers = None), "transfers");
    assert_refused(changed(|wire| wire.transfers = Some(pb::Transfers { kind: None })), "transfers.kind");
    for height in [0, 9, 256 + 6, u32::MAX] {
        let kind = Some(pb::transfers::Kind::SoftSpoken(pb::SoftSpoken { height }));
        let refused = changed(|wire| wire.transfers = Some(pb::Transfers { kind }));
        let problem = assert_refused(refused, "transfers.soft_spoken.height");
        assert_eq!(problem, Problem::OutOfRange { value: height.into(), low: 1, high: 8 });
    }
}

#[test]
fn node_fields_are_checked() {
    assert_refused(changed(|wire| wire.nodes.truncate(1)), "nodes");
    assert_refused(changed(|wire| wire.nodes = vec![pb::Node::default(); limits::NODES + 1]), "nodes");
    assert_refused(changed(|wire| wire.nodes[3].step = None), "nodes[3].step");
    assert_refused(changed(|wire| wire.nodes[3].inputs = vec![0; 65]), "nodes[3].inputs");
    assert_refused(changed(|wire| wire.nodes[3].inputs = vec![0; 3]), "plan");
    assert_refused(changed(|wire| wire.nodes[3].inputs = vec![3]), "nodes[3].inputs");
    assert_refused(changed(|wire| wire.nodes[0].inputs = vec![0]), "nodes[0].inputs");
    assert_refused(changed(|wire| wire.nodes[3].shape = None), "nodes[3].shape");
    assert_refused(changed(|wire| wire.nodes[3].fraction_bits = 65), "nodes[3].fraction_bits");
    assert_refused(changed(|wire| wire.nodes[3].fraction_bits = i32::MIN), "nodes[3].fraction_bits");
    assert_refused(changed(|wire| wire.nodes[3].bits = 0), "nodes[3].bits");
    assert_refused(changed(|wire| wire.nodes[3].bits = 32), "nodes[3].bits");
    let shape =
        |change: fn(&mut pb::Shape)| changed(|wire| change(wire.nodes[3].shape.as_mut().expect("nodes have shapes")));
    assert_refused(shape(|shape| shape.channels = 0), "nodes[3].shape.channels");
    assert_refused(shape(|shape| shape.height = 0), "nodes[3].shape.height");
    assert_refused(shape(|shape| shape.width = u32::MAX), "nodes[3].shape.width");
    let large = limits::DIMENSION as u32;
    let problem =
        assert_refused(Shape::try_from(pb::Shape { channels: large, height: large, width: large }), "channels");
    assert!(matches!(problem, Problem::TooManyElements { .. }));
}

#[test]
fn step_fields_are_checked() {
    use pb::node::Step;
    let replaced = |node: usize, with: Step| changed(|wire| wire.nodes[node].step = Some(with));
    let square = Step::Square(pb::SquareStep { drop: 31 });
    assert_refused(replaced(2, square), "nodes[2].square.drop");
    let truncate = Step::Truncate(pb::TruncateStep { drop: 0 });
    assert_refused(replaced(3, truncate), "nodes[3].truncate.drop");
    let shift = Step::ShiftLeft(pb::ShiftLeftStep { amount: 31 });
    assert_refused(replaced(4, shift), "nodes[4].shift_left.amount");
    let output = Step::Output(pb::OutputStep { drop: u32::MAX });
    assert_refused(replaced(9, output), "nodes[9].output.drop");
    let pool = |change: fn(&mut pb::SumPoolStep)| {
        changed(|wire| match step(wire, 6) {
            Step::SumPool(pool) => change(pool),
            other => panic!("not pooling: {other:?}"),
        })
    };
    assert_refused(pool(|pool| pool.kernel = None), "nodes[6].sum_pool.kernel");
    let zero = "nodes[6].sum_pool.stride.width";
    assert_refused(pool(|pool| pool.stride = Some(pb::Extent { height: 1, width: 0 })), zero);
    let padding = "nodes[6].sum_pool.padding.right";
    assert_refused(pool(|pool| pool.padding = Some(pb::Padding { right: 4097, ..Default::default() })), padding);
    // Each field is in bounds, but the graph is wrong.
    let problem = assert_refused(replaced(3, Step::Input(pb::InputStep {})), "plan");
    assert!(matches!(problem, Problem::Plan(_)));
}

#[test]
fn comparing_step_fields_are_checked() {
    use pb::node::Step;
    let replaced = |node: usize, with: Step| {
        let mut wire = pb::Plan::try_from(&comparing_plan()).expect("the sample fits the wire");
        wire.nodes[node].step = Some(with);
        Plan::try_from(wire)
    };
    let relu = |drop: u32, digits: Vec<u32>| replaced(1, Step::Relu(pb::ReluStep { drop, digits }));
    assert!(relu(9, vec![5; 4]).is_ok());
    assert_refused(relu(30, vec![5; 4]), "nodes[1].relu.drop");
    assert_refused(relu(9, vec![]), "nodes[1].relu.digits");
    assert_refused(relu(9, vec![1; 17]), "nodes[1].relu.digits");
    assert_refused(relu(9, vec![7, 5, 5, 3]), "nodes[1].relu.digits");
    assert_refused(relu(9, vec![0, 6, 6, 6, 2]), "nodes[1].relu.digits");
    assert_refused(relu(9, vec![5; 3]), "plan");
    let maximum = |ignored: u32| replaced(7, Step::Maximum(pb::MaximumStep { ignored, digits: vec![5; 4] }));
    assert_refused(maximum(30), "nodes[7].maximum.ignored");
    assert_refused(maximum(1), "plan");
    let multiply = |rows: Vec<u32>| replaced(8, Step::Multiply(pb::MultiplyStep { rows, columns: vec![1; 4] }));
    assert_refused(multiply(vec![]), "nodes[8].multiply.rows");
    assert_refused(multiply(vec![1, 4097]), "nodes[8].multiply.rows");
    assert_refused(multiply(vec![1; 3]), "plan");
    let slice = |axis: i32, step: u32| replaced(5, Step::Slice(pb::SliceStep { axis, start: 0, step, spacing: 1 }));
    assert_refused(slice(0, 1), "nodes[5].slice.axis");
    assert_eq!(assert_refused(slice(9, 1), "nodes[5].slice.axis"), Problem::UnknownValue { value: 9 });
    assert_refused(slice(2, 0), "nodes[5].slice.step");
    assert_refused(slice(1, 1), "plan");
    let class = |bits: u32| replaced(13, Step::ClassIndex(pb::ClassStep { bits }));
    assert_refused(class(0), "nodes[13].class.bits");
    assert_refused(class(23), "nodes[13].class.bits");
    assert_refused(class(1), "plan");
    let mut wire = pb::Plan::try_from(&comparing_plan()).expect("the sample fits the wire");
    wire.output.as_mut().expect("the sample has an output").function = 17;
    assert_eq!(assert_refused(Plan::try_from(wire), "output.function"), Problem::UnknownValue { value: 17 });
}

#[test]
fn linear_fields_are_checked() {
    let refused = |field: &str, change: fn(&mut pb::LinearStep)| {
        assert_refused(changed(|wire| change(linear(wire))), &format!("nodes[1].linear.{field}"))
    };
    refused("input", |linear| linear.input = None);
    refused("output", |linear| linear.output = None);
    refused("groups", |linear| linear.groups = 0);
    refused("kernel", |linear| linear.kernel = None);
    refused("kernel.height", |linear| {
        linear.kernel = Some(pb::Extent { height: 4097, width: 1 });
    });
    refused("stride", |linear| linear.stride = None);
    refused("dilation", |linear| linear.dilation = None);
    refused("padding.top", |linear| {
        linear.padding = Some(pb::Padding { top: u32::MAX, ..Default::default() });
    });
    refused("packing", |linear| linear.packing = None);
    let refused = |field: &str, change: fn(&mut pb::Packing)| {
        assert_refused(
            changed(|wire| change(linear(wire).packing.as_mut().expect("packed"))),
            &format!("nodes[1].linear.packing.{field}"),
        )
    };
    refused("parameters", |packing| packing.parameters = 0);
    refused("parameters", |packing| packing.parameters = 7);
    refused("group_tile", |packing| packing.group_tile = 0);
    refused("group_tile", |packing| packing.group_tile = (1 << 22) + 1);
    refused("channel_tile", |packing| packing.channel_tile = 0);
    refused("output_tile", |packing| packing.output_tile = 4097);
    refused("window", |packing| packing.window = None);
    refused("window.width", |packing| {
        packing.window = Some(pb::Extent { height: 1, width: 4097 });
    });
    refused("upload_bits", |packing| packing.upload_bits = 65);
    refused("response_mask_bits", |packing| packing.response_mask_bits = 0);
    refused("response_body_bits", |packing| packing.response_body_bits = 65);
}

#[test]
fn digests_have_32_bytes() {
    assert_eq!(digest("digest", &[7; 32]), Ok(PlanDigest([7; 32])));
    for length in [0, 31, 33] {
        assert_refused(digest("digest", &vec![0; length]), "digest");
    }
}

#[test]
fn numbers_beyond_the_wire_are_refused() {
    let mut plan = plan();
    plan.nodes[1].inputs = vec![usize::MAX];
    assert_refused(pb::Plan::try_from(&plan), "nodes[1].inputs");
}

proptest! {
    #[test]
    fn shapes_survive_the_wire(channels in 1usize..200, height in 1usize..100, width in 1usize..100) {
        let shape = Shape::new(channels, height, width);
        prop_assert_eq!(Shape::try_from(pb::Shape::try_from(shape).unwrap()), Ok(shape));
    }

    #[test]
    fn linear_steps_survive_the_wire(
        sizes in prop::array::uniform8(1usize..=4096),
        padding in prop::array::uniform4(0usize..=4096),
        bits in prop::array::uniform3(1u32..=64),
    ) {
        let Some(tacit_protocol::plan::Step::Linear(mut linear)) =
            plan().nodes.get(1).map(|node| node.step.clone()) else { unreachable!() };
        let [a, b, c, d, e, f, g, h] = sizes;
        linear.shape.kernel = [a, b];
        linear.shape.stride = [c, d];
        linear.shape.dilation = [e, f];
        linear.shape.padding =
            Padding { top: padding[0], left: padding[1], bottom: padding[2], right: padding[3] };
        linear.packing.parameters = ParameterSet::N4096;
        linear.packing.window = [g, h];
        linear.packing.channel_tile = g;
        linear.packing.output_tile = h;
        [linear.packing.upload_bits, linear.packing.response_mask_bits, linear.packing.response_body_bits] = bits;
        let wire = pb::LinearStep::try_from(linear).unwrap();
        prop_assert_eq!(LinearStep::try_from(wire), Ok(linear));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(wire) = pb::Plan::decode(bytes.as_slice()) {
            let _ = Plan::try_from(wire);
        }
    }

    #[test]
    fn damaged_plans_never_panic(position in 0usize..1000, value: u8) {
        let mut bytes = wire().encode_to_vec();
        let position = position % bytes.len();
        bytes[position] = value;
        if let Ok(damaged) = pb::Plan::decode(bytes.as_slice())
            && let Ok(plan) = Plan::try_from(damaged)
        {
            prop_assert!(plan.validate().is_ok());
        }
    }
}
