//! Operators whose inputs are all known: shape arithmetic and transposed weights, evaluated at import.

use crate::onnx::layers::Layers;
use crate::onnx::node::Node;
use crate::onnx::schema::data_type;
use crate::onnx::shape::{self, element_count};
use crate::onnx::tensor::{self, Constant, Values};

use super::slicing;

/// `Shape` of a constant or an activation. A batch that is not fixed is 1.
pub(super) fn shape(node: &Node<'_>) -> Result<Constant, String> {
    let dims = node.input(0)?.dims();
    let rank = dims.len() as i64;
    let bound = |value: i64| (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank) as usize;
    let start = bound(node.int("start")?.unwrap_or(0));
    let end = bound(node.int("end")?.unwrap_or(rank)).max(start);
    Ok(Constant::integer_vector(dims[start..end].iter().map(|&dim| dim as i64).collect()))
}

/// The value of a node all of whose inputs are constants.
pub(super) fn evaluate(layers: &mut Layers, node: &Node<'_>) -> Result<Constant, String> {
    let first = || node.required_constant(0, "its input").cloned();
    let result_of_size = |layers: &mut Layers, count: usize| layers.charge(count);
    match node.operator() {
        "Identity" | "Dropout" => first().map(|input| (*input).clone()),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => binary(layers, node),
        "Neg" => unary(&*first()?, |value| -value, i64::checked_neg),
        "Sqrt" => unary(&*first()?, f64::sqrt, |_| None),
        "Reciprocal" => unary(&*first()?, |value| 1.0 / value, |_| None),
        "Cast" => cast(node, &*first()?),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => {
            let input = first()?;
            let dims = node.new_dimensions(&input.dims)?;
            if element_count(&dims) != Some(input.len()) {
                return Err(format!("dimensions {:?} cannot become {dims:?}", input.dims));
            }
            result_of_size(layers, input.len())?;
            Ok(Constant { dims, values: input.values.clone() })
        }
        "Transpose" => {
            let input = first()?;
            result_of_size(layers, input.len())?;
            let axes = shape::permutation(input.dims.len(), node.ints("perm")?)?;
            Ok(transpose(&input, &axes))
        }
        "Concat" => concat(layers, node),
        "Gather" => gather(layers, node),
        "Slice" => slice(layers, node),
        "ConstantOfShape" => constant_of_shape(layers, node),
        _ => Err("has only constant inputs; it is supported for layers' values only".to_owned()),
    }
}

fn unary(
    input: &Constant,
    float: impl Fn(f64) -> f64,
    integer: impl Fn(i64) -> Option<i64>,
) -> Result<Constant, String> {
    let values = match &input.values {
        Values::Float(values) => Values::Float(values.iter().map(|&value| float(value)).collect()),
        Values::Integer(values) => Values::Integer(
            values.iter().map(|&value| integer(value)).collect::<Option<_>>().ok_or("needs a constant of floats")?,
        ),
    };
    Ok(Constant { dims: input.dims.clone(), values })
}

fn binary(layers: &mut Layers, node: &Node<'_>) -> Result<Constant, String> {
    let left = node.required_constant(0, "the left operand")?;
    let right = node.required_constant(1, "the right operand")?;
    let dims = shape::broadcast(&left.dims, &right.dims)?;
    let count = element_count(&dims).ok_or_else(|| format!("dimensions {dims:?} are too large"))?;
    layers.charge(count)?;
    if let (Values::Integer(a), Values::Integer(b)) = (&left.values, &right.values) {
        let pairs = shape::broadcast_indices(&left.dims, &dims)?.zip(shape::broadcast_indices(&right.dims, &dims)?);
        let apply = |(i, j): (usize, usize)| match node.operator() {
            "Add" => a[i].checked_add(b[j]),
            "Sub" => a[i].checked_sub(b[j]),
            "Mul" => a[i].checked_mul(b[j]),
            "Div" => a[i].checked_div(b[j]),
            _ => a[i].checked_pow(u32::try_from(b[j]).ok()?),
        };
        let values = pairs.map(apply).collect::<Option<_>>().ok_or("overflows or divides by zero")?;
        return Ok(Constant { dims, values: Values::Integer(values) });
    }
    let apply = |(a, b): (f64, f64)| match node.operator() {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        _ => a.powf(b),
    };
    let pairs = left.broadcast_floats(&dims)?.into_iter().zip(right.broadcast_floats(&dims)?);
    let values = pairs.map(apply).collect();
    Ok(Constant::floats(dims, values))
}

fn cast(node: &Node<'_>, input: &Constant) -> Result<Constant, String> {
    let to = node.int("to")?.ok_or("has no target type")?;
    let values = match i32::try_from(to).unwrap_or(0) {
        data_type::DOUBLE => Values::Float(input.to_floats()),
        data_type::FLOAT => Values::Float(input.to_floats().into_iter().map(|value| f64::from(value as f32)).collect()),
        kind @ (data_type::INT64 | data_type::INT32) => {
            let values = match &input.values {
                Values::Integer(values) => values.clone(),
                Values::Float(values) => values.iter().map(|&value| value as i64).collect(),
            };
            if kind == data_type::INT32 && values.iter().any(|&value| i32::try_from(value).is_err()) {
                return Err("casts a value that does not fit in int32".to_owned());
            }
            Values::Integer(values)
        }
        data_type::BOOL => Values::Integer(input.to_floats().iter().map(|&value| i64::from(value != 0.0)).collect()),
        kind => {
            return Err(format!(
                "casts to {}; supported are float32, float64, int32, int64, bool",
                data_type::name(kind)
            ));
        }
    };
    Ok(Constant { dims: input.dims.clone(), values })
}

/// Calls `$body` with the elements of either type, and wraps the vector that it returns.
macro_rules! for_values {
    ($values:expr, |$elements:ident| $body:expr) => {
        match $values {
            Values::Float($elements) => Values::Float($body),
            Values::Integer($elements) => Values::Integer($body),
        }
    };
}

fn transpose(input: &Constant, axes: &[usize]) -> Constant {
    let mut strides = vec![1_usize; input.dims.len()];
    for axis in (1..input.dims.len()).rev() {
        strides[axis - 1] = strides[axis] * input.dims[axis];
    }
    let dims: Vec<usize> = axes.iter().map(|&axis| input.dims[axis]).collect();
    let source = |mut index: usize| {
        let mut offset = 0;
        for (position, &axis) in axes.iter().enumerate().rev() {
            offset += index % dims[position] * strides[axis];
            index /= dims[position];
        }
        offset
    };
    let values =
        for_values!(&input.values, |elements| (0..elements.len()).map(|index| elements[source(index)]).collect());
    Constant { values, dims }
}

fn concat(layers: &mut Layers, node: &Node<'_>) -> Result<Constant, String> {
    let parts = (0..node.inputs.len())
        .map(|index| node.required_constant(index, "a part").cloned())
        .collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or("has no inputs")?;
    let axis = shape::axis(node.int("axis")?.ok_or("has no axis")?, first.dims.len())?;
    let mut dims = first.dims.clone();
    dims[axis] = parts.iter().map(|part| part.dims.get(axis).copied().unwrap_or(0)).sum();
    for part in &parts {
        let mut same = part.dims.clone();
        if same.len() != dims.len() {
            return Err(format!("joins dimensions {:?} and {:?}", first.dims, part.dims));
        }
        same[axis] = dims[axis];
        if same != dims || matches!(part.values, Values::Float(_)) != matches!(first.values, Values::Float(_)) {
            return Err(format!("joins dimensions {:?} and {:?}", first.dims, part.dims));
        }
    }
    let count = element_count(&dims).ok_or_else(|| format!("dimensions {dims:?} are too large"))?;
    layers.charge(count)?;
    let outer: usize = dims[..axis].iter().product();
    let mut values = match first.values {
        Values::Float(_) => Values::Float(Vec::with_capacity(count)),
        Values::Integer(_) => Values::Integer(Vec::with_capacity(count)),
    };
    for block in 0..outer {
        for part in &parts {
            let length = part.len() / outer;
            let range = block * length..(block + 1) * length;
            match (&mut values, &part.values) {
                (Values::Float(all), Values::Float(part)) => all.extend_from_slice(&part[range]),
                (Values::Integer(all), Values::Integer(part)) => all.extend_from_slice(&part[range]),
                _ => return Err("joins constants of different types".to_owned()),
            }
        }
    }
    Ok(Constant { dims, values })
}

fn gather(layers: &mut Layers, node: &Node<'_>) -> Result<Constant, String> {
    let data = node.required_constant(0, "the data")?;
    let indices = node.required_constant(1, "the indices")?;
    let axis = shape::axis(node.int("axis")?.unwrap_or(0), data.dims.len())?;
    let positions =
        indices.integers()?.iter().map(|&index| shape::axis(index, data.dims[axis])).collect::<Result<Vec<_>, _>>()?;
    let (outer, inner) = (&data.dims[..axis], &data.dims[axis + 1..]);
    let dims = [outer, &indices.dims, inner].concat();
    let count = element_count(&dims).filter(|_| dims.len() <= shape::MAX_RANK);
    layers.charge(count.ok_or_else(|| format!("dimensions {dims:?} are too large"))?)?;
    Ok(Constant { values: take(data, axis, &positions), dims })
}

/// The elements at these positions of an axis.
fn take(data: &Constant, axis: usize, positions: &[usize]) -> Values {
    let inner: usize = data.dims[axis + 1..].iter().product();
    let outer: usize = data.dims[..axis].iter().product();
    let block = data.dims[axis] * inner;
    for_values!(&data.values, |elements| {
        let mut taken = Vec::new();
        for start in (0..outer).map(|index| index * block) {
            for position in positions {
                taken.extend_from_slice(&elements[start + position * inner..][..inner]);
            }
        }
        taken
    })
}

fn slice(layers: &mut Layers, node: &Node<'_>) -> Result<Constant, String> {
    let mut data = node.required_constant(0, "the data")?.as_ref().clone();
    for slicing in slicing::resolve(node, &data.dims)? {
        let positions: Vec<usize> = slicing.positions().collect();
        let mut dims = data.dims.clone();
        dims[slicing.axis] = positions.len();
        layers.charge(element_count(&dims).unwrap_or(usize::MAX))?;
        data = Constant { values: take(&data, slicing.axis, &positions), dims };
    }
    Ok(data)
}

fn constant_of_shape(layers: &mut Layers, node: &Node<'_>) -> Result<Constant, String> {
    let target = node.required_constant(0, "the shape")?;
    let dims = target
        .integers()?
        .iter()
        .map(|&dim| usize::try_from(dim).map_err(|_| format!("negative dimension {dim}")))
        .collect::<Result<Vec<_>, _>>()?;
    let count = element_count(&dims).filter(|_| dims.len() <= shape::MAX_RANK);
    let count = count.ok_or_else(|| format!("dimensions {dims:?} are too large"))?;
    layers.charge(count)?;
    let fill = node.tensor("value")?.map(tensor::read).transpose()?;
    let values = match fill.map(|fill| fill.values) {
        None => Values::Float(vec![0.0; count]),
        Some(Values::Float(fill)) if fill.len() == 1 => Values::Float(vec![fill[0]; count]),
        Some(Values::Integer(fill)) if fill.len() == 1 => Values::Integer(vec![fill[0]; count]),
        Some(_) => return Err("attribute `value` must have one element".to_owned()),
    };
    Ok(Constant { dims, values })
}
