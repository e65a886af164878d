//! Room for work, kept from batch to batch.

use std::sync::{Mutex, PoisonError};

/// Room for as many pieces of work as were done at the same time. Making and wiping it takes longer than a small batch.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pool<T> {
    /// Does some work in free room, or in new room that `make` gives.
    pub(super) fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut room = taken.unwrap_or_else(make);
        let result = work(&mut room);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(room);
        result
    }
}
