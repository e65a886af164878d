//! The choice between client-side encryption backends.

use std::fmt;
use std::str::FromStr;

use tacit_protocol::rlwe::{ClientBackend, NativeBackend};

/// Which implementation generates keys, encrypts masks and decrypts responses. The server cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The crate's own.
    #[default]
    Native,
    /// The `concrete-core` crate.
    #[cfg(feature = "concrete-core")]
    ConcreteCore,
}

/// The name is not that of an engine of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownEngine {
    /// An engine that was left out of this build.
    #[error("this build has no engine concrete-core: build with the feature of that name")]
    NotBuilt,
    /// No engine of any build.
    #[error("the engines are native and concrete-core")]
    Unknown,
}

impl Engine {
    /// The implementation.
    pub(crate) fn backend(self) -> &'static dyn ClientBackend {
        match self {
            Self::Native => &NativeBackend,
            #[cfg(feature = "concrete-core")]
            Self::ConcreteCore => &tacit_protocol::rlwe::ConcreteBackend,
        }
    }
}

impl fmt::Display for Engine {
    /// The name that is parsed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Native => "native",
            #[cfg(feature = "concrete-core")]
            Self::ConcreteCore => "concrete-core",
        })
    }
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        match name {
            "native" => Ok(Self::Native),
            #[cfg(feature = "concrete-core")]
            "concrete-core" => Ok(Self::ConcreteCore),
            #[cfg(not(feature = "concrete-core"))]
            "concrete-core" => Err(UnknownEngine::NotBuilt),
            _ => Err(UnknownEngine::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_have_names() {
        assert_eq!("native".parse(), Ok(Engine::Native));
        assert_eq!(Engine::default().to_string().parse(), Ok(Engine::default()));
        assert_eq!("".parse::<Engine>(), Err(UnknownEngine::Unknown));
        assert_eq!("concrete-core".parse::<Engine>().is_ok(), cfg!(feature = "concrete-core"));
    }
}
