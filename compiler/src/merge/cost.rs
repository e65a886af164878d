//! What a graph would cost if each layer were computed as it stands.

use serde::Serialize;

use super::rewrite::is_bare_square;
use crate::graph::{Graph, Layer, Operator};

/// Counts of a graph, or the difference of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Multiplications one after another on the longest path from input to output.
    pub levels: i64,
    /// Products of a weight or constant with a private value.
    pub products: i64,
    /// Additions to private values.
    pub additions: i64,
    /// Round trips online: one for each square, and one for each rescaling that a product with a constant needs where
    /// the next step cannot absorb it.
    pub round_trips: i64,
}

impl Cost {
    /// Sum over the layers; `levels` is the longest path.
    pub(super) fn of_graph(graph: &Graph) -> Self {
        let mut total = Self::default();
        let mut depth = Vec::with_capacity(graph.layers.len());
        for layer in &graph.layers {
            let cost = Self::of_layer(graph, layer);
            total.products += cost.products;
            total.additions += cost.additions;
            total.round_trips += cost.round_trips;
            let above = layer.inputs.iter().map(|input| depth[*input]).max().unwrap_or(0);
            depth.push(above + cost.levels);
        }
        total.levels = depth.get(graph.output).copied().unwrap_or(0);
        total
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            levels: self.levels - other.levels,
            products: self.products - other.products,
            additions: self.additions - other.additions,
            round_trips: self.round_trips - other.round_trips,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.minus(Self::default().minus(other))
    }

    fn of_layer(graph: &Graph, layer: &Layer) -> Self {
        let elements = layer.shape.elements() as i64;
        let area = (layer.shape.height * layer.shape.width) as i64;
        let where_true = |flags: &mut dyn Iterator<Item = bool>| area * flags.filter(|flag| *flag).count() as i64;
        match &layer.operator {
            Operator::Linear(linear) => {
                let products = linear_products(&linear.shape);
                let rescaling = i64::from(follows_linear(graph, layer));
                Self { levels: 1, products, additions: products, round_trips: rescaling }
            }
            Operator::Affine { scale, shift } => {
                let products = where_true(&mut scale.iter().map(|value| *value != 1.0));
                let additions = where_true(&mut shift.iter().map(|value| *value != 0.0));
                let scaled = i64::from(products > 0);
                Self { levels: scaled, products, additions, round_trips: scaled }
            }
            Operator::AddMap(map) => {
                Self { additions: map.iter().filter(|value| **value != 0.0).count() as i64, ..Self::default() }
            }
            operator @ Operator::Quadratic { square, linear, constant } => {
                let linears = where_true(&mut linear.iter().map(|value| *value != 0.0));
                let products = where_true(&mut square.iter().map(|value| *value != 1.0)) + linears;
                let additions = where_true(&mut constant.iter().map(|value| *value != 0.0)) + linears;
                let steps = if is_bare_square(operator) || products == 0 { 1 } else { 2 };
                Self { levels: steps, products, additions, round_trips: steps }
            }
            Operator::AveragePool { kernel, .. } => {
                let additions = elements * (kernel[0] * kernel[1]) as i64;
                Self { levels: 1, products: elements, additions, round_trips: 1 }
            }
            Operator::SumPool { kernel, .. } => {
                Self { additions: elements * (kernel[0] * kernel[1]) as i64, ..Self::default() }
            }
            Operator::Add | Operator::Subtract => Self { additions: elements, ..Self::default() },
            Operator::Multiply { .. } => Self { products: elements, ..Self::default() },
            Operator::Relu => Self { levels: 1, products: elements, additions: 0, round_trips: 2 },
            Operator::MaxPool { kernel, .. } => {
                let levels = kernel.iter().map(|size| i64::from(size.next_power_of_two().ilog2())).sum::<i64>();
                let products = elements * (kernel[0] * kernel[1] - 1) as i64;
                Self { levels, products, additions: 2 * products, round_trips: 2 * levels }
            }
            Operator::Input | Operator::Pad(_) | Operator::Reshape | Operator::Concat | Operator::Slice { .. } => {
                Self::default()
            }
        }
    }
}

/// Products of weights and inputs of a linear layer, padding counted.
pub(super) fn linear_products(shape: &tacit_protocol::plan::LinearShape) -> i64 {
    (shape.weight_count() * shape.output.height * shape.output.width) as i64
}

/// Whether a linear layer's input comes from another linear layer with nothing but local steps between.
fn follows_linear(graph: &Graph, layer: &Layer) -> bool {
    let mut current = layer;
    while let Some(input) = current.inputs.first() {
        current = &graph.layers[*input];
        match current.operator {
            Operator::Linear(_) => return true,
            Operator::SumPool { .. }
            | Operator::Multiply { .. }
            | Operator::Pad(_)
            | Operator::Reshape
            | Operator::Add
            | Operator::Subtract
            | Operator::Concat
            | Operator::Slice { .. }
            | Operator::AddMap(_) => {}
            _ => return false,
        }
    }
    false
}
