//! The choice of scales and dropped bits.
//!
//! With `L` the binary logarithm of a scale, the expected squared error of a logit is a sum of terms `c 2^(p . L)`:
//! - each square, ReLU and truncation that drops `d` bits: `(4^d / 6 + 1/2) Q / S^2`, the variance of the private truncation
//!   (triangular, 1/6) and of the last place of the accumulator, `Q` the sensitivity to its input;
//! - each linear layer: `F / 12 (S_in / S_out)^2`, the rounding of weights with the scale `S_out / S_in`;
//! - the input: `Q / 12 / S^2`.
//!
//! The limits are linear in `L`: values with headroom below `2^30`, compared values in the bits that are compared, weights
//! in 16 bits. For fixed `d` the problem is
//! convex (a geometric program) and is solved by exact line searches along one root at a time; the `d` are integers and are
//! searched by single steps.

use std::collections::BTreeMap;

use super::objective::{Bits, Limit, Term, error_terms, exponent, limits};
use super::ranges::Ranges;
use super::scaling::{Groups, Origin};
use super::sensitivity::Sensitivity;
use super::skeleton::{Kind, Skeleton};
use super::start::starting_drops;
use super::{MAX_DROPPED, QuantizeError};

/// Line searches along each root for each choice of dropped bits.
const SWEEPS: usize = 4;
/// Fewest bits dropped from logits in the output step, which hide the last places of the accumulator.
pub(crate) const MIN_OUTPUT_DROP: f64 = 8.0;

/// The outcome.
#[derive(Clone, Debug)]
pub(crate) struct Scales {
    /// Per group: binary logarithm of the scale; integers for input and output.
    pub logarithms: Vec<f64>,
    /// Per node: bits dropped, minus the bits added by shifts, 0 for steps that leave the scale.
    pub drops: Vec<i32>,
    /// Expected root mean square error of a logit.
    pub expected_error: f64,
}

struct Search<'a> {
    groups: &'a Groups,
    terms: Vec<Term>,
    limits: Vec<Limit>,
    /// Roots in order, and for each group the terms and limits that depend on it as a root.
    roots: Vec<usize>,
    terms_of: Vec<Vec<usize>>,
    limits_of: Vec<Vec<usize>>,
}

/// A point of the search.
#[derive(Clone)]
struct Point {
    roots: Vec<f64>,
    drops: Vec<i32>,
}

/// Finds the scales.
///
/// # Errors
/// If values or weights of a layer fit under no choice.
pub(crate) fn find_scales(
    skeleton: &Skeleton,
    groups: &Groups,
    ranges: &Ranges,
    sensitivity: &Sensitivity,
    headroom_bits: u32,
    bits: Bits,
) -> Result<Scales, QuantizeError> {
    let search = Search::new(skeleton, groups, ranges, sensitivity, headroom_bits, bits);
    let drops = starting_drops(skeleton, groups, &search.limits, headroom_bits, bits);
    let dropping: Vec<usize> = (0..drops.len()).filter(|id| skeleton.nodes[*id].kind.changes_scale()).collect();
    let mut point = Point { roots: vec![f64::INFINITY; groups.origins.len()], drops };
    let mut fixed = vec![];
    search.settle(&mut point, &fixed);
    search.untangle(skeleton, &mut point);
    search.search_drops(skeleton, &dropping, &mut point, &fixed);
    for end in [groups.input, groups.output] {
        if groups.origins[end] == Origin::Root && !fixed.contains(&end) {
            point.roots[end] = point.roots[end].floor();
            fixed.push(end);
            search.settle(&mut point, &fixed);
        }
    }
    search.search_drops(skeleton, &dropping, &mut point, &fixed);
    let logarithms = groups.resolve(&point.roots, &point.drops);
    search.verify(skeleton, &logarithms)?;
    let expected_error = search.error(&logarithms, &point.drops).sqrt();
    Ok(Scales { logarithms, drops: point.drops, expected_error })
}

impl<'a> Search<'a> {
    fn new(
        skeleton: &Skeleton,
        groups: &'a Groups,
        ranges: &Ranges,
        sensitivity: &Sensitivity,
        headroom_bits: u32,
        bits: Bits,
    ) -> Self {
        let terms = error_terms(skeleton, groups, sensitivity);
        let limits = limits(skeleton, groups, ranges, f64::from(headroom_bits), bits);
        let roots = (0..groups.origins.len()).filter(|group| groups.origins[*group] == Origin::Root).collect();
        let mut terms_of = vec![vec![]; groups.origins.len()];
        let mut limits_of = vec![vec![]; groups.origins.len()];
        let index = |lists: &mut Vec<Vec<usize>>, position: usize, slots: &[(usize, i32); 2]| {
            for (group, power) in slots {
                let list = &mut lists[groups.root(*group).0];
                if *power != 0 && list.last() != Some(&position) {
                    list.push(position);
                }
            }
        };
        terms.iter().enumerate().for_each(|(position, term)| index(&mut terms_of, position, &term.slots));
        limits.iter().enumerate().for_each(|(position, limit)| index(&mut limits_of, position, &limit.slots));
        Self { groups, terms, limits, roots, terms_of, limits_of }
    }

    /// Brings a point inside the limits and then to the least error for its dropped bits.
    fn settle(&self, point: &mut Point, fixed: &[usize]) {
        self.repair(point, fixed);
        for _ in 0..SWEEPS {
            for root in self.roots.iter().filter(|root| !fixed.contains(root)) {
                let logarithms = self.groups.resolve(&point.roots, &point.drops);
                point.roots[*root] += self.best_step(*root, &logarithms, &point.drops);
            }
        }
    }

    /// Lowers each free root, in order, below the limits that it has with groups settled before, and then below those
    /// that it has with any.
    fn repair(&self, point: &mut Point, fixed: &[usize]) {
        let mut known = vec![false; self.groups.origins.len()];
        fixed.iter().for_each(|root| known[*root] = true);
        for root in [&self.roots, &self.roots].into_iter().flatten().filter(|root| !fixed.contains(root)) {
            known[*root] = true;
            if point.roots[*root].is_infinite() {
                // Any value works as the origin of the step below.
                point.roots[*root] = 0.0;
                point.roots[*root] = self.largest_step(*root, point, &known).min(1000.0);
            } else {
                point.roots[*root] += self.largest_step(*root, point, &known).min(0.0);
            }
        }
    }

    /// Keeps limits between two scales that come from one root, which no root can satisfy: drops fewer bits between them,
    /// or shifts by fewer.
    fn untangle(&self, skeleton: &Skeleton, point: &mut Point) {
        for _ in 0..MAX_DROPPED {
            let logarithms = self.groups.resolve(&point.roots, &point.drops);
            let broken = self.limits.iter().filter(|limit| exponent(&limit.slots, &logarithms) > limit.limit + 1e-6);
            let mut changing: Vec<usize> = broken.filter_map(|limit| self.between(skeleton, limit, point)).collect();
            if changing.is_empty() {
                return;
            }
            changing.sort_unstable();
            changing.dedup();
            for node in changing {
                point.drops[node] += if point.drops[node] < 0 { 1 } else { -1 };
            }
            self.settle(point, &[]);
        }
    }

    /// For a limit that no root moves: a shift that raises its upper scale, or a step that drops bits above its lower one.
    fn between(&self, skeleton: &Skeleton, limit: &Limit, point: &Point) -> Option<usize> {
        let roots = limit.slots.iter().filter(|(_, power)| *power != 0).map(|(group, _)| self.groups.root(*group).0);
        if roots.clone().any(|root| self.slope(root, &limit.slots) > 0.0) {
            return None;
        }
        let changing = |(group, power): &(usize, i32)| match (self.groups.origins[*group], power) {
            (Origin::Derived { node, .. }, 1) if point.drops[node] < 0 => Some(node),
            (Origin::Derived { node, .. }, -1) => {
                let fewest = i32::from(matches!(skeleton.nodes[node].kind, Kind::Truncate));
                (point.drops[node] > fewest).then_some(node)
            }
            _ => None,
        };
        limit.slots.iter().find_map(changing)
    }

    /// How far a root can rise under the limits whose groups are all known.
    fn largest_step(&self, root: usize, point: &Point, known: &[bool]) -> f64 {
        let logarithms = self.groups.resolve(&point.roots, &point.drops);
        let usable = self.limits_of[root]
            .iter()
            .map(|index| &self.limits[*index])
            .filter(|limit| limit.slots.iter().all(|(group, power)| *power == 0 || known[self.groups.root(*group).0]));
        usable.fold(f64::INFINITY, |step, limit| {
            let slope = self.slope(root, &limit.slots);
            if slope > 0.0 { step.min((limit.limit - exponent(&limit.slots, &logarithms)) / slope) } else { step }
        })
    }

    /// By how much the exponent moves with a root.
    fn slope(&self, root: usize, slots: &[(usize, i32); 2]) -> f64 {
        let parts = slots.iter().map(|(group, power)| match self.groups.root(*group) {
            (above, factor) if above == root => factor * power,
            _ => 0,
        });
        f64::from(parts.sum::<i32>())
    }

    /// The step along one root to the least error within the limits.
    fn best_step(&self, root: usize, logarithms: &[f64], drops: &[i32]) -> f64 {
        let (mut low, mut high) = (-60.0f64, 60.0f64);
        for limit in self.limits_of[root].iter().map(|index| &self.limits[*index]) {
            let slope = self.slope(root, &limit.slots);
            let slack = (limit.limit - exponent(&limit.slots, logarithms)).max(0.0);
            if slope > 0.0 {
                high = high.min(slack / slope);
            } else if slope < 0.0 {
                low = low.max(slack / slope);
            }
        }
        // Terms of the same power add up, so the line search does not depend on their number.
        let mut powers: BTreeMap<i32, f64> = BTreeMap::new();
        for term in self.terms_of[root].iter().map(|index| &self.terms[*index]) {
            let slope = self.slope(root, &term.slots) as i32;
            *powers.entry(slope).or_default() += term.value(logarithms, drops);
        }
        let derivative = |step: f64| {
            let parts =
                powers.iter().map(|(power, value)| f64::from(*power) * value * (f64::from(*power) * step).exp2());
            parts.sum::<f64>()
        };
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if derivative(middle) > 0.0 { high = middle } else { low = middle }
        }
        low
    }

    fn error(&self, logarithms: &[f64], drops: &[i32]) -> f64 {
        self.terms.iter().map(|term| term.value(logarithms, drops)).sum()
    }

    /// Moves the dropped bits of one node at a time as long as that lowers the error.
    fn search_drops(&self, skeleton: &Skeleton, dropping: &[usize], point: &mut Point, fixed: &[usize]) {
        let value = |point: &Point| self.error(&self.groups.resolve(&point.roots, &point.drops), &point.drops);
        let mut least = value(point);
        loop {
            let before = least;
            for node in dropping {
                for step in [4i32, -4, 2, -2, 1, -1] {
                    loop {
                        let mut trial = point.clone();
                        let drop = trial.drops[*node] + step;
                        let most = MAX_DROPPED as i32;
                        let range = match skeleton.nodes[*node].kind {
                            Kind::Truncate => 1..=most,
                            Kind::Shift => -most..=0,
                            _ => 0..=most,
                        };
                        if !range.contains(&drop) {
                            break;
                        }
                        trial.drops[*node] = drop;
                        self.settle(&mut trial, fixed);
                        let error = value(&trial);
                        // An error that is not a number is no gain.
                        let is_gain = error < least * (1.0 - 1e-6) && self.is_inside(&trial);
                        if !is_gain {
                            break;
                        }
                        *point = trial;
                        least = error;
                    }
                }
            }
            if least.partial_cmp(&(before * 0.999)) != Some(std::cmp::Ordering::Less) {
                return;
            }
        }
    }

    fn is_inside(&self, point: &Point) -> bool {
        let logarithms = self.groups.resolve(&point.roots, &point.drops);
        self.limits.iter().all(|limit| exponent(&limit.slots, &logarithms) <= limit.limit + 1e-6)
    }

    fn verify(&self, skeleton: &Skeleton, logarithms: &[f64]) -> Result<(), QuantizeError> {
        for limit in &self.limits {
            // A value that is not a number counts as outside.
            let is_inside = exponent(&limit.slots, logarithms) <= limit.limit + 1e-6;
            if !is_inside {
                let node = &skeleton.nodes[limit.node];
                let reason = match node.kind {
                    Kind::Linear(_) if limit.slots[1].1 != 0 => {
                        "its weights do not fit 16 bits at the scales that its neighbours need; \
                         normalise the activations around it"
                    }
                    _ => {
                        "its values do not fit 31 bits at the scale that its neighbours need; normalise the activations around it"
                    }
                };
                return Err(QuantizeError::layer(&node.name, reason));
            }
        }
        Ok(())
    }
}
