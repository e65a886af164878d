//! Homomorphic encryption of masks: RLWE over the 64-bit torus (`docs/protocol.md`, section 4).

/// Ring dimension and noise of the scheme, both at 128 bits of security or more. Self-describing names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParameterSet {
    /// `N = 4096`, noise of standard deviation `2^-62` of the torus.
    N4096,
    /// `N = 2048`, noise of standard deviation `2.845267479601915e-15` of the torus.
    N2048,
}

/// A client's public key: an encryption of zero, the mask part as a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Ring dimension and noise.
    pub parameters: ParameterSet,
    /// Expands to the mask polynomial.
    pub seed: [u8; 16],
    /// Coefficients of the body, all 64 bits.
    pub body: Vec<u64>,
}
#[derive(Debug, thiserror::Error)]
#[error("he")]
pub struct HeError;
pub trait ClientEngine: Send + Sync {
    fn public_key(&self) -> Result<PublicKey, HeError>;
}
pub trait ClientBackend: Send + Sync {
    fn name(&self) -> &'static str;
    fn generate(&self, set: ParameterSet) -> Result<Box<dyn ClientEngine>, HeError>;
}
pub struct NativeBackend;
impl ClientBackend for NativeBackend {
    fn name(&self) -> &'static str {
        "native"
    }
    fn generate(&self, _: ParameterSet) -> Result<Box<dyn ClientEngine>, HeError> {
        Err(HeError)
    }
}
pub struct PreparedLinear;
pub struct PreparedPublicKey;
impl PreparedPublicKey {
    pub fn new(_: &PublicKey) -> Result<Self, HeError> {
        Err(HeError)
    }
}
pub fn message_lengths(_: &crate::plan::LinearPlan) -> (usize, usize) {
    (0, 0)
}
pub fn public_key_len(_: ParameterSet) -> usize {
    0
}
