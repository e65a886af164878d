//! What the messages about a node hold.

/// What a logical message of a step holds; also fixes its direction and phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Preprocessing with silent OT, client to server: its reply to the server's request. Belongs to the whole stream:
    /// session 0, node 0.
    ClientSilentReply,
    /// Preprocessing with silent OT, server to client: its reply to the client's request. Belongs to the whole stream:
    /// session 0, node 0.
    ServerSilentReply,
    /// Preprocessing, client to server: encrypted masks of a linear step.
    MaskCiphertexts,
    /// Preprocessing, server to client: `W r - s`, encrypted.
    LinearResponses,
    /// Preprocessing, client to server: OT-extension rows for the client's share bits of a square step.
    ShareChoices,
    /// Preprocessing, server to client: OT-extension rows for the server's random bits, then, in a square step, the
    /// corrections of the products with its random mask.
    ServerCorrelations,
    /// Preprocessing, client to server: in a comparing step its own extension rows, then the corrections of the products
    /// with the server's random bits.
    ClientCorrections,
    /// Online, client to server: `x - r`.
    MaskedInput,
    /// Online, server to client: opened values of an interactive step.
    ServerOpening,
    /// Online, client to server: opened values of an interactive step; in its last round they end with the client's new
    /// share less the next mask.
    ClientOpening,
    /// Online, server to client: its share of the logits without the low bits.
    OutputShare,
}

/// One of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// Holds the input.
    Client,
    /// Holds the weights.
    Server,
}

impl MessageKind {
    /// Who sends it.
    pub const fn sender(self) -> Party {
        match self {
            Self::ClientSilentReply
            | Self::MaskCiphertexts
            | Self::ShareChoices
            | Self::ClientCorrections
            | Self::MaskedInput
            | Self::ClientOpening => Party::Client,
            Self::ServerSilentReply
            | Self::LinearResponses
            | Self::ServerCorrelations
            | Self::ServerOpening
            | Self::OutputShare => Party::Server,
        }
    }
}
