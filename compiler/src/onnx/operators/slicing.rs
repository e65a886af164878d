//! The bounds of `Slice`.

use crate::onnx::node::Node;
use crate::onnx::shape;

/// What is taken of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slicing {
    /// The axis.
    pub axis: usize,
    /// First position.
    pub start: usize,
    /// Distance from each position to the next; not zero.
    pub step: i64,
    /// Number of positions.
    pub count: usize,
}

impl Slicing {
    /// The positions, in order.
    pub fn positions(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { start, step, count, .. } = *self;
        (0..count).map(move |index| (start as i64 + index as i64 * step) as usize)
    }
}

/// Reads bounds that are attributes (without steps) in old operator sets and inputs in new ones.
pub(super) fn resolve(node: &Node<'_>, dims: &[usize]) -> Result<Vec<Slicing>, String> {
    let starts = node.integers("starts", 1)?.ok_or("has no starts")?;
    let ends = node.integers("ends", 2)?.ok_or("has no ends")?;
    let axes = match node.integers("axes", 3)? {
        Some(axes) => axes,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match node.constant(4, "steps")? {
        Some(steps) => steps.integers()?.to_vec(),
        None => vec![1; starts.len()],
    };
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("has starts, ends, axes and steps of different lengths".to_owned());
    }
    let mut slicings: Vec<Slicing> = Vec::with_capacity(axes.len());
    for (index, &axis) in axes.iter().enumerate() {
        let axis = shape::axis(axis, dims.len())?;
        if slicings.iter().any(|other| other.axis == axis) {
            return Err(format!("cuts axis {axis} twice"));
        }
        let (length, step) = (dims[axis] as i64, steps[index]);
        // Going backwards, the end may lie before the first position.
        let (lowest, highest) = match step {
            0 => return Err(format!("takes axis {axis} in steps of 0")),
            1.. => (0, length),
            _ => (-1, length - 1),
        };
        let bound = |at: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(lowest, highest);
        let (start, end) = (bound(starts[index]), bound(ends[index]));
        let distance = if step > 0 { end - start } else { start - end };
        let count = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as usize;
        slicings.push(Slicing { axis, start: start.max(0) as usize, step, count });
    }
    Ok(slicings)
}
