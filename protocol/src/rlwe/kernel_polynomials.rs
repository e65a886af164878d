//! A linear step's kernel polynomials: transformed once and held, as many as memory is given for, or made from the weights
//! whenever they are used.

use std::ops::Range;

use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use super::bundle::Bundle;
use super::ntt::{Ntt, NttPolynomial};
use crate::plan::ParameterSet;
use crate::plan::packing::{Geometry, Tap};

/// KernelPolynomials that are transformed at a time where they are not held: with their inputs they stay in the second cache.
const MAX_MADE_TOGETHER: usize = 8;

/// The kernel polynomials of a step, in rows: one row for each output tile of each group, with a kernel for each of the
/// group's channel tiles. Wiped on drop.
pub(super) struct KernelPolynomials {
    parameters: ParameterSet,
    /// KernelPolynomials of a row.
    tiles: usize,
    /// The first rows, transformed.
    held: Vec<Bundle<1>>,
    /// The taps of the kernels of all other rows.
    taps: Zeroizing<Vec<Vec<Tap>>>,
}

impl KernelPolynomials {
    /// The kernels of these weights. As many rows are held as fit into `memory` bytes.
    pub(super) fn new(parameters: ParameterSet, geometry: &Geometry, weights: &[i16], memory: usize) -> Self {
        let tiles = geometry.channel_tiles();
        let mut taps = Zeroizing::new(geometry.taps(weights));
        let rows = memory / Bundle::<1>::memory_bytes(parameters, tiles);
        let count = rows.saturating_mul(tiles).min(taps.len());
        let transform = |taps: &[Vec<Tap>]| {
            let mut maker = Maker::new(parameters);
            let mut row = Bundle::zero(parameters, tiles);
            taps.iter().enumerate().for_each(|(tile, taps)| maker.put(taps, &mut row, tile));
            row
        };
        let held = taps[..count].par_chunks(tiles).map(transform).collect();
        taps[..count].iter_mut().for_each(Zeroize::zeroize);
        let taps = Zeroizing::new(taps.split_off(count));
        Self { parameters, tiles, held, taps }
    }

    /// Memory of all rows if they are held, in bytes.
    pub(super) fn ntt_bytes(parameters: ParameterSet, geometry: &Geometry) -> usize {
        Bundle::<1>::memory_bytes(parameters, geometry.kernel_count())
    }

    /// Memory of the transforms that are held, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        Bundle::<1>::memory_bytes(self.parameters, self.held.len() * self.tiles)
    }

    /// Memory of transforms and taps, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let taps: usize = self.taps.iter().map(|taps| size_of_val(taps.as_slice()) + size_of::<Vec<Tap>>()).sum();
        self.held_bytes() + taps
    }

    /// Rows that are held: the first ones.
    pub(super) fn held_rows(&self) -> usize {
        self.held.len()
    }

    /// What [`Self::for_each_part`] needs for rows that are not held; nothing if all are.
    pub(super) fn maker(&self) -> Option<RowMaker> {
        let members = self.tiles.min(MAX_MADE_TOGETHER);
        let maker = || RowMaker { maker: Maker::new(self.parameters), row: Bundle::zero(self.parameters, members) };
        (!self.taps.is_empty()).then(maker)
    }

    /// Taps of a kernel whose row is not held.
    pub(super) fn taps(&self, row: usize, tile: usize) -> &[Tap] {
        &self.taps[(row - self.held.len()) * self.tiles + tile]
    }

    /// Gives all kernels of some rows, in parts: their transforms, one bundle for each row, and the tiles whose they are.
    ///
    /// The rows are held, or it is one row.
    pub(super) fn for_each_part(
        &self,
        rows: Range<usize>,
        maker: &mut Option<RowMaker>,
        mut part: impl FnMut(&[Bundle<1>], Range<usize>),
    ) {
        if let Some(rows) = self.held.get(rows.clone()) {
            return part(rows, 0..self.tiles);
        }
        let Some(RowMaker { maker, row }) = maker else { return };
        let taps = &self.taps[(rows.start - self.held.len()) * self.tiles..][..self.tiles];
        for (index, taps) in taps.chunks(MAX_MADE_TOGETHER).enumerate() {
            taps.iter().enumerate().for_each(|(member, taps)| maker.put(taps, row, member));
            let first = index * MAX_MADE_TOGETHER;
            part(std::slice::from_ref(row), first..first + taps.len());
        }
    }
}

impl Drop for KernelPolynomials {
    fn drop(&mut self) {
        self.held.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Buffers in which one thread makes the kernels of rows that are not held. Wiped on drop.
pub(super) struct RowMaker {
    maker: Maker,
    row: Bundle<1>,
}

impl Drop for RowMaker {
    fn drop(&mut self) {
        self.row.zeroize();
    }
}

/// Makes kernels from their taps.
struct Maker {
    ntt: &'static Ntt,
    /// Zero between uses.
    polynomial: Zeroizing<Vec<i32>>,
    transformed: NttPolynomial,
}

impl Maker {
    fn new(parameters: ParameterSet) -> Self {
        Self {
            ntt: Ntt::of(parameters),
            polynomial: Zeroizing::new(vec![0; parameters.dimension()]),
            transformed: NttPolynomial::zero(parameters),
        }
    }

    fn put(&mut self, taps: &[Tap], row: &mut Bundle<1>, member: usize) {
        for tap in taps {
            self.polynomial[usize::from(tap.position)] = i32::from(tap.weight);
        }
        self.ntt.forward_small_into(&self.polynomial, &mut self.transformed);
        for tap in taps {
            self.polynomial[usize::from(tap.position)] = 0;
        }
        row.put(member, [&self.transformed]);
    }
}
