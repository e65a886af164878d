//! `.npy` arrays.

use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::{ReadNpyExt, ViewNpyError, ViewNpyExt};

use super::{DataError, Elements};

/// Longest header, and most brackets in it: a shape and a type need no more.
const HEADER_BYTES: usize = 4096;
const HEADER_BRACKETS: usize = 16;

/// Largest product of the numbers in a header, zeros left out: more than any file within the size limit needs, and
/// small enough for arithmetic on shapes, which overflows for empty arrays of absurd shapes otherwise.
const SHAPE_PRODUCT: u64 = 1 << 40;

/// Decodes a `.npy` file of float32 or uint8 elements. The length of the data is checked before anything is allocated.
pub(super) fn decode(bytes: &[u8]) -> Result<Elements, DataError> {
    check_header(bytes)?;
    match ArrayViewD::<u8>::view_npy(bytes) {
        Ok(pixels) => return Ok(Elements::Pixels(pixels.to_owned())),
        Err(ViewNpyError::WrongDescriptor(_)) => {}
        Err(error) => return Err(DataError::Npy(error.to_string())),
    }
    match ArrayViewD::<f32>::view_npy(bytes) {
        Ok(numbers) => Ok(Elements::Numbers(numbers.to_owned())),
        // The length is right; only the buffer does not start at a multiple of four.
        Err(ViewNpyError::MisalignedData) => {
            ArrayD::read_npy(bytes).map(Elements::Numbers).map_err(|error| DataError::Npy(error.to_string()))
        }
        Err(ViewNpyError::WrongDescriptor(found)) => Err(DataError::ElementType(found.to_string())),
        Err(ViewNpyError::NonNativeEndian) => Err(DataError::ElementType("float32 in another byte order".to_string())),
        Err(error) => Err(DataError::Npy(error.to_string())),
    }
}

/// Refuses headers that the parser, which is recursive and takes any shape, must not see.
fn check_header(bytes: &[u8]) -> Result<(), DataError> {
    let malformed = |reason: &str| Err(DataError::Npy(reason.to_string()));
    let Some((b"\x93NUMPY", rest)) = bytes.split_at_checked(6) else { return malformed("wrong magic bytes") };
    let (length, rest) = match rest {
        [1, _, low, high, rest @ ..] => (u32::from(u16::from_le_bytes([*low, *high])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        _ => return malformed("unknown version"),
    };
    let Some(header) = rest.get(..length as usize) else { return malformed("truncated header") };
    let brackets = header.iter().filter(|byte| b"([{".contains(byte)).count();
    if header.len() > HEADER_BYTES || brackets > HEADER_BRACKETS {
        return malformed("a header that is not one of a plain array");
    }
    // The shape is in the header as decimal numbers, besides a few small ones in the name of the type.
    let mut numbers = header.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let size = numbers.try_fold(1u64, |size, digits| {
        let number = std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
        size.checked_mul(number.max(1)).filter(|size| *size <= SHAPE_PRODUCT)
    });
    if size.is_none() { malformed("a shape that is too large") } else { Ok(()) }
}
