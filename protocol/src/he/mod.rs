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
