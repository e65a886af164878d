//! What all sessions of a batch share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::layout::SessionLayout;
use super::super::model::ServerModel;
use super::super::observer::WorkObserver;
use crate::ot::{ExtensionReceiver, ExtensionSender};
use crate::plan::ParameterSet;
use crate::rlwe::PreparedPublicKey;

/// What all sessions of a batch share.
pub(super) struct Context {
    pub(super) model: Arc<dyn ServerModel>,
    pub(super) layout: Arc<SessionLayout>,
    pub(super) public_keys: BTreeMap<ParameterSet, PreparedPublicKey>,
    /// The random OTs in which the server chooses. With silent OT known after its set-up.
    pub(super) receiver: Option<ExtensionReceiver>,
    /// The random OTs in which the client chooses. Known after `OtSetup`.
    pub(super) sender: Option<ExtensionSender>,
    pub(super) observer: Arc<dyn WorkObserver>,
}

impl Context {
    /// Both directions of random OTs, once they are set up.
    pub(super) fn transfers(&self) -> Option<(&ExtensionReceiver, &ExtensionSender)> {
        self.receiver.as_ref().zip(self.sender.as_ref())
    }
}
