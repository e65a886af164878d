//! Arithmetic on dimensions, shared by constants and activations.

use tacit_protocol::plan::Shape;

/// Most dimensions that a tensor may have.
pub(super) const MAX_RANK: usize = 8;

/// Most elements that one tensor may have.
pub(super) const MAX_ELEMENTS: usize = 1 << 27;

/// Number of elements, if it is at most [`MAX_ELEMENTS`].
pub(super) fn element_count(dims: &[usize]) -> Option<usize> {
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim)).filter(|&count| count <= MAX_ELEMENTS)
}

/// The layer shape of a value with the given dimensions, batch first.
///
/// Four dimensions are an image. Of others, a single dimension larger than 1 makes a vector; else the
/// first is the channel and all after the second are joined. The order of elements is always the same.
pub(super) fn layer_shape(dims: &[usize]) -> Shape {
    let sample = &dims[1..];
    match *sample {
        [channels, height, width] => return Shape::new(channels, height, width),
        [channels, height] if channels > 1 && height > 1 => return Shape::new(channels, height, 1),
        _ => {}
    }
    if sample.iter().filter(|&&dim| dim > 1).count() <= 1 {
        return Shape::vector(sample.iter().product());
    }
    Shape::new(sample[0], sample[1], sample[2..].iter().product())
}

/// For each element of a tensor of `target` dimensions, in order, the index of the element of a tensor of `dims`
/// that NumPy's broadcasting rule takes. `dims` must not be larger than `target` in any dimension.
pub(super) fn broadcast_indices(
    dims: &[usize],
    target: &[usize],
) -> Result<impl Iterator<Item = usize> + use<>, String> {
    let mismatch = || format!("a tensor of dimensions {dims:?} cannot be broadcast to {target:?}");
    let lead = target.len().checked_sub(dims.len()).ok_or_else(mismatch)?;
    let count = element_count(target).ok_or_else(mismatch)?;
    let mut strides = vec![0_usize; target.len()];
    let mut stride = 1;
    for (axis, &dim) in dims.iter().enumerate().rev() {
        if dim == target[lead + axis] {
            strides[lead + axis] = stride;
        } else if dim != 1 {
            return Err(mismatch());
        }
        stride *= dim;
    }
    let target = target.to_vec();
    let mut position = vec![0_usize; target.len()];
    let mut index = 0;
    Ok((0..count).map(move |_| {
        let current = index;
        for axis in (0..target.len()).rev() {
            position[axis] += 1;
            index += strides[axis];
            if position[axis] < target[axis] {
                break;
            }
            index -= strides[axis] * target[axis];
            position[axis] = 0;
        }
        current
    }))
}

/// The dimensions of an elementwise operation on two tensors.
pub(super) fn broadcast(left: &[usize], right: &[usize]) -> Result<Vec<usize>, String> {
    let rank = left.len().max(right.len());
    let dim = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |index| dims[index]);
    (0..rank)
        .map(|axis| match (dim(left, axis), dim(right, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!("tensors of dimensions {left:?} and {right:?} cannot be broadcast")),
        })
        .collect()
}

/// An axis counted from the end if it is negative; `limit` is the number of valid positions.
pub(super) fn axis(axis: i64, limit: usize) -> Result<usize, String> {
    let signed_limit = limit as i64;
    let resolved = if axis < 0 { axis.checked_add(signed_limit) } else { Some(axis) };
    match resolved {
        Some(resolved) if (0..signed_limit).contains(&resolved) => Ok(resolved as usize),
        _ => Err(format!("axis {axis} is outside of {limit} dimensions")),
    }
}

/// Dimensions after `Reshape` to `target`, with 0 for a kept and -1 for an inferred dimension.
pub(super) fn reshape(dims: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, String> {
    let mismatch = || format!("dimensions {dims:?} cannot be reshaped to {target:?}");
    if target.len() > MAX_RANK {
        return Err(format!("{} dimensions; at most {MAX_RANK} are supported", target.len()));
    }
    let mut inferred = None;
    let mut result = Vec::with_capacity(target.len());
    for (index, &dim) in target.iter().enumerate() {
        result.push(match dim {
            0 if !allow_zero => *dims.get(index).ok_or_else(mismatch)?,
            -1 if inferred.is_none() => {
                inferred = Some(index);
                1
            }
            dim => usize::try_from(dim).map_err(|_| mismatch())?,
        });
    }
    let count = element_count(dims).ok_or_else(mismatch)?;
    let known = element_count(&result).ok_or_else(mismatch)?;
    if let Some(index) = inferred {
        if known == 0 || !count.is_multiple_of(known) {
            return Err(mismatch());
        }
        result[index] = count / known;
    } else if known != count {
        return Err(mismatch());
    }
    Ok(result)
}

/// Dimensions after `Flatten` at `at`, which may also be the number of dimensions.
pub(super) fn flatten(dims: &[usize], at: i64) -> Result<Vec<usize>, String> {
    let at = if at == dims.len() as i64 { dims.len() } else { axis(at, dims.len())? };
    let count = |dims| element_count(dims).ok_or_else(|| format!("dimensions {dims:?} are too large"));
    Ok(vec![count(&dims[..at])?, count(&dims[at..])?])
}

/// Dimensions after `Squeeze`; without axes every dimension of 1 goes.
pub(super) fn squeeze(dims: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, String> {
    let Some(axes) = axes else {
        return Ok(dims.iter().copied().filter(|&dim| dim != 1).collect());
    };
    let axes = axes.iter().map(|&entry| axis(entry, dims.len())).collect::<Result<Vec<_>, _>>()?;
    if let Some(&wrong) = axes.iter().find(|&&axis| dims[axis] != 1) {
        return Err(format!("axis {wrong} of dimensions {dims:?} is not 1"));
    }
    let kept = dims.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    Ok(kept.map(|(_, &dim)| dim).collect())
}

/// Dimensions after `Unsqueeze`.
pub(super) fn unsqueeze(dims: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = dims.len().saturating_add(axes.len());
    if rank > MAX_RANK {
        return Err(format!("{rank} dimensions; at most {MAX_RANK} are supported"));
    }
    let mut inserted = vec![false; rank];
    for &entry in axes {
        let position = axis(entry, rank)?;
        if std::mem::replace(&mut inserted[position], true) {
            return Err(format!("axis {entry} is inserted twice"));
        }
    }
    let mut kept = dims.iter();
    Ok(inserted.iter().filter_map(|&new| if new { Some(1) } else { kept.next().copied() }).collect())
}

/// The axes that `Transpose` takes, in order: all of them reversed if there is no `perm`.
pub(super) fn permutation(rank: usize, perm: Option<&[i64]>) -> Result<Vec<usize>, String> {
    let Some(perm) = perm else {
        return Ok((0..rank).rev().collect());
    };
    let axes = perm.iter().map(|&entry| axis(entry, rank)).collect::<Result<Vec<_>, _>>()?;
    if axes.len() != rank || (0..rank).any(|axis| !axes.contains(&axis)) {
        return Err(format!("{perm:?} is not a permutation of {rank} axes"));
    }
    Ok(axes)
}
