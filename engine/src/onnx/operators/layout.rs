//! Operators that keep the elements and their order.

use crate::onnx::importer::Importer;
use crate::onnx::node::Node;
use crate::onnx::polynomial::Activation;
use crate::onnx::shape;

/// `Flatten`, `Reshape`, `Squeeze`, `Unsqueeze`, `Transpose` of an activation.
pub(super) fn change(importer: &mut Importer, node: &Node<'_>) -> Result<Activation, String> {
    let value = node.activation(0)?;
    let dims = if node.operator() == "Transpose" {
        transposed(&value.dims, node.ints("perm")?)?
    } else {
        new_dimensions(node, &value.dims)?
    };
    importer.reshaped(node, value, dims)
}

/// Dimensions after `Flatten`, `Reshape`, `Squeeze` or `Unsqueeze`.
pub(super) fn new_dimensions(node: &Node<'_>, dims: &[usize]) -> Result<Vec<usize>, String> {
    match node.operator() {
        "Flatten" => shape::flatten(dims, node.int("axis")?.unwrap_or(1)),
        "Reshape" => {
            let target = node.required_constant(1, "the new shape")?;
            shape::reshape(dims, target.integers()?, node.int("allowzero")?.unwrap_or(0) != 0)
        }
        "Squeeze" => shape::squeeze(dims, node.integers("axes", 1)?.as_deref()),
        _ => shape::unsqueeze(dims, &node.integers("axes", 1)?.ok_or("has no axes")?),
    }
}

/// Dimensions after a transposition that moves only dimensions of 1.
fn transposed(dims: &[usize], perm: Option<&[i64]>) -> Result<Vec<usize>, String> {
    let axes = shape::permutation(dims.len(), perm)?;
    let moved: Vec<usize> = axes.iter().copied().filter(|&axis| axis == 0 || dims[axis] != 1).collect();
    if axes.first() != Some(&0) || !moved.is_sorted() {
        return Err(format!(
            "permutes the axes of {dims:?} by {axes:?}, which changes the order of the elements; supported are \
             transpositions that move only dimensions of 1"
        ));
    }
    Ok(axes.iter().map(|&axis| dims[axis]).collect())
}
