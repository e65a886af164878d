//! Wiping of large buffers.

use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, ZeroizeOnDrop, optimization_barrier};

/// Wipes the whole allocation and empties it. Writes many bytes at a time, where `Vec`'s own `zeroize` writes one element
/// after the other.
pub(crate) fn wipe<N: Copy + Default>(numbers: &mut Vec<N>) {
    numbers.clear();
    numbers.resize(numbers.capacity(), N::default());
    // Without it the compiler could leave the writes out, as nothing reads what they wrote.
    optimization_barrier(numbers.as_slice());
    numbers.clear();
}

/// A buffer of numbers that is wiped on drop. Unlike `Zeroizing`, fast for numbers of one byte.
#[derive(Default)]
pub(crate) struct Wiped<N: Copy + Default>(Vec<N>);

impl<N: Copy + Default> From<Vec<N>> for Wiped<N> {
    fn from(numbers: Vec<N>) -> Self {
        Self(numbers)
    }
}

impl<N: Copy + Default> Deref for Wiped<N> {
    type Target = [N];
    fn deref(&self) -> &[N] {
        &self.0
    }
}

impl<N: Copy + Default> DerefMut for Wiped<N> {
    fn deref_mut(&mut self) -> &mut [N] {
        &mut self.0
    }
}

impl<N: Copy + Default> Zeroize for Wiped<N> {
    fn zeroize(&mut self) {
        wipe(&mut self.0);
    }
}

impl<N: Copy + Default> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<N: Copy + Default> ZeroizeOnDrop for Wiped<N> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_empties_and_keeps_the_allocation() {
        for length in [0, 1, 5, 4096] {
            let mut numbers = vec![7u32; length];
            numbers.reserve(3);
            let (capacity, place) = (numbers.capacity(), numbers.as_ptr());
            wipe(&mut numbers);
            assert_eq!((numbers.len(), numbers.capacity(), numbers.as_ptr()), (0, capacity, place));
        }
    }
}
