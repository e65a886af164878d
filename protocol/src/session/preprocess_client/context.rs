//! What all sessions of a batch share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::error::SessionError;
use super::super::layout::SessionLayout;
use super::super::observer::WorkObserver;
use crate::ot::{ExtensionReceiver, ExtensionSender};
use crate::plan::{LinearStep, ParameterSet, Plan};
use crate::rlwe::ClientKeys;

/// What all sessions of a batch share.
pub(super) struct Context {
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Arc<SessionLayout>,
    pub(super) key_sets: BTreeMap<ParameterSet, Box<dyn ClientKeys>>,
    /// The random OTs in which the client chooses. With silent OT known after its set-up.
    pub(super) receiver: Option<ExtensionReceiver>,
    /// The random OTs in which the server chooses. Known after `Accept`.
    pub(super) sender: Option<ExtensionSender>,
    pub(super) observer: Arc<dyn WorkObserver>,
}

impl Context {
    /// Both directions, once they are set up.
    pub(super) fn transfers(&self) -> Option<(&ExtensionReceiver, &ExtensionSender)> {
        self.receiver.as_ref().zip(self.sender.as_ref())
    }

    pub(super) fn client_keys(&self, linear: &LinearStep) -> Result<&dyn ClientKeys, SessionError> {
        self.key_sets.get(&linear.packing.parameters).map(|client_keys| &**client_keys).ok_or(SessionError::PublicKeys)
    }
}
