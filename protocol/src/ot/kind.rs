//! The kinds of extension behind one interface.

use super::{
    error::OtError,
    extension::{ReceiverKeys, SenderKeys, SoftReceiver, SoftSender},
    silent::{SilentReceiver, SilentSender},
    transcript::Transcript,
    tree::Tree,
};
use crate::plan::{ExtensionKind, TreeHeight};

/// Chooses. Made by [`base_send`](super::base_send), made silent by [`SilentSetup`](super::SilentSetup); wiped on drop, redacted
/// in `Debug`.
pub struct ExtensionReceiver(pub(super) Receiver);

pub(super) enum Receiver {
    Soft(Box<SoftReceiver>),
    Silent(Box<SilentReceiver>),
}

/// Gets both keys of each transfer. Made by [`BaseReceiver::finish`](super::BaseReceiver::finish), made silent by
/// [`SilentSetup`](super::SilentSetup); wiped on drop, redacted in `Debug`.
pub struct ExtensionSender(pub(super) Sender);

pub(super) enum Sender {
    Soft(Box<SoftSender>),
    Silent(Box<SilentSender>),
}

impl ExtensionReceiver {
    pub(super) fn new(height: TreeHeight, trees: Vec<Tree>, transcript: &Transcript) -> Self {
        Self(Receiver::Soft(Box::new(SoftReceiver::new(height, trees, transcript))))
    }

    /// Which extension this is.
    pub fn kind(&self) -> ExtensionKind {
        match &self.0 {
            Receiver::Soft(soft) => ExtensionKind::SoftSpoken(soft.height()),
            Receiver::Silent(_) => ExtensionKind::Silent,
        }
    }

    /// Makes the keys of `count` transfers by `choices` (packed, lowest bit first; those past
    /// `count` are padding, and hidden as well), and the message to the sender,
    /// [`ExtensionKind::extension_len`]`(count)` bytes.
    ///
    /// `first` is the number of the first transfer on this connection and direction, a multiple of
    /// [`BLOCK`](crate::plan::BLOCK). Batches may be made in any order. The caller must use each number up to `first +
    /// padded(count)` only once: two batches of the same numbers would give away the differences of
    /// their choices.
    ///
    /// # Panics
    /// If `first` is no multiple of [`BLOCK`](crate::plan::BLOCK) or above `2^62`, or `choices` holds fewer than
    /// [`padded`](crate::plan::padded)`(count)` bits, or a silent extension was not prepared for so many transfers.
    pub fn extend(&self, first: u64, count: usize, choices: &[u64]) -> (Vec<u8>, ReceiverKeys) {
        match &self.0 {
            Receiver::Soft(soft) => soft.extend(first, count, choices),
            Receiver::Silent(silent) => silent.extend(first, count, choices),
        }
    }
}

impl ExtensionSender {
    pub(super) fn new(height: TreeHeight, delta: u128, trees: Vec<Tree>, transcript: &Transcript) -> Self {
        Self(Sender::Soft(Box::new(SoftSender::new(height, delta, trees, transcript))))
    }

    /// Which extension this is.
    pub fn kind(&self) -> ExtensionKind {
        match &self.0 {
            Sender::Soft(soft) => ExtensionKind::SoftSpoken(soft.height()),
            Sender::Silent(_) => ExtensionKind::Silent,
        }
    }

    /// Makes both keys of each of `count` transfers from the receiver's message of the same `first`
    /// and `count`.
    ///
    /// # Errors
    /// [`OtError::Length`] if `message` has not exactly [`ExtensionKind::extension_len`]`(count)` bytes.
    ///
    /// # Panics
    /// If `first` is no multiple of [`BLOCK`](crate::plan::BLOCK) or above `2^62`, or a silent extension was not prepared
    /// for so many transfers.
    pub fn extend(&self, first: u64, count: usize, message: &[u8]) -> Result<SenderKeys, OtError> {
        match &self.0 {
            Sender::Soft(soft) => soft.extend(first, count, message),
            Sender::Silent(silent) => silent.extend(first, count, message),
        }
    }
}

impl std::fmt::Debug for ExtensionReceiver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ExtensionReceiver(redacted)")
    }
}

impl std::fmt::Debug for ExtensionSender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ExtensionSender(redacted)")
    }
}
