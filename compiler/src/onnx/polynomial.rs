//! Elementwise values as polynomials of degree at most 2.
//!
//! Exporters write `a*x^2 + b*x + c` as several nodes in any order. Each elementwise value is therefore kept as
//! a polynomial, with one coefficient triple per channel, in the value of a *base* layer; it becomes a layer
//! of its own only when something other than elementwise arithmetic takes it.

use std::sync::Arc;

use super::order::Order;
use crate::graph::{LayerId, Operator};

/// `square[c] x^2 + linear[c] x + constant[c]`, `x` the value of `base`.
///
/// Each list holds one coefficient per channel of the base, or a single one for all channels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Polynomial {
    /// The layer whose value is the variable.
    pub base: LayerId,
    /// Coefficients of `x^2`.
    pub square: Vec<f64>,
    /// Coefficients of `x`.
    pub linear: Vec<f64>,
    /// Constants.
    pub constant: Vec<f64>,
}

/// A value that depends on the network's input.
#[derive(Clone)]
pub(super) struct Activation {
    /// What is computed.
    pub polynomial: Arc<Polynomial>,
    /// Dimensions in the file, batch first.
    pub dims: Vec<usize>,
    /// How the elements of the base come one after the other in the file.
    pub order: Order,
    /// Name of the node that computes it.
    pub name: String,
}

impl Polynomial {
    /// `x` itself.
    pub fn identity(base: LayerId) -> Self {
        Self { base, square: vec![0.0], linear: vec![1.0], constant: vec![0.0] }
    }

    /// Number of coefficients that are stored.
    pub fn stored(&self) -> usize {
        self.square.len() + self.linear.len() + self.constant.len()
    }

    /// Whether the coefficients are stored as the same ones for all channels.
    pub fn is_uniform(&self) -> bool {
        self.stored() == 3
    }

    /// Whether this is `x` itself in all channels.
    pub fn is_identity(&self) -> bool {
        self.degree() <= 1
            && self.linear.iter().all(|&factor| factor == 1.0)
            && self.constant.iter().all(|&addend| addend == 0.0)
    }

    /// The largest degree over the channels.
    pub fn degree(&self) -> u32 {
        if self.square.iter().any(|&factor| factor != 0.0) {
            2
        } else {
            u32::from(self.linear.iter().any(|&factor| factor != 0.0))
        }
    }

    /// Sum of two polynomials of the same base.
    pub fn add(&self, other: &Self) -> Self {
        Self {
            base: self.base,
            square: zip(&self.square, &other.square, |a, b| a + b),
            linear: zip(&self.linear, &other.linear, |a, b| a + b),
            constant: zip(&self.constant, &other.constant, |a, b| a + b),
        }
    }

    /// This plus one constant per channel.
    pub fn shifted(&self, addend: &[f64]) -> Self {
        Self { constant: zip(&self.constant, addend, |a, b| a + b), ..self.clone() }
    }

    /// This times one factor per channel.
    pub fn scaled(&self, factor: &[f64]) -> Self {
        Self {
            base: self.base,
            square: zip(&self.square, factor, |a, b| a * b),
            linear: zip(&self.linear, factor, |a, b| a * b),
            constant: zip(&self.constant, factor, |a, b| a * b),
        }
    }

    /// This with its sign changed.
    pub fn negated(&self) -> Self {
        self.scaled(&[-1.0])
    }

    /// Product of two polynomials of the same base, whose degrees add up to at most 2.
    pub fn product(&self, other: &Self) -> Option<Self> {
        if self.degree() + other.degree() > 2 {
            return None;
        }
        let times = |a: &[f64], b: &[f64]| zip(a, b, |a, b| a * b);
        let plus = |a: &[f64], b: &[f64]| zip(a, b, |a, b| a + b);
        let outer = plus(&times(&self.square, &other.constant), &times(&self.constant, &other.square));
        Some(Self {
            base: self.base,
            square: plus(&outer, &times(&self.linear, &other.linear)),
            linear: plus(&times(&self.linear, &other.constant), &times(&self.constant, &other.linear)),
            constant: times(&self.constant, &other.constant),
        })
    }

    /// The operator that computes it from the value of a base of `channels` channels.
    pub fn to_operator(&self, channels: usize) -> Operator {
        let expand = |coefficients: &[f64]| match coefficients {
            [single] => vec![*single; channels],
            all => all.to_vec(),
        };
        if self.degree() == 2 {
            Operator::Quadratic {
                square: expand(&self.square),
                linear: expand(&self.linear),
                constant: expand(&self.constant),
            }
        } else {
            Operator::Affine { scale: expand(&self.linear), shift: expand(&self.constant) }
        }
    }
}

/// Combines two lists of coefficients, either of which may be a single one for all channels.
fn zip(left: &[f64], right: &[f64], operation: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    match (left, right) {
        ([a], _) => right.iter().map(|&b| operation(*a, b)).collect(),
        (_, [b]) => left.iter().map(|&a| operation(a, *b)).collect(),
        _ => left.iter().zip(right).map(|(&a, &b)| operation(a, b)).collect(),
    }
}
