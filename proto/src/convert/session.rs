//! The messages of both streams.

use tacit_protocol::rlwe::PublicKey;
use tacit_protocol::session::{
    Accept, Message, MessageKind, OnlineRequest, OnlineResponse, Open, OtSetup, Prepared, PreprocessRequest,
    PreprocessResponse, SessionId,
};

use super::check::{array, bits, length, narrow, required, wide};
use super::linear::{parameter_set, parameter_set_to_wire};
use super::plan::digest;
use super::{ConvertError, Problem};
use crate::{limits, pb};

/// A name under which a model is served.
pub fn model_name(field: &str, name: String) -> Result<String, ConvertError> {
    length(field, name.len(), 1..=limits::NAME_BYTES)?;
    Ok(name)
}

/// Name of a session: exactly 16 bytes.
fn session_id(bytes: &[u8]) -> Result<SessionId, ConvertError> {
    array("session_id", bytes).map(SessionId)
}

/// A message of the base OTs. Its exact length is checked where it is read.
fn base_transfer(field: &str, bytes: Vec<u8>) -> Result<Vec<u8>, ConvertError> {
    length(field, bytes.len(), 0..=limits::BASE_TRANSFER_BYTES)?;
    Ok(bytes)
}

impl TryFrom<pb::PublicKey> for PublicKey {
    type Error = ConvertError;

    fn try_from(wire: pb::PublicKey) -> Result<Self, ConvertError> {
        let parameters = parameter_set("parameters", wire.parameters)?;
        let seed = array("seed", &wire.seed)?;
        let bytes = 8 * parameters.dimension();
        length("body", wire.body.len(), bytes..=bytes)?;
        let (coefficients, _) = wire.body.as_chunks::<8>();
        let body = coefficients.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        Ok(Self { parameters, seed, body })
    }
}

impl From<&PublicKey> for pb::PublicKey {
    fn from(key: &PublicKey) -> Self {
        Self {
            parameters: parameter_set_to_wire(key.parameters),
            seed: key.seed.to_vec(),
            body: key.body.iter().flat_map(|coefficient| coefficient.to_le_bytes()).collect(),
        }
    }
}

impl TryFrom<pb::Open> for Open {
    type Error = ConvertError;

    fn try_from(wire: pb::Open) -> Result<Self, ConvertError> {
        length("public_keys", wire.public_keys.len(), 0..=2)?;
        let mut public_keys: Vec<PublicKey> = Vec::with_capacity(wire.public_keys.len());
        for (index, key) in wire.public_keys.into_iter().enumerate() {
            let key = PublicKey::try_from(key).map_err(|error| error.within(format_args!("public_keys[{index}]")))?;
            if public_keys.last().is_some_and(|last| last.parameters >= key.parameters) {
                return Err(ConvertError::new("public_keys", Problem::NotAscending));
            }
            public_keys.push(key);
        }
        Ok(Self {
            model: model_name("model", wire.model)?,
            digest: digest("digest", &wire.digest)?,
            sessions: bits("sessions", wire.sessions, 1..=Self::MAX_SESSIONS)?,
            public_keys,
            base_receiver: base_transfer("base_receiver", wire.base_receiver)?,
        })
    }
}

impl From<Open> for pb::Open {
    fn from(open: Open) -> Self {
        Self {
            model: open.model,
            digest: open.digest.0.to_vec(),
            sessions: open.sessions,
            public_keys: open.public_keys.iter().map(Into::into).collect(),
            base_receiver: open.base_receiver,
        }
    }
}

fn silent_request(bytes: Vec<u8>) -> Result<Vec<u8>, ConvertError> {
    length("silent_request", bytes.len(), 0..=limits::SILENT_REQUEST_BYTES)?;
    Ok(bytes)
}

impl TryFrom<pb::Accept> for Accept {
    type Error = ConvertError;

    fn try_from(wire: pb::Accept) -> Result<Self, ConvertError> {
        Ok(Self {
            base_sender: base_transfer("base_sender", wire.base_sender)?,
            base_receiver: base_transfer("base_receiver", wire.base_receiver)?,
            silent_request: silent_request(wire.silent_request)?,
        })
    }
}

impl From<Accept> for pb::Accept {
    fn from(accept: Accept) -> Self {
        Self {
            base_sender: accept.base_sender,
            base_receiver: accept.base_receiver,
            silent_request: accept.silent_request,
        }
    }
}

impl TryFrom<pb::OtSetup> for OtSetup {
    type Error = ConvertError;

    fn try_from(wire: pb::OtSetup) -> Result<Self, ConvertError> {
        Ok(Self {
            base_sender: base_transfer("base_sender", wire.base_sender)?,
            silent_request: silent_request(wire.silent_request)?,
        })
    }
}

impl From<OtSetup> for pb::OtSetup {
    fn from(setup: OtSetup) -> Self {
        Self { base_sender: setup.base_sender, silent_request: setup.silent_request }
    }
}

impl TryFrom<pb::Prepared> for Prepared {
    type Error = ConvertError;

    fn try_from(wire: pb::Prepared) -> Result<Self, ConvertError> {
        Ok(Self {
            session: bits("session", wire.session, 0..=Open::MAX_SESSIONS - 1)?,
            id: session_id(&wire.session_id)?,
            lifetime_seconds: wide("lifetime_seconds", wire.lifetime_seconds, 1..=limits::LIFETIME_SECONDS)?,
        })
    }
}

impl From<Prepared> for pb::Prepared {
    fn from(prepared: Prepared) -> Self {
        Self {
            session: prepared.session,
            session_id: prepared.id.0.to_vec(),
            lifetime_seconds: prepared.lifetime_seconds,
        }
    }
}

fn piece(kind: MessageKind, wire: pb::Piece) -> Result<Message, ConvertError> {
    length("data", wire.data.len(), 1..=Message::MAX_DATA)?;
    Ok(Message {
        session: bits("session", wire.session, 0..=Open::MAX_SESSIONS - 1)?,
        node: bits("node", wire.node, 0..=limits::NODES as u32 - 1)? as usize,
        kind,
        round: bits("round", wire.round, 0..=limits::ROUNDS - 1)?,
        offset: wide("offset", wire.offset, 0..=limits::OFFSET - 1)?,
        data: wire.data,
    })
}

fn piece_to_wire(message: Message) -> Result<pb::Piece, ConvertError> {
    Ok(pb::Piece {
        session: message.session,
        node: narrow("node", message.node)?,
        offset: message.offset,
        data: message.data,
        round: message.round,
    })
}

fn direction(kind: MessageKind) -> ConvertError {
    ConvertError::new("payload", Problem::Direction(kind))
}

impl TryFrom<pb::PreprocessRequest> for PreprocessRequest {
    type Error = ConvertError;

    fn try_from(wire: pb::PreprocessRequest) -> Result<Self, ConvertError> {
        use pb::preprocess_request::Payload;
        let step = |kind, wire| piece(kind, wire).map(Self::Step);
        match required("payload", wire.payload)? {
            Payload::Open(open) => open.try_into().map(Self::Open).map_err(|error: ConvertError| error.within("open")),
            Payload::OtSetup(setup) => {
                setup.try_into().map(Self::OtSetup).map_err(|error: ConvertError| error.within("ot_setup"))
            }
            Payload::MaskCiphertexts(wire) => step(MessageKind::MaskCiphertexts, wire),
            Payload::ShareChoices(wire) => step(MessageKind::ShareChoices, wire),
            Payload::ClientCorrections(wire) => step(MessageKind::ClientCorrections, wire),
            Payload::ClientSilentReply(wire) => step(MessageKind::ClientSilentReply, wire),
        }
    }
}

impl TryFrom<PreprocessRequest> for pb::PreprocessRequest {
    type Error = ConvertError;

    fn try_from(request: PreprocessRequest) -> Result<Self, ConvertError> {
        use pb::preprocess_request::Payload;
        let payload = match request {
            PreprocessRequest::Open(open) => Payload::Open(open.into()),
            PreprocessRequest::OtSetup(setup) => Payload::OtSetup(setup.into()),
            PreprocessRequest::Step(message) => {
                let kind = message.kind;
                let piece = piece_to_wire(message)?;
                match kind {
                    MessageKind::MaskCiphertexts => Payload::MaskCiphertexts(piece),
                    MessageKind::ShareChoices => Payload::ShareChoices(piece),
                    MessageKind::ClientCorrections => Payload::ClientCorrections(piece),
                    MessageKind::ClientSilentReply => Payload::ClientSilentReply(piece),
                    other => return Err(direction(other)),
                }
            }
        };
        Ok(Self { payload: Some(payload) })
    }
}

impl TryFrom<pb::PreprocessResponse> for PreprocessResponse {
    type Error = ConvertError;

    fn try_from(wire: pb::PreprocessResponse) -> Result<Self, ConvertError> {
        use pb::preprocess_response::Payload;
        let step = |kind, wire| piece(kind, wire).map(Self::Step);
        match required("payload", wire.payload)? {
            Payload::Accept(accept) => {
                accept.try_into().map(Self::Accept).map_err(|error: ConvertError| error.within("accept"))
            }
            Payload::Prepared(prepared) => {
                prepared.try_into().map(Self::Prepared).map_err(|error: ConvertError| error.within("prepared"))
            }
            Payload::LinearResponses(wire) => step(MessageKind::LinearResponses, wire),
            Payload::ServerCorrelations(wire) => step(MessageKind::ServerCorrelations, wire),
            Payload::ServerSilentReply(wire) => step(MessageKind::ServerSilentReply, wire),
        }
    }
}

impl TryFrom<PreprocessResponse> for pb::PreprocessResponse {
    type Error = ConvertError;

    fn try_from(response: PreprocessResponse) -> Result<Self, ConvertError> {
        use pb::preprocess_response::Payload;
        let payload = match response {
            PreprocessResponse::Accept(accept) => Payload::Accept(accept.into()),
            PreprocessResponse::Prepared(prepared) => Payload::Prepared(prepared.into()),
            PreprocessResponse::Step(message) => {
                let kind = message.kind;
                let piece = piece_to_wire(message)?;
                match kind {
                    MessageKind::LinearResponses => Payload::LinearResponses(piece),
                    MessageKind::ServerCorrelations => Payload::ServerCorrelations(piece),
                    MessageKind::ServerSilentReply => Payload::ServerSilentReply(piece),
                    other => return Err(direction(other)),
                }
            }
        };
        Ok(Self { payload: Some(payload), times: None })
    }
}

impl TryFrom<pb::OnlineRequest> for OnlineRequest {
    type Error = ConvertError;

    fn try_from(wire: pb::OnlineRequest) -> Result<Self, ConvertError> {
        use pb::online_request::Payload;
        let step = |kind, wire| piece(kind, wire).map(Self::Step);
        match required("payload", wire.payload)? {
            Payload::Open(open) => session_id(&open.session_id).map(Self::Open).map_err(|error| error.within("open")),
            Payload::MaskedInput(wire) => step(MessageKind::MaskedInput, wire),
            Payload::ClientOpening(wire) => step(MessageKind::ClientOpening, wire),
        }
    }
}

impl TryFrom<OnlineRequest> for pb::OnlineRequest {
    type Error = ConvertError;

    fn try_from(request: OnlineRequest) -> Result<Self, ConvertError> {
        use pb::online_request::Payload;
        let payload = match request {
            OnlineRequest::Open(id) => Payload::Open(pb::OnlineOpen { session_id: id.0.to_vec() }),
            OnlineRequest::Step(message) => {
                let kind = message.kind;
                let piece = piece_to_wire(message)?;
                match kind {
                    MessageKind::MaskedInput => Payload::MaskedInput(piece),
                    MessageKind::ClientOpening => Payload::ClientOpening(piece),
                    other => return Err(direction(other)),
                }
            }
        };
        Ok(Self { payload: Some(payload) })
    }
}

impl TryFrom<pb::OnlineResponse> for OnlineResponse {
    type Error = ConvertError;

    fn try_from(wire: pb::OnlineResponse) -> Result<Self, ConvertError> {
        use pb::online_response::Payload;
        let step = |kind, wire| piece(kind, wire).map(Self::Step);
        match required("payload", wire.payload)? {
            Payload::ServerOpening(wire) => step(MessageKind::ServerOpening, wire),
            Payload::OutputShare(wire) => step(MessageKind::OutputShare, wire),
        }
    }
}

impl TryFrom<OnlineResponse> for pb::OnlineResponse {
    type Error = ConvertError;

    fn try_from(response: OnlineResponse) -> Result<Self, ConvertError> {
        use pb::online_response::Payload;
        let OnlineResponse::Step(message) = response;
        let kind = message.kind;
        let piece = piece_to_wire(message)?;
        let payload = match kind {
            MessageKind::ServerOpening => Payload::ServerOpening(piece),
            MessageKind::OutputShare => Payload::OutputShare(piece),
            other => return Err(direction(other)),
        };
        Ok(Self { payload: Some(payload), times: None })
    }
}
