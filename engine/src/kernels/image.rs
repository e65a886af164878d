//! A band of the input, laid out so that every weight meets a contiguous piece of it.

use super::geometry::Band;
use super::terms::Plane;
use super::vectors::{LONGEST, Vectors};

/// Writes the planes of a band. Places that belong to no row, [`LONGEST`] after the last plane too, get any values.
#[inline(always)]
pub(super) fn lay_out<S: Vectors>(simd: S, band: &Band<'_>, share: &[u32], low: &mut [u32], high: &mut [u32]) {
    let geometry = band.geometry;
    let shape = &geometry.shape;
    let area = shape.input.height * shape.input.width;
    let per_group = shape.channels_per_group() * area;
    let channels = &share[band.group * per_group..][..per_group];
    let width = shape.output.width;
    // The layout is the same in all bands; a last, shorter band needs fewer rows.
    let missing = geometry.band_rows - band.rows.len();
    for (index, plane) in geometry.planes.iter().enumerate() {
        for (phase, remainder) in geometry.phases.iter().enumerate() {
            let start = index * geometry.plane_length + phase * geometry.phase_rows * width;
            let first_row = (band.rows.start * shape.stride[0] + remainder) as isize - shape.padding.top as isize;
            for row in 0..geometry.phase_rows - missing {
                let place = start + row * width..start + (row + 1) * width + LONGEST;
                let (low, high) = (&mut low[place.clone()], &mut high[place]);
                let row = first_row + (row * shape.stride[0]) as isize;
                if (0..shape.input.height as isize).contains(&row) {
                    let lines = [0, 1].map(|tap: usize| {
                        &channels[plane.taps[tap].channel * area + row as usize * shape.input.width..]
                    });
                    lay_out_row(simd, plane, shape.stride[1], lines, low, high, width);
                } else {
                    low[..width].fill(0);
                    high[..width].fill(0);
                }
            }
        }
    }
}

/// Writes one row of a plane, and perhaps some of the [`LONGEST`] places after it. `lines` begin with the rows of the
/// input that the taps meet.
#[inline(always)]
fn lay_out_row<S: Vectors>(
    simd: S,
    plane: &Plane,
    stride: usize,
    lines: [&[u32]; 2],
    low: &mut [u32],
    high: &mut [u32],
    width: usize,
) {
    let [first, second] = &plane.taps;
    // Output columns for which both taps are inside of the image; at the ends one or both meet zeros of the padding.
    let inside = plane.inside.clone();
    if !inside.is_empty() {
        let first_line = &lines[0][first.column(stride, inside.start)..];
        let second_line = &lines[1][second.column(stride, inside.start)..];
        if stride == 1 {
            let (low, high) = (&mut low[inside.start..], &mut high[inside.start..]);
            let whole = inside.len().next_multiple_of(S::LANES);
            if first_line.len().min(second_line.len()) >= whole {
                split_row(simd, &first_line[..whole], &second_line[..whole], &mut low[..whole], &mut high[..whole]);
            } else {
                // The last row of the last channel: nothing may be read past it.
                for position in 0..inside.len() {
                    [low[position], high[position]] = S::split(first_line[position], second_line[position]);
                }
            }
        } else {
            let elements = first_line.iter().step_by(stride).zip(second_line.iter().step_by(stride));
            let halves = low[inside.clone()].iter_mut().zip(&mut high[inside.clone()]);
            for ((low, high), (first, second)) in halves.zip(elements) {
                [*low, *high] = S::split(*first, *second);
            }
        }
    }
    if inside.len() == width {
        return;
    }
    for position in (0..inside.start).chain(inside.end..width) {
        let (first, second) = (first.element(lines[0], stride, position), second.element(lines[1], stride, position));
        [low[position], high[position]] = S::split(first, second);
    }
}

/// Splits whole vectors of elements.
#[inline(always)]
fn split_row<S: Vectors>(simd: S, first: &[u32], second: &[u32], low: &mut [u32], high: &mut [u32]) {
    for at in (0..first.len()).step_by(S::LANES) {
        let [low_elements, high_elements] = simd.split_lanes(simd.load(first, at), simd.load(second, at));
        simd.store(low_elements, &mut low[at..]);
        simd.store(high_elements, &mut high[at..]);
    }
}
