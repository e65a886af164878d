//! What is counted of each message.

use tacit_protocol::session::{
    Accept, Message, MessageKind, OnlineRequest, OnlineResponse, Open, OtSetup, PreprocessRequest, PreprocessResponse,
};

use super::depths::Subject;

/// A message whose cost is counted.
pub(crate) trait Measured {
    /// What it is about.
    fn subject(&self) -> Subject;
    /// Bytes that the plan predicts.
    fn data_bytes(&self) -> usize;
    /// What those bytes are for; `None` if they are keys or base transfers.
    fn kind(&self) -> Option<MessageKind>;
}

fn step_subject(message: &Message) -> Subject {
    Subject::Step(message.session, message.node)
}

impl Measured for PreprocessRequest {
    fn subject(&self) -> Subject {
        match self {
            Self::Open(_) | Self::OtSetup(_) => Subject::Stream,
            Self::Step(message) => step_subject(message),
        }
    }

    fn data_bytes(&self) -> usize {
        match self {
            Self::Open(Open { public_keys, base_receiver, .. }) => {
                let keys = public_keys.iter().map(|key| key.seed.len() + size_of_val(key.body.as_slice()));
                keys.sum::<usize>() + base_receiver.len()
            }
            Self::OtSetup(OtSetup { base_sender, silent_request }) => base_sender.len() + silent_request.len(),
            Self::Step(message) => message.data.len(),
        }
    }

    fn kind(&self) -> Option<MessageKind> {
        match self {
            Self::Open(_) | Self::OtSetup(_) => None,
            Self::Step(message) => Some(message.kind),
        }
    }
}

impl Measured for PreprocessResponse {
    fn subject(&self) -> Subject {
        match self {
            Self::Accept(_) => Subject::Stream,
            Self::Prepared(prepared) => Subject::Session(prepared.session),
            Self::Step(message) => step_subject(message),
        }
    }

    fn data_bytes(&self) -> usize {
        match self {
            Self::Accept(Accept { base_sender, base_receiver, silent_request }) => {
                base_sender.len() + base_receiver.len() + silent_request.len()
            }
            Self::Prepared(_) => 0,
            Self::Step(message) => message.data.len(),
        }
    }

    fn kind(&self) -> Option<MessageKind> {
        match self {
            Self::Accept(_) | Self::Prepared(_) => None,
            Self::Step(message) => Some(message.kind),
        }
    }
}

impl Measured for OnlineRequest {
    fn subject(&self) -> Subject {
        match self {
            Self::Open(_) => Subject::Stream,
            Self::Step(message) => step_subject(message),
        }
    }

    fn data_bytes(&self) -> usize {
        match self {
            Self::Open(_) => 0,
            Self::Step(message) => message.data.len(),
        }
    }

    fn kind(&self) -> Option<MessageKind> {
        match self {
            Self::Open(_) => None,
            Self::Step(message) => Some(message.kind),
        }
    }
}

impl Measured for OnlineResponse {
    fn subject(&self) -> Subject {
        let Self::Step(message) = self;
        step_subject(message)
    }

    fn data_bytes(&self) -> usize {
        let Self::Step(message) = self;
        message.data.len()
    }

    fn kind(&self) -> Option<MessageKind> {
        let Self::Step(message) = self;
        Some(message.kind)
    }
}
