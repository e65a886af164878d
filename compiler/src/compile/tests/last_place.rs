//! The last-place rule: private arithmetic, simulated with random shares, stays inside of the intervals.

use tacit_engine::fixed_point::{Evaluator, evaluate, evaluate_range};
use tacit_protocol::plan::Step;
use tacit_protocol::share::Share;

use crate::quantize::Calibration;
use crate::test_support::{Numbers, images, quadratic_network};
use crate::{CompileOptions, CompiledModel, compile};

fn compiled(seed: u64) -> CompiledModel {
    let graph = quadratic_network(seed);
    let calibration = Calibration::from_samples(images(graph.layers[0].shape, 32, seed + 100)).unwrap();
    compile(graph, Some(&calibration), &CompileOptions::default()).unwrap()
}

/// Section 6: the server adds `2^30 + 2^f - 1` to its share, both drop `f` bits, the wrap is taken out.
fn private_truncation(value: u32, drop: u32, numbers: &mut Numbers) -> u32 {
    if drop == 0 {
        return value;
    }
    const OFFSET: u32 = 1 << 30;
    let client = numbers.integer() as u32;
    let server = value.wrapping_sub(client).wrapping_add(OFFSET).wrapping_add((1 << drop) - 1);
    let turn = ((1u64 << 32) >> drop) as u32;
    let wrapped = u32::from(client >> 31 == 0 && server >> 31 == 0);
    (client >> drop)
        .wrapping_add(server >> drop)
        .wrapping_sub(turn)
        .wrapping_sub(OFFSET >> drop)
        .wrapping_add(turn.wrapping_mul(wrapped))
}

/// Private inference with random shares and random errors in the last place of accumulators.
fn private_logits(model: &CompiledModel, input: &[u32], numbers: &mut Numbers) -> Vec<u32> {
    let plan = &model.plan;
    let evaluator = Evaluator::new(plan, &model.parameters);
    let mut values: Vec<Share> = Vec::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        let source = node.inputs.first().map(|input| values[*input].clone());
        let mut map = |value: &mut dyn FnMut(u32, &mut Numbers) -> u32| {
            Share(source.iter().flat_map(|share| share.iter()).map(|element| value(*element, numbers)).collect())
        };
        let value = match &node.step {
            Step::Truncate { drop } => map(&mut |element, numbers| private_truncation(element, *drop, numbers)),
            Step::Square { drop } => map(&mut |element, numbers| {
                let root = private_truncation(element, *drop, numbers);
                root.wrapping_mul(root)
            }),
            Step::Output { drop } => map(&mut |element, numbers| {
                let client = numbers.integer() as u32;
                let server = element.wrapping_sub(client);
                client.wrapping_add(server >> drop << drop).wrapping_add((1 << drop) >> 1)
            }),
            Step::Linear(_) => {
                let mut exact = evaluator.value(index, &values, input);
                exact.iter_mut().for_each(|element| {
                    *element = element.wrapping_add((numbers.integer() % 3) as u32).wrapping_sub(1);
                });
                exact
            }
            _ => evaluator.value(index, &values, input),
        };
        values.push(value);
    }
    values.last().unwrap().to_vec()
}

#[test]
fn simulated_private_inference_stays_within_the_rule() {
    let mut numbers = Numbers(7);
    for seed in 0..3 {
        let model = compiled(seed);
        let shape = model.plan.input_shape();
        for image in images(shape, 8, seed) {
            let input = model.plan.encode_input(&image).unwrap();
            let ranges = evaluate_range(&model.plan, &model.parameters, &input);
            let reference = evaluate(&model.plan, &model.parameters, &input);
            for _ in 0..4 {
                let private = private_logits(&model, &input, &mut numbers);
                for ((logit, exact), (low, high)) in private.iter().zip(&reference).zip(&ranges) {
                    for value in [logit, exact] {
                        let value = i64::from(*value as i32);
                        assert!((*low..=*high).contains(&value), "{low} {value} {high}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_private_truncation_errs_by_less_than_one_unit_with_mean_zero() {
    let mut numbers = Numbers(8);
    for drop in [1, 2, 7, 15, 24] {
        let (mut sum, count) = (0.0, 20_000);
        for _ in 0..count {
            let value = (numbers.integer() as i32 >> 1) / 2;
            let got = f64::from(private_truncation(value as u32, drop, &mut numbers) as i32);
            let error = got - f64::from(value) / 2f64.powi(drop as i32);
            assert!(error.abs() < 1.0, "{value} {drop} {error}");
            let (low, high) = (i64::from(value) >> drop, -(-i64::from(value) >> drop));
            assert!((low..=high).contains(&(got as i64)));
            sum += error;
        }
        assert!((sum / f64::from(count)).abs() < 0.02, "{drop}: {}", sum / f64::from(count));
    }
}

#[test]
fn every_node_of_a_calibration_sample_stays_in_the_bits_of_the_plan() {
    let model = compiled(5);
    let sample = images(quadratic_network(5).layers[0].shape, 32, 105).swap_remove(7);
    let input = model.plan.encode_input(&sample).unwrap();
    let values = Evaluator::new(&model.plan, &model.parameters).values(&input);
    assert_eq!(values.len(), model.plan.nodes.len());
    for (node, value) in model.plan.nodes.iter().zip(&values) {
        assert_eq!(value.len(), node.shape.elements());
        assert!(value.iter().all(|element| (*element as i32).unsigned_abs() < 1 << (node.bits - 1)), "{node:?}");
    }
    assert_eq!(values[values.len() - 1].0, evaluate(&model.plan, &model.parameters, &input));
}
