//! Checks of single fields.

use std::ops::RangeInclusive;

use super::{ConvertError, Problem};
use crate::limits;

/// A field that must be there.
pub(super) fn required<T>(field: &str, value: Option<T>) -> Result<T, ConvertError> {
    value.ok_or_else(|| ConvertError::new(field, Problem::Missing))
}

/// A number within bounds, as an index or count.
pub(super) fn bounded(field: &str, value: u32, range: RangeInclusive<usize>) -> Result<usize, ConvertError> {
    match usize::try_from(value) {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(out_of_range(field, value, *range.start() as i128, *range.end() as i128)),
    }
}

/// A number of bits within bounds.
pub(super) fn bits(field: &str, value: u32, range: RangeInclusive<u32>) -> Result<u32, ConvertError> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(out_of_range(field, value, (*range.start()).into(), (*range.end()).into()))
    }
}

/// A value of an enumeration that this version knows.
pub(super) fn known<T: TryFrom<i32>>(field: &str, value: i32) -> Result<T, ConvertError> {
    T::try_from(value).map_err(|_| ConvertError::new(field, Problem::UnknownValue { value }))
}

/// A 64-bit number within bounds.
pub(super) fn wide(field: &str, value: u64, range: RangeInclusive<u64>) -> Result<u64, ConvertError> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(out_of_range(field, value, (*range.start()).into(), (*range.end()).into()))
    }
}

/// An error that says which bounds a number breaks.
pub(super) fn out_of_range(field: &str, value: impl Into<i128>, low: i128, high: i128) -> ConvertError {
    ConvertError::new(field, Problem::OutOfRange { value: value.into(), low, high })
}

/// A length within bounds.
pub(super) fn length(field: &str, length: usize, range: RangeInclusive<usize>) -> Result<(), ConvertError> {
    if range.contains(&length) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    Err(ConvertError::new(field, Problem::Length { length, low, high }))
}

/// Exactly `N` bytes.
pub(super) fn array<const N: usize>(field: &str, bytes: &[u8]) -> Result<[u8; N], ConvertError> {
    bytes.try_into().map_err(|_| ConvertError::new(field, Problem::Length { length: bytes.len(), low: N, high: N }))
}

/// A finite number.
pub(super) fn finite(field: &str, value: f32) -> Result<f32, ConvertError> {
    if value.is_finite() { Ok(value) } else { Err(ConvertError::new(field, Problem::NotFinite)) }
}

/// Dimensions of a tensor: few, and a product that is bounded.
pub(super) fn dimensions(field: &str, values: &[u32]) -> Result<Vec<usize>, ConvertError> {
    length(field, values.len(), 1..=limits::TENSOR_RANK)?;
    let dimensions =
        values.iter().map(|value| bounded(field, *value, 1..=limits::DIMENSION)).collect::<Result<Vec<_>, _>>()?;
    elements(field, &dimensions)?;
    Ok(dimensions)
}

/// The product of dimensions, bounded.
pub(super) fn elements(field: &str, dimensions: &[usize]) -> Result<usize, ConvertError> {
    dimensions
        .iter()
        .try_fold(1usize, |product, dimension| product.checked_mul(*dimension))
        .filter(|product| *product <= limits::ELEMENTS)
        .ok_or_else(|| ConvertError::new(field, Problem::TooManyElements { limit: limits::ELEMENTS }))
}

/// A count or index for the wire.
pub(super) fn narrow(field: &str, value: usize) -> Result<u32, ConvertError> {
    u32::try_from(value).map_err(|_| out_of_range(field, value as u64, 0, u32::MAX.into()))
}

/// Counts for the wire.
pub(super) fn narrow_all(field: &str, values: &[usize]) -> Result<Vec<u32>, ConvertError> {
    values.iter().map(|value| narrow(field, *value)).collect()
}
