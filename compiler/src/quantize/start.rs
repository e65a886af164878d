//! Numbers of dropped bits to start the search from.
//!
//! Without comparisons every square and every truncation starts with the same bits kept. Where values are compared the
//! start has to be nearer to what the limits allow: node by node each free scale is taken as large as they allow, and each
//! step drops as many bits as bring its value to the bits that are compared. A shift to the left brings a value to the
//! largest scale of the accumulators that it is added to.

use super::objective::{Bits, Limit};
use super::scaling::{Groups, Origin};
use super::skeleton::{Kind, Skeleton};
use super::{MAX_DROPPED, VALUE_BITS};

/// Bits that a squared value keeps.
const SQUARED_BITS: u32 = 9;

/// Bits that a truncated value keeps where nothing is compared.
const TRUNCATED_BITS: u32 = 14;

/// Passes over the network: a free scale may also be limited by layers that come later.
const PASSES: usize = 4;

/// Bits dropped by each node (shifts: minus the bits added).
pub(super) fn starting_drops(
    skeleton: &Skeleton,
    groups: &Groups,
    limits: &[Limit],
    headroom_bits: u32,
    bits: Bits,
) -> Vec<i32> {
    if !skeleton.compares() {
        return skeleton.nodes.iter().map(|node| even_drop(&node.kind, headroom_bits)).collect();
    }
    let mut drops = vec![0; skeleton.nodes.len()];
    let mut scales: Vec<Option<f64>> = vec![None; groups.origins.len()];
    for _ in 0..PASSES {
        pass(skeleton, groups, limits, bits, &mut scales, &mut drops);
    }
    drops
}

/// Bits dropped by a node of a network without comparisons.
fn even_drop(kind: &Kind, headroom_bits: u32) -> i32 {
    let beyond = |kept: u32| VALUE_BITS.saturating_sub(headroom_bits + kept).min(MAX_DROPPED) as i32;
    match kind {
        Kind::Square => beyond(SQUARED_BITS),
        Kind::Truncate => beyond(TRUNCATED_BITS).max(1),
        _ => 0,
    }
}

/// Sets scales and drops node by node, with those of the pass before where later ones are needed.
fn pass(
    skeleton: &Skeleton,
    groups: &Groups,
    limits: &[Limit],
    bits: Bits,
    scales: &mut [Option<f64>],
    drops: &mut [i32],
) {
    let mut done = vec![false; groups.origins.len()];
    for (id, node) in skeleton.nodes.iter().enumerate() {
        for group in &groups.of_channel[id] {
            if done[*group] {
                continue;
            }
            let highest = highest_scale(*group, limits, scales);
            let scale = match groups.origins[*group] {
                Origin::Root => highest,
                Origin::Derived { node: changing, from, power } if changing == id => {
                    let Some(from) = scales[from] else { continue };
                    drops[id] = match node.kind {
                        Kind::Shift => -((highest - from).floor().clamp(0.0, f64::from(MAX_DROPPED)) as i32),
                        // The limit of a value that is not compared is that of an accumulator.
                        Kind::Truncate => dropped(from - (highest - f64::from(VALUE_BITS) + bits.compared)).max(1),
                        Kind::Square => {
                            dropped(from - (highest / 2.0 - f64::from(VALUE_BITS) / 2.0 + f64::from(SQUARED_BITS)))
                        }
                        _ => dropped(from - highest),
                    };
                    f64::from(power) * (from - f64::from(drops[id]))
                }
                // Known once the step is reached that it is derived from.
                Origin::Derived { .. } => continue,
            };
            done[*group] = true;
            scales[*group] = Some(scale);
        }
    }
}

/// Whole bits to drop for an excess.
fn dropped(excess: f64) -> i32 {
    excess.ceil().clamp(0.0, f64::from(MAX_DROPPED)) as i32
}

/// The largest scale of a group under the limits whose other groups have a scale.
fn highest_scale(group: usize, limits: &[Limit], scales: &[Option<f64>]) -> f64 {
    let mut highest = f64::INFINITY;
    for limit in limits {
        let bounds = limit.slots.iter().any(|(slot, power)| *slot == group && *power > 0);
        let others = limit.slots.iter().filter(|(slot, power)| *slot != group && *power != 0);
        if bounds && others.clone().all(|(slot, _)| scales[*slot].is_some()) {
            let known = others.map(|(slot, power)| f64::from(*power) * scales[*slot].unwrap_or(0.0)).sum::<f64>();
            highest = highest.min(limit.limit - known);
        }
    }
    highest
}
