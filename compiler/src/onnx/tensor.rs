//! Constant tensors.

use super::schema::{TensorProto, data_type};
use super::shape::{self, element_count};

/// Elements of a constant. Integers are kept exact for shapes and axes; weights are floats.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// Any float type of the file, widened.
    Float(Vec<f64>),
    /// Integers and booleans (0 and 1).
    Integer(Vec<i64>),
}

/// A constant tensor, row-major. `values` holds exactly the product of `dims` elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// Dimensions; none for a scalar.
    pub dims: Vec<usize>,
    /// Elements.
    pub values: Values,
}

impl Constant {
    /// A float tensor.
    pub fn floats(dims: Vec<usize>, values: Vec<f64>) -> Self {
        Self { dims, values: Values::Float(values) }
    }

    /// A vector of integers.
    pub fn integer_vector(values: Vec<i64>) -> Self {
        Self { dims: vec![values.len()], values: Values::Integer(values) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Float(values) => values.len(),
            Values::Integer(values) => values.len(),
        }
    }

    /// The elements as floats.
    pub fn to_floats(&self) -> Vec<f64> {
        match &self.values {
            Values::Float(values) => values.clone(),
            Values::Integer(values) => values.iter().map(|&value| value as f64).collect(),
        }
    }

    /// The elements of an integer tensor: axes, shapes, pads.
    pub fn integers(&self) -> Result<&[i64], String> {
        match &self.values {
            Values::Integer(values) => Ok(values),
            Values::Float(_) => Err("a constant of integers is needed, not of floats".to_owned()),
        }
    }

    /// The value of a tensor of one element.
    pub fn scalar(&self) -> Option<f64> {
        match &self.values {
            Values::Float(values) if values.len() == 1 => Some(values[0]),
            Values::Integer(values) if values.len() == 1 => Some(values[0] as f64),
            _ => None,
        }
    }

    /// The elements as floats, repeated by NumPy's broadcasting rule to `target` dimensions.
    pub fn broadcast_floats(&self, target: &[usize]) -> Result<Vec<f64>, String> {
        let indices = shape::broadcast_indices(&self.dims, target)?;
        Ok(match &self.values {
            Values::Float(values) => indices.map(|index| values[index]).collect(),
            Values::Integer(values) => indices.map(|index| values[index] as f64).collect(),
        })
    }
}

/// Reads a tensor of the file. Nothing is allocated before the data is known to be there.
pub(super) fn read(tensor: &TensorProto) -> Result<Constant, String> {
    if tensor.data_location == 1 || !tensor.external_data.is_empty() {
        return Err("its data lies in another file (external data), which is not supported; \
                    save the model with all data in one file"
            .to_owned());
    }
    let dims = tensor
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).map_err(|_| format!("negative dimension {dim}")))
        .collect::<Result<Vec<_>, _>>()?;
    if dims.len() > shape::MAX_RANK {
        return Err(format!("{} dimensions; at most {} are supported", dims.len(), shape::MAX_RANK));
    }
    let count = element_count(&dims).ok_or_else(|| format!("dimensions {dims:?} are too large"))?;
    let values = match tensor.data_type {
        data_type::FLOAT => Values::Float(widen(tensor, count, &tensor.float_data, f32::from_le_bytes)?),
        data_type::DOUBLE => Values::Float(widen(tensor, count, &tensor.double_data, f64::from_le_bytes)?),
        data_type::FLOAT16 => {
            Values::Float(widen(tensor, count, &half_words(tensor)?, |bytes| Half(u16::from_le_bytes(bytes)))?)
        }
        data_type::BFLOAT16 => {
            let words: Vec<BrainFloat> = half_words(tensor)?.into_iter().map(|Half(bits)| BrainFloat(bits)).collect();
            Values::Float(widen(tensor, count, &words, |bytes| BrainFloat(u16::from_le_bytes(bytes)))?)
        }
        data_type::INT64 => Values::Integer(widen(tensor, count, &tensor.int64_data, i64::from_le_bytes)?),
        data_type::INT32 => Values::Integer(widen(tensor, count, &tensor.int32_data, i32::from_le_bytes)?),
        data_type::BOOL => {
            Values::Integer(widen(tensor, count, &tensor.int32_data, |[byte]: [u8; 1]| i32::from(byte))?)
        }
        other => {
            return Err(format!(
                "data type {} is not supported; supported are float16, bfloat16, float32, float64, int32, int64, bool",
                data_type::name(other)
            ));
        }
    };
    Ok(Constant { dims, values })
}

/// Widens the typed field, or the raw bytes if there is no typed data, after checking the number of elements.
fn widen<Stored, Wide, const BYTES: usize>(
    tensor: &TensorProto,
    count: usize,
    typed: &[Stored],
    from_bytes: impl Fn([u8; BYTES]) -> Stored,
) -> Result<Vec<Wide>, String>
where
    Stored: Copy,
    Wide: From<Stored>,
{
    let raw = &tensor.raw_data;
    if raw.is_empty() {
        if typed.len() != count {
            return Err(format!("has {} elements where its dimensions need {count}", typed.len()));
        }
        return Ok(typed.iter().map(|&value| Wide::from(value)).collect());
    }
    let (chunks, rest) = raw.as_chunks::<BYTES>();
    if chunks.len() != count || !rest.is_empty() {
        return Err(format!("has {} bytes of data where its dimensions need {count} times {BYTES}", raw.len()));
    }
    Ok(chunks.iter().map(|&bytes| Wide::from(from_bytes(bytes))).collect())
}

/// Bits of an IEEE half.
#[derive(Clone, Copy)]
struct Half(u16);

/// Bits of a bfloat16: the upper half of a float32.
#[derive(Clone, Copy)]
struct BrainFloat(u16);

/// 16-bit floats in the typed field: their bits, one in each `int32_data`.
fn half_words(tensor: &TensorProto) -> Result<Vec<Half>, String> {
    let word = |&word: &i32| u16::try_from(word).map(Half).map_err(|_| format!("{word} is not a 16-bit float"));
    tensor.int32_data.iter().map(word).collect()
}

impl From<BrainFloat> for f64 {
    fn from(BrainFloat(bits): BrainFloat) -> Self {
        Self::from(f32::from_bits(u32::from(bits) << 16))
    }
}

impl From<Half> for f64 {
    fn from(Half(bits): Half) -> Self {
        let fraction = Self::from(bits & 0x3ff) / 1024.0;
        let magnitude = match i32::from((bits >> 10) & 0x1f) {
            0 => fraction * 2.0_f64.powi(-14),
            31 if fraction == 0.0 => Self::INFINITY,
            31 => Self::NAN,
            exponent => (1.0 + fraction) * 2.0_f64.powi(exponent - 15),
        };
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    }
}
