//! What a machine is computing, for whoever runs it: machines have no clocks of their own.

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Homomorphic encryption: keys, uploads, responses.
    Encryption,
    /// Oblivious transfers: base OTs, their extension, and the corrections that they carry.
    Transfers,
    /// Online: linear layers, sums, and whatever else each party does to its share alone.
    Linear,
    /// Online: squares, truncations, comparisons, selections, and what is revealed at the end.
    Activation,
}

/// Is told what a machine computes. Told on the thread that runs the machine, in order.
pub trait WorkObserver: Send + Sync {
    /// Work of this kind begins, and whatever was done before ends.
    fn begins(&self, work: Work);
}

/// Whom it does not interest.
pub(super) struct Unobserved;

impl WorkObserver for Unobserved {
    fn begins(&self, _: Work) {}
}
