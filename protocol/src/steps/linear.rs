use crate::{he::*, plan::LinearPlan, random::Seed, share::Share};
pub fn client_encrypt(_: &dyn ClientEngine, _: &LinearPlan, _: &[u32]) -> Result<Vec<u8>, HeError> {
    Err(HeError)
}
pub fn server_respond(
    _: &PreparedLinear,
    _: &PreparedPublicKey,
    _: &[u8],
    _: &Seed,
) -> Result<(Vec<u8>, Share), HeError> {
    Err(HeError)
}
pub fn client_decrypt(_: &dyn ClientEngine, _: &LinearPlan, _: &[u8]) -> Result<Share, HeError> {
    Err(HeError)
}
