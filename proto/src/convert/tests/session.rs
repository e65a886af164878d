use std::time::Duration;

use proptest::prelude::*;
use prost::Message as _;
use tacit_protocol::plan::ParameterSet;
use tacit_protocol::plan::PlanDigest;
use tacit_protocol::rlwe::PublicKey;
use tacit_protocol::session::{
    Accept, Message, MessageKind, OnlineRequest, OnlineResponse, Open, OtSetup, Prepared, PreprocessRequest,
    PreprocessResponse, SessionId,
};

use super::super::{Timed, model_name};
use super::{Problem, assert_refused};
use crate::{StepTimes, limits, pb};

fn key(parameters: ParameterSet, fill: u64) -> PublicKey {
    let body = (0..parameters.dimension() as u64).map(|index| fill.wrapping_mul(index + 1)).collect();
    PublicKey { parameters, seed: [fill as u8; 16], body }
}

fn open() -> Open {
    Open {
        model: "digits".into(),
        digest: PlanDigest([9; 32]),
        sessions: 10,
        public_keys: vec![key(ParameterSet::N4096, u64::MAX / 3), key(ParameterSet::N2048, 0x0123_4567_89ab_cdef)],
        base_receiver: vec![1, 2, 3],
    }
}

fn message(kind: MessageKind) -> Message {
    Message { session: 3, node: 4, kind, round: 0, offset: 786_432, data: vec![5; 100] }
}

const KINDS: [MessageKind; 11] = [
    MessageKind::ClientSilentReply,
    MessageKind::ServerSilentReply,
    MessageKind::MaskCiphertexts,
    MessageKind::LinearResponses,
    MessageKind::ShareChoices,
    MessageKind::ServerCorrelations,
    MessageKind::ClientCorrections,
    MessageKind::MaskedInput,
    MessageKind::ServerOpening,
    MessageKind::ClientOpening,
    MessageKind::OutputShare,
];

/// Which streams carry a kind: preprocessing up and down, online up and down.
fn carriers(kind: MessageKind) -> [bool; 4] {
    let message = message(kind);
    [
        pb::PreprocessRequest::try_from(PreprocessRequest::Step(message.clone()))
            .is_ok_and(|wire| PreprocessRequest::try_from(wire).unwrap() == PreprocessRequest::Step(message.clone())),
        pb::PreprocessResponse::try_from(PreprocessResponse::Step(message.clone()))
            .is_ok_and(|wire| PreprocessResponse::try_from(wire).unwrap() == PreprocessResponse::Step(message.clone())),
        pb::OnlineRequest::try_from(OnlineRequest::Step(message.clone()))
            .is_ok_and(|wire| OnlineRequest::try_from(wire).unwrap() == OnlineRequest::Step(message.clone())),
        pb::OnlineResponse::try_from(OnlineResponse::Step(message.clone()))
            .is_ok_and(|wire| OnlineResponse::try_from(wire).unwrap() == OnlineResponse::Step(message.clone())),
    ]
}

#[test]
fn each_kind_travels_on_exactly_one_stream_in_one_direction() {
    let stream = [0, 1, 0, 1, 0, 1, 0, 2, 3, 2, 3];
    for (kind, stream) in KINDS.into_iter().zip(stream) {
        let mut expected = [false; 4];
        expected[stream] = true;
        assert_eq!(carriers(kind), expected, "{kind:?}");
    }
    let wrong = OnlineRequest::Step(message(MessageKind::ServerOpening));
    let problem = assert_refused(pb::OnlineRequest::try_from(wrong), "payload");
    assert_eq!(problem, Problem::Direction(MessageKind::ServerOpening));
}

#[test]
fn control_messages_survive_the_wire() {
    let requests = [
        PreprocessRequest::Open(open()),
        PreprocessRequest::OtSetup(OtSetup { base_sender: vec![8; 65536], silent_request: vec![9; 131_072] }),
    ];
    for request in requests {
        let bytes = pb::PreprocessRequest::try_from(request.clone()).unwrap().encode_to_vec();
        let wire = pb::PreprocessRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(PreprocessRequest::try_from(wire), Ok(request));
    }
    let responses = [
        PreprocessResponse::Accept(Accept {
            base_sender: vec![1],
            base_receiver: vec![2; 4096],
            silent_request: vec![],
        }),
        PreprocessResponse::Prepared(Prepared { session: 1023, id: SessionId([6; 16]), lifetime_seconds: 600 }),
    ];
    for response in responses {
        let wire = pb::PreprocessResponse::try_from(response.clone()).unwrap();
        assert_eq!(PreprocessResponse::try_from(wire), Ok(response));
    }
    let request = OnlineRequest::Open(SessionId([0xa5; 16]));
    let wire = pb::OnlineRequest::try_from(request.clone()).unwrap();
    assert_eq!(OnlineRequest::try_from(wire), Ok(request));
}

#[test]
fn key_coefficients_are_little_endian() {
    let wire = pb::PublicKey::from(&key(ParameterSet::N2048, 1));
    assert_eq!(wire.body.len(), 2048 * 8);
    assert_eq!(wire.body[8..16], [2, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn full_messages_stay_under_the_limit() {
    let mut piece = message(MessageKind::MaskCiphertexts);
    piece.session = Open::MAX_SESSIONS - 1;
    piece.node = limits::NODES - 1;
    piece.offset = limits::OFFSET - 1;
    piece.data = vec![0xff; Message::MAX_DATA];
    let wire = pb::PreprocessRequest::try_from(PreprocessRequest::Step(piece)).unwrap();
    assert!(wire.encoded_len() <= Message::MAX_DATA + limits::PIECE_OVERHEAD_BYTES);
    let mut largest = open();
    largest.model = "m".repeat(limits::NAME_BYTES);
    largest.base_receiver = vec![0; limits::BASE_TRANSFER_BYTES];
    assert!(pb::Open::from(largest).encoded_len() < limits::MESSAGE_BYTES);
}

#[test]
fn empty_payloads_are_refused() {
    assert_refused(PreprocessRequest::try_from(pb::PreprocessRequest::default()), "payload");
    assert_refused(PreprocessResponse::try_from(pb::PreprocessResponse::default()), "payload");
    assert_refused(OnlineRequest::try_from(pb::OnlineRequest::default()), "payload");
    assert_refused(OnlineResponse::try_from(pb::OnlineResponse::default()), "payload");
}

#[test]
fn open_fields_are_checked() {
    let refused = |field: &str, change: &dyn Fn(&mut pb::Open)| {
        let mut wire = pb::Open::from(open());
        change(&mut wire);
        let request = pb::PreprocessRequest { payload: Some(pb::preprocess_request::Payload::Open(wire)) };
        assert_refused(PreprocessRequest::try_from(request), &format!("open.{field}"))
    };
    refused("model", &|open| open.model.clear());
    refused("model", &|open| open.model = "m".repeat(257));
    refused("digest", &|open| open.digest.truncate(31));
    refused("sessions", &|open| open.sessions = 0);
    refused("sessions", &|open| open.sessions = 1025);
    refused("base_receiver", &|open| open.base_receiver = vec![0; 65537]);
    refused("public_keys", &|open| open.public_keys.push(pb::PublicKey::default()));
    assert_eq!(refused("public_keys", &|open| open.public_keys.reverse()), Problem::NotAscending);
    refused("public_keys", &|open| open.public_keys[1] = open.public_keys[0].clone());
    refused("public_keys[1].parameters", &|open| open.public_keys[1].parameters = 3);
    refused("public_keys[0].seed", &|open| open.public_keys[0].seed.push(0));
    refused("public_keys[0].body", &|open| open.public_keys[0].body.truncate(4095 * 8));
    refused("public_keys[1].body", &|open| open.public_keys[1].body.push(0));
}

#[test]
fn other_control_fields_are_checked() {
    let long = vec![0; 65537];
    let accept = pb::Accept { base_sender: long.clone(), ..Default::default() };
    assert_refused(Accept::try_from(accept), "base_sender");
    let accept = pb::Accept { base_receiver: long.clone(), ..Default::default() };
    assert_refused(Accept::try_from(accept), "base_receiver");
    assert_refused(OtSetup::try_from(pb::OtSetup { base_sender: long, ..Default::default() }), "base_sender");
    let silent_request = vec![0; limits::SILENT_REQUEST_BYTES + 1];
    let accept = pb::Accept { silent_request: silent_request.clone(), ..Default::default() };
    assert_refused(Accept::try_from(accept), "silent_request");
    assert_refused(OtSetup::try_from(pb::OtSetup { silent_request, ..Default::default() }), "silent_request");
    let prepared = pb::Prepared { session: 0, session_id: vec![0; 16], lifetime_seconds: 1 };
    assert!(Prepared::try_from(prepared.clone()).is_ok());
    let wire = pb::Prepared { session: 1024, ..prepared.clone() };
    assert_refused(Prepared::try_from(wire), "session");
    let wire = pb::Prepared { session_id: vec![0; 15], ..prepared.clone() };
    assert_refused(Prepared::try_from(wire), "session_id");
    let wire = pb::Prepared { lifetime_seconds: 0, ..prepared.clone() };
    assert_refused(Prepared::try_from(wire), "lifetime_seconds");
    let wire = pb::Prepared { lifetime_seconds: u64::MAX, ..prepared };
    assert_refused(Prepared::try_from(wire), "lifetime_seconds");
    let wire =
        pb::OnlineRequest { payload: Some(pb::online_request::Payload::Open(pb::OnlineOpen { session_id: vec![1] })) };
    assert_refused(OnlineRequest::try_from(wire), "open.session_id");
    assert!(model_name("name", "m2".into()).is_ok());
    assert_refused(model_name("name", String::new()), "name");
}

#[test]
fn piece_fields_are_checked() {
    let refused = |field: &str, change: &dyn Fn(&mut pb::Piece)| {
        let mut piece = pb::Piece { session: 0, node: 1, offset: 2, data: vec![3], round: 0 };
        change(&mut piece);
        let wire = pb::OnlineRequest { payload: Some(pb::online_request::Payload::MaskedInput(piece)) };
        assert_refused(OnlineRequest::try_from(wire), field)
    };
    refused("session", &|piece| piece.session = 1024);
    refused("node", &|piece| piece.node = 4096);
    refused("offset", &|piece| piece.offset = u64::MAX);
    refused("data", &|piece| piece.data.clear());
    refused("data", &|piece| piece.data = vec![0; Message::MAX_DATA + 1]);
}

#[test]
fn times_are_checked() {
    let longest = Duration::from_nanos(limits::TIME_NANOSECONDS - 1);
    let times = StepTimes {
        encryption: longest,
        transfers: Duration::ZERO,
        linear: Duration::from_nanos(1),
        ..Default::default()
    };
    let wire = pb::StepTimes::from(times);
    assert_eq!(StepTimes::try_from(wire), Ok(times));
    let longer = StepTimes { encryption: Duration::MAX, ..times };
    assert_eq!(pb::StepTimes::from(longer), wire);
    let refused = |field: &str, change: &dyn Fn(&mut pb::StepTimes)| {
        let mut wire = pb::StepTimes::default();
        change(&mut wire);
        assert_refused(StepTimes::try_from(wire), &format!("times.{field}"));
    };
    refused("encryption", &|times| times.encryption = limits::TIME_NANOSECONDS);
    refused("transfers", &|times| times.transfers = u64::MAX);
    refused("linear", &|times| times.linear = limits::TIME_NANOSECONDS);
    refused("activation", &|times| times.activation = u64::MAX);
}

#[test]
fn times_travel_beside_messages() {
    let prepared = Prepared { session: 3, id: SessionId([6; 16]), lifetime_seconds: 600 };
    let message = PreprocessResponse::Prepared(prepared);
    let linear = Duration::from_micros(5);
    for times in [None, Some(StepTimes { linear, ..Default::default() })] {
        let timed = Timed { message: message.clone(), times };
        let wire = pb::PreprocessResponse::try_from(timed.clone()).unwrap();
        assert_eq!(PreprocessResponse::try_from(wire.clone()).as_ref(), Ok(&message));
        assert_eq!(Timed::<PreprocessResponse>::try_from(wire), Ok(timed));
        let timed = Timed { message: OnlineResponse::Step(self::message(MessageKind::OutputShare)), times };
        let wire = pb::OnlineResponse::try_from(timed.clone()).unwrap();
        assert_eq!(Timed::<OnlineResponse>::try_from(wire.clone()), Ok(timed));
        let times = Some(pb::StepTimes { linear: u64::MAX, ..Default::default() });
        let refused = Timed::<OnlineResponse>::try_from(pb::OnlineResponse { times, ..wire });
        assert_refused(refused, "times.linear");
    }
}

proptest! {
    #[test]
    fn pieces_survive_the_wire(
        session in 0u32..1024,
        node in 0usize..4096,
        offset in 0u64..limits::OFFSET,
        data in prop::collection::vec(any::<u8>(), 1..200),
        kind in prop::sample::select(vec![
            MessageKind::MaskCiphertexts, MessageKind::ShareChoices, MessageKind::ClientCorrections,
        ]),
    ) {
        let request = PreprocessRequest::Step(Message { session, node, kind, round: 0, offset, data });
        let bytes = pb::PreprocessRequest::try_from(request.clone()).unwrap().encode_to_vec();
        let wire = pb::PreprocessRequest::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(PreprocessRequest::try_from(wire), Ok(request));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(wire) = pb::PreprocessRequest::decode(bytes.as_slice()) {
            let _ = PreprocessRequest::try_from(wire);
        }
        if let Ok(wire) = pb::OnlineResponse::decode(bytes.as_slice()) {
            let _ = OnlineResponse::try_from(wire);
        }
    }
}
