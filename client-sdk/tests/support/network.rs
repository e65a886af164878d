//! A network of two fully connected layers with a square between them, and what it computes in the clear.

use std::sync::{Arc, LazyLock};

use ndarray::ArrayD;
use tacit_protocol::plan::ExtensionKind;
use tacit_protocol::plan::{
    InputSpec, LinearShape, LinearStep, Node, NodeId, OutputFunction, OutputSpec, Plan, PlanDigest, Shape, Step,
};
use tacit_protocol::rlwe::{PreparedLinear, choose_packing};
use tacit_protocol::session::ServerModel;

/// Weights of both layers, `[output][input]`.
const FIRST: [[i16; 4]; 3] = [[16, -8, 4, 2], [-3, 12, 9, -16], [7, 7, -7, 7]];
const SECOND: [[i16; 3]; 2] = [[16, -5, 3], [-2, 11, 8]];
const FIRST_BIAS: [i32; 3] = [40, -100, 7];
const SECOND_BIAS: [i32; 2] = [-900, 300];

/// The network with everything that a server keeps.
pub struct Network {
    plan: Arc<Plan>,
    first: PreparedLinear,
    second: PreparedLinear,
}

/// The one network of these tests.
pub static NETWORK: LazyLock<Arc<Network>> = LazyLock::new(|| Arc::new(Network::new()));

impl Network {
    fn new() -> Self {
        let prepare = |inputs: usize, outputs: usize, weights: &[i16]| {
            let shape = LinearShape::fully_connected(inputs, outputs);
            let plan = LinearStep { shape, packing: choose_packing(&shape, weights).unwrap() };
            (Step::Linear(plan), PreparedLinear::new(&plan, weights).unwrap())
        };
        let (first_step, first) = prepare(4, 3, FIRST.as_flattened());
        let (second_step, second) = prepare(3, 2, SECOND.as_flattened());
        let node = |step, inputs: &[NodeId], shape, fraction_bits| Node {
            step,
            inputs: inputs.to_vec(),
            shape,
            fraction_bits,
            bits: 30,
        };
        let plan = Plan {
            input: InputSpec { name: "x".into(), dimensions: vec![1, 2, 2], low: -1.0, high: 1.0 },
            nodes: vec![
                node(Step::Input, &[], Shape::new(1, 2, 2), 8),
                node(Step::Reshape, &[0], Shape::vector(4), 8),
                node(first_step, &[1], Shape::vector(3), 12),
                node(Step::Square { drop: 4 }, &[2], Shape::vector(3), 16),
                node(second_step, &[3], Shape::vector(2), 20),
                node(Step::Output { drop: 6 }, &[4], Shape::vector(2), 20),
            ],
            output: OutputSpec {
                name: "y".into(),
                dimensions: vec![2],
                labels: vec!["left".into(), "right".into()],
                function: OutputFunction::Identity,
            },
            transfers: ExtensionKind::DEFAULT,
        };
        plan.validate().unwrap();
        Self { plan: Arc::new(plan), first, second }
    }

    /// The logits in real numbers.
    pub fn plain(input: &ArrayD<f32>) -> Vec<f32> {
        let x: Vec<f32> = input.iter().copied().collect();
        let dot = |weights: &[i16], x: &[f32]| -> f32 {
            weights.iter().zip(x).map(|(weight, x)| f32::from(*weight) / 16.0 * x).sum()
        };
        let hidden = FIRST.iter().zip(FIRST_BIAS).map(|(row, bias)| dot(row, &x) + bias as f32 / 4096.0);
        let squares: Vec<f32> = hidden.map(|value| value * value).collect();
        SECOND.iter().zip(SECOND_BIAS).map(|(row, bias)| dot(row, &squares) + bias as f32 / 1_048_576.0).collect()
    }
}

fn apply<const N: usize>(weights: &[[i16; N]], bias: &[i32], share: &[u32], accumulators: &mut [u32]) {
    for ((row, bias), accumulator) in weights.iter().zip(bias).zip(accumulators) {
        let products =
            row.iter().zip(share).map(|(weight, element)| (i32::from(*weight) as u32).wrapping_mul(*element));
        *accumulator = products.fold(*bias as u32, u32::wrapping_add);
    }
}

impl ServerModel for Network {
    fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    fn digest(&self) -> PlanDigest {
        self.plan.digest()
    }

    fn prepared_linear(&self, node: NodeId) -> Option<&PreparedLinear> {
        match node {
            2 => Some(&self.first),
            4 => Some(&self.second),
            _ => None,
        }
    }

    fn linear(&self, node: NodeId, share: &[u32], accumulators: &mut [u32]) {
        match node {
            2 => apply(&FIRST, &FIRST_BIAS, share, accumulators),
            _ => apply(&SECOND, &SECOND_BIAS, share, accumulators),
        }
    }

    fn offset(&self, _node: NodeId, _share: &mut [u32]) {}
}
