//! Transforms of several polynomials, side by side: what the terms of one sum need lies together.

use std::ops::Range;

use zeroize::Zeroize;

use super::ntt::NttPolynomial;
use crate::plan::ParameterSet;

/// Residues of one polynomial that lie together.
pub(super) const BLOCK: usize = 32;

/// Residues modulo one prime, in a row.
pub(super) type Block = [u64; BLOCK];

/// Transforms of kernels (`P = 1`) or of the masks and bodies of ciphertexts (`P = 2`).
///
/// For each prime, and for each block of residues, the blocks of all members in turn. A sum of products reads them from
/// front to back, and the part of all inputs that it needs at a time stays in the innermost cache.
pub(super) struct Bundle<const P: usize> {
    members: usize,
    parts: Vec<[Block; P]>,
}

impl<const P: usize> Bundle<P> {
    /// Transforms of zero.
    pub(super) fn zero(parameters: ParameterSet, members: usize) -> Self {
        Self { members, parts: vec![[[0; BLOCK]; P]; Self::blocks(parameters) * members] }
    }

    /// Blocks of one member: those of both primes.
    pub(super) const fn blocks(parameters: ParameterSet) -> usize {
        2 * parameters.dimension() / BLOCK
    }

    /// Memory of a bundle, in bytes.
    pub(super) const fn memory_bytes(parameters: ParameterSet, members: usize) -> usize {
        size_of::<[Block; P]>() * Self::blocks(parameters) * members
    }

    /// Writes a member.
    pub(super) fn put(&mut self, member: usize, transforms: [&NttPolynomial; P]) {
        fill(self.parts.iter_mut().skip(member).step_by(self.members), transforms);
    }

    /// The places of each member, for [`fill`].
    pub(super) fn places(&mut self) -> Vec<Vec<&mut [Block; P]>> {
        let blocks = self.parts.len() / self.members;
        let mut places: Vec<Vec<_>> = (0..self.members).map(|_| Vec::with_capacity(blocks)).collect();
        for parts in self.parts.chunks_exact_mut(self.members) {
            places.iter_mut().zip(parts).for_each(|(places, part)| places.push(part));
        }
        places
    }

    /// A block of some members, `block` counted over both primes.
    pub(super) fn block(&self, block: usize, members: Range<usize>) -> &[[Block; P]] {
        &self.parts[block * self.members..][..self.members][members]
    }
}

/// Writes a member to its places.
pub(super) fn fill<'a, const P: usize>(
    places: impl IntoIterator<Item = &'a mut [Block; P]>,
    transforms: [&NttPolynomial; P],
) {
    let blocks = transforms.map(|each| each.residues().map(|residues| residues.as_chunks::<BLOCK>().0));
    let each = blocks.first().map_or(0, |[first, _]| first.len());
    for (index, place) in places.into_iter().enumerate() {
        for (part, blocks) in place.iter_mut().zip(&blocks) {
            *part = blocks[index / each][index % each];
        }
    }
}

impl<const P: usize> Zeroize for Bundle<P> {
    fn zeroize(&mut self) {
        self.parts.as_mut_slice().as_flattened_mut().as_flattened_mut().zeroize();
    }
}
