//! Oblivious transfer: base transfers, extension, and random pads (`docs/protocol.md`, section 5).
#[derive(Debug, thiserror::Error)]
#[error("ot")]
pub struct OtError;
pub const BASE_FIRST_LEN: usize = 1;
pub const BASE_REPLY_LEN: usize = 1;
pub fn padded(count: usize) -> usize {
    count.next_multiple_of(128)
}
pub fn extension_len(count: usize) -> usize {
    padded(count) * 4
}
pub struct BaseReceiver;
impl BaseReceiver {
    pub fn start() -> Result<(Self, Vec<u8>), OtError> {
        Err(OtError)
    }
    pub fn finish(self, _: &[u8]) -> Result<ExtensionSender, OtError> {
        Err(OtError)
    }
}
pub fn base_send(_: &[u8]) -> Result<(ExtensionReceiver, Vec<u8>), OtError> {
    Err(OtError)
}
pub struct ExtensionReceiver;
pub struct ExtensionSender;
impl ExtensionReceiver {
    pub fn extend(&self, _: u64, _: usize, _: &[u64]) -> (Vec<u8>, ReceiverPads) {
        (vec![], ReceiverPads { chosen: vec![] })
    }
}
impl ExtensionSender {
    pub fn extend(&self, _: u64, _: usize, _: &[u8]) -> Result<SenderPads, OtError> {
        Err(OtError)
    }
}
pub struct ReceiverPads {
    pub chosen: Vec<u64>,
}
pub struct SenderPads {
    pub zero: Vec<u64>,
    pub one: Vec<u64>,
}
