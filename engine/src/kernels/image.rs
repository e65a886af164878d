//! A band of the input, laid out so that every weight meets a contiguous piece of it.

use super::convolution::{Band, Plane};

/// What is added before the upper half is cut off, so that the lower half can be read as a signed number.
const ROUND: u32 = 0x8000;

/// A pair of lower halves, as signed 16-bit numbers.
#[inline(always)]
pub(super) fn low_halves(first: u32, second: u32) -> u32 {
    first & 0xffff | second << 16
}

/// The pair of numbers `h` with `element = low + 2^16 h` for the lower halves `low` of [`low_halves`].
#[inline(always)]
pub(super) fn high_halves(first: u32, second: u32) -> u32 {
    first.wrapping_add(ROUND) >> 16 | second.wrapping_add(ROUND) & 0xffff_0000
}

/// Writes the planes of a band.
#[inline(always)]
pub(super) fn lay_out<S: Copy>(_: S, band: &Band<'_>, share: &[u32], low: &mut [u32], high: &mut [u32]) {
    let layer = band.layer;
    let shape = &layer.shape;
    let per_group = shape.channels_per_group();
    let area = shape.input.height * shape.input.width;
    let channels = &share[band.group * per_group * area..][..per_group * area];
    let width = shape.output.width;
    // The layout is the same in all bands; a last, shorter band needs fewer rows.
    let missing = layer.band_rows - band.rows.len();
    for (index, plane) in layer.planes.iter().enumerate() {
        for (phase, remainder) in layer.phases.iter().enumerate() {
            for row in 0..layer.phase_rows - missing {
                let padded = (band.rows.start + row) * shape.stride[0] + remainder;
                let start = index * layer.plane_length + (phase * layer.phase_rows + row) * width;
                let (low, high) = (&mut low[start..][..width], &mut high[start..][..width]);
                match padded.checked_sub(shape.padding.top).filter(|row| *row < shape.input.height) {
                    Some(row) => {
                        let line = |channel: usize| {
                            &channels[channel * area + row * shape.input.width..][..shape.input.width]
                        };
                        lay_out_row(plane, shape.stride[1], line, low, high);
                    }
                    None => {
                        low.fill(0);
                        high.fill(0);
                    }
                }
            }
        }
    }
}

/// Writes one row of a plane; `line` gives the row of an input channel.
#[inline(always)]
fn lay_out_row<'a>(
    plane: &Plane,
    stride: usize,
    line: impl Fn(usize) -> &'a [u32],
    low: &mut [u32],
    high: &mut [u32],
) {
    let [first, second] = &plane.taps;
    let first_line = line(first.channel);
    let second_line = line(second.channel);
    // Outputs for which both taps are inside of the image; at the ends one or both are zeros of the padding.
    let inside = first.inside.start.max(second.inside.start)..first.inside.end.min(second.inside.end);
    let inside = inside.start..inside.end.max(inside.start);
    let width = low.len();
    for position in (0..inside.start.min(width)).chain(inside.end.min(width)..width) {
        let (first, second) = (first.element(first_line, stride, position), second.element(second_line, stride, position));
        low[position] = low_halves(first, second);
        high[position] = high_halves(first, second);
    }
    if inside.is_empty() {
        return;
    }
    let (low, high) = (&mut low[inside.clone()], &mut high[inside.clone()]);
    let first_line = &first_line[first.column(stride, inside.start)..];
    let second_line = &second_line[second.column(stride, inside.start)..];
    if stride == 1 {
        let elements = first_line[..low.len()].iter().zip(&second_line[..low.len()]);
        for ((low, high), (first, second)) in low.iter_mut().zip(high).zip(elements) {
            *low = low_halves(*first, *second);
            *high = high_halves(*first, *second);
        }
    } else {
        let elements = first_line.iter().step_by(stride).zip(second_line.iter().step_by(stride));
        for ((low, high), (first, second)) in low.iter_mut().zip(high).zip(elements) {
            *low = low_halves(*first, *second);
            *high = high_halves(*first, *second);
        }
    }
}
