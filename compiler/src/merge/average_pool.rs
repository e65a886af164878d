//! An average over windows is a sum over windows, which is local on shares, times a factor for the layers around it. Where
//! padding is not counted, windows at the border have other divisors: the sums are brought to a common one by small
//! integers for each row and column, which is local too.

use super::error::MergeError;
use super::rewrite::{insert_behind, layers_where};
use crate::graph::{Graph, Layer, LayerId, Operator};

/// Largest factor of a row or column: what it adds in bits is lost to the values.
const MAX_MULTIPLIER: u32 = 1 << 8;

/// Rewrites one average pool.
pub(super) fn apply(graph: &mut Graph) -> Result<Option<String>, MergeError> {
    match layers_where(graph, |operator| matches!(operator, Operator::AveragePool { .. })).first() {
        Some(id) => rewrite(graph, *id).map(Some),
        None => Ok(None),
    }
}

fn rewrite(graph: &mut Graph, id: LayerId) -> Result<String, MergeError> {
    let name = graph.layers[id].name.clone();
    let Operator::AveragePool { kernel, stride, padding, count_include_pad } = graph.layers[id].operator else {
        return Ok(name);
    };
    let output = graph.layers[id].shape;
    let input = graph.layers[graph.layers[id].inputs[0]].shape;
    graph.layers[id].operator = Operator::SumPool { kernel, stride, padding };
    let [rows, columns] = if count_include_pad {
        [Divisors::uniform(kernel[0], output.height), Divisors::uniform(kernel[1], output.width)]
    } else {
        let count = |axis: usize, outputs: usize, before: usize, size: usize| {
            Divisors::of_counts((0..outputs).map(|position| {
                let start = position * stride[axis];
                (start + kernel[axis]).min(size + before).saturating_sub(start.max(before)).max(1)
            }))
        };
        [count(0, output.height, padding.top, input.height), count(1, output.width, padding.left, input.width)]
    };
    let too_large = |divisors: &Divisors| divisors.multipliers.iter().any(|factor| *factor > MAX_MULTIPLIER);
    if too_large(&rows) || too_large(&columns) {
        let reason = "its padding is not counted in the divisor, and its windows have too many different sizes; \
                      export it with count_include_pad=1 or with less padding";
        return Err(MergeError { layer: name, reason: reason.to_string() });
    }
    let factor = 1.0 / (rows.common * columns.common);
    let operator = Operator::Affine { scale: vec![factor; output.channels], shift: vec![0.0; output.channels] };
    insert_behind(graph, id, Layer { name: name.clone(), operator, inputs: vec![], shape: output });
    if rows.multipliers.iter().chain(&columns.multipliers).any(|factor| *factor != 1) {
        let operator = Operator::Multiply { rows: rows.multipliers, columns: columns.multipliers };
        insert_behind(graph, id, Layer { name: name.clone(), operator, inputs: vec![], shape: output });
    }
    Ok(name)
}

/// `1 / divisor` for each row or column as a small integer over a common divisor.
struct Divisors {
    multipliers: Vec<u32>,
    common: f64,
}

impl Divisors {
    fn uniform(divisor: usize, positions: usize) -> Self {
        Self { multipliers: vec![1; positions], common: divisor as f64 }
    }

    fn of_counts(counts: impl Iterator<Item = usize>) -> Self {
        let counts: Vec<u64> = counts.map(|count| count as u64).collect();
        let common = counts.iter().fold(1u64, |common, count| common.saturating_mul(count / gcd(common, *count)));
        let multipliers = counts.iter().map(|count| u32::try_from(common / count).unwrap_or(u32::MAX)).collect();
        Self { multipliers, common: common as f64 }
    }
}

fn gcd(left: u64, right: u64) -> u64 {
    if right == 0 { left } else { gcd(right, left % right) }
}
