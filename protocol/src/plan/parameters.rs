//! The parameter sets. Both are at 128 bits of security or more; `docs/security.md` has the estimates.

/// Ring dimension and noise of the scheme. The name says the dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParameterSet {
    /// `N = 4096`, noise of standard deviation `2^-62` of the torus.
    N4096,
    /// `N = 2048`, noise of standard deviation `2.845267479601915e-15` of the torus.
    N2048,
}

impl ParameterSet {
    /// All sets, in the order of the type.
    pub const ALL: [Self; 2] = [Self::N4096, Self::N2048];

    /// Number of coefficients of a polynomial, `N`.
    pub const fn dimension(self) -> usize {
        match self {
            Self::N4096 => 4096,
            Self::N2048 => 2048,
        }
    }

    /// Standard deviation of the noise as a fraction of the torus.
    pub const fn torus_deviation(self) -> f64 {
        match self {
            Self::N4096 => 1.0 / (1u64 << 62) as f64,
            Self::N2048 => 2.845267479601915e-15,
        }
    }

    /// Standard deviation of the noise in units of the last place of a 64-bit coefficient.
    pub const fn deviation(self) -> f64 {
        self.torus_deviation() * 18_446_744_073_709_551_616.0
    }
}
