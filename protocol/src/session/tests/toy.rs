//! A step that only the tests know goes through whole sessions: what the interface of interactive steps has to carry.

use super::*;
use crate::ot::OtError;
use crate::session::layout::SessionLayout;
use crate::session::predict::predict_layout;
use crate::steps::{
    ClientHalf, ClientNext, ClientOnline, ClientView, Interactive, OtCount, Role, ServerHalf, ServerNext, ServerOnline,
    ServerProgress, ServerView,
};

/// `-x` in two round trips, without any secrecy: random OTs of both directions give both parties two common keys, which the
/// openings are masked with.
#[derive(Clone, Copy)]
struct Negation {
    elements: usize,
    kind: ExtensionKind,
}

impl Interactive for Negation {
    fn name(&self) -> &'static str {
        "negation"
    }

    fn transfers(&self) -> OtCount {
        OtCount { client: self.elements, server: self.elements }
    }

    fn preprocessing(&self) -> &'static [MessageKind] {
        &[MessageKind::ShareChoices, MessageKind::ServerCorrelations, MessageKind::ClientCorrections]
    }

    fn rounds(&self) -> u32 {
        2
    }

    fn message_len(&self, kind: MessageKind, round: u32) -> Option<usize> {
        let rows = self.kind.extension_len(self.elements);
        match (kind, round) {
            (MessageKind::ShareChoices, 0) => Some(rows),
            (MessageKind::ServerCorrelations, 0) => Some(rows + 4 * self.elements),
            (MessageKind::ClientCorrections, 0) | (MessageKind::ServerOpening | MessageKind::ClientOpening, 0 | 1) => {
                Some(4 * self.elements)
            }
            _ => None,
        }
    }

    fn client(&self) -> Box<dyn ClientHalf> {
        Box::new(ClientStart(*self))
    }

    fn server(&self) -> Box<dyn ServerHalf> {
        Box::new(ServerStart(*self))
    }
}

/// Random choice bits, packed.
fn choices(seed: &Seed, count: usize) -> Vec<u64> {
    seed.uniform_u32(count.next_multiple_of(128) / 64).into_iter().map(u64::from).collect()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

fn bytes(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// The first keys, from the chosen ones and the sums of both.
fn first_keys(choices: &[u64], chosen: &[u64], sums: &[u8]) -> Vec<u32> {
    let bit = |index: usize| (choices[index / 64] >> (index % 64)) as u32 & 1;
    let keys = chosen.iter().zip(words(sums)).enumerate();
    keys.map(|(index, (key, sum))| *key as u32 ^ sum & bit(index).wrapping_neg()).collect()
}

struct ClientStart(Negation);

impl ClientHalf for ClientStart {
    fn advance(self: Box<Self>, received: &[u8], view: &ClientView) -> Result<(Vec<u8>, ClientNext), OtError> {
        assert!(received.is_empty());
        let choices = choices(view.seed, self.0.elements);
        let (rows, keys) = view.transfers.choose(0, self.0.elements, &choices);
        Ok((rows, ClientNext::Preprocessing(Box::new(ClientChose(self.0, choices, keys.chosen.clone())))))
    }
}

struct ClientChose(Negation, Vec<u64>, Vec<u64>);

impl ClientHalf for ClientChose {
    fn advance(self: Box<Self>, received: &[u8], view: &ClientView) -> Result<(Vec<u8>, ClientNext), OtError> {
        let Self(step, choices, chosen) = *self;
        let (rows, sums) = received.split_at(step.kind.extension_len(step.elements));
        let keys = view.transfers.offer(0, step.elements, rows)?;
        let client = Client {
            own: view.inputs[0].clone(),
            next_mask: view.next_mask.clone(),
            keys: [first_keys(&choices, &chosen, sums), keys.zero.iter().map(|key| *key as u32).collect()],
        };
        let sums = bytes(keys.zero.iter().zip(&keys.one).map(|(zero, one)| (zero ^ one) as u32));
        Ok((sums, ClientNext::Ready(Box::new(client))))
    }
}

struct Client {
    own: Share,
    next_mask: Share,
    keys: [Vec<u32>; 2],
}

impl ClientOnline for Client {
    fn answer(&mut self, round: u32, opening: &[u8]) -> Vec<u8> {
        let opening = words(opening).into_iter().enumerate();
        bytes(opening.map(|(index, opened)| match round {
            0 => {
                let value = opened.wrapping_sub(self.keys[0][index]).wrapping_add(self.own[index]);
                value.wrapping_neg().wrapping_add(self.keys[1][index])
            }
            _ => opened.wrapping_sub(self.next_mask[index]),
        }))
    }
}

struct ServerStart(Negation);

impl ServerHalf for ServerStart {
    fn advance(self: Box<Self>, received: &[u8], view: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        let offered = view.transfers.offer(0, self.0.elements, received)?;
        let choices = choices(view.seed, self.0.elements);
        let (mut message, keys) = view.transfers.choose(0, self.0.elements, &choices);
        message.extend(bytes(offered.zero.iter().zip(&offered.one).map(|(zero, one)| (zero ^ one) as u32)));
        let first = offered.zero.iter().map(|key| *key as u32).collect();
        Ok((message, ServerNext::Preprocessing(Box::new(ServerChose(first, choices, keys.chosen.clone())))))
    }
}

struct ServerChose(Vec<u32>, Vec<u64>, Vec<u64>);

impl ServerHalf for ServerChose {
    fn advance(self: Box<Self>, received: &[u8], _: &ServerView) -> Result<(Vec<u8>, ServerNext), OtError> {
        let Self(first, choices, chosen) = *self;
        let second = first_keys(&choices, &chosen, received);
        Ok((Vec::new(), ServerNext::Ready(Box::new(Server { keys: [first, second] }))))
    }
}

struct Server {
    keys: [Vec<u32>; 2],
}

impl ServerOnline for Server {
    fn open(&mut self, inputs: &[&Share]) -> Vec<u8> {
        bytes(inputs[0].iter().zip(&self.keys[0]).map(|(own, key)| own.wrapping_add(*key)))
    }

    fn answer(&mut self, round: u32, opening: &[u8]) -> ServerProgress {
        let opened = words(opening);
        match round {
            0 => ServerProgress::Opening(bytes(
                opened.iter().zip(&self.keys[1]).map(|(sum, key)| sum.wrapping_sub(*key)),
            )),
            _ => ServerProgress::Value(Share(opened)),
        }
    }

    fn memory_bytes(&self) -> usize {
        8 * self.keys[0].len()
    }
}

/// Every node as it is, but for reshaping, which negates.
fn layout(plan: &Plan) -> SessionLayout {
    SessionLayout::with_roles(plan, |plan, node| match node.step {
        Step::Reshape => {
            Role::Interactive(Box::new(Negation { elements: node.shape.elements(), kind: plan.transfers }))
        }
        _ => Role::of(plan, node),
    })
}

#[test]
fn a_step_that_no_plan_has_goes_through_whole_sessions() {
    for model in models() {
        let (clients, servers, transcript) = prepare_layout(model, 2, &layout);
        let prediction = predict_layout(&model.plan, &layout(&model.plan));
        let sent = transcript.requests.iter().filter_map(|request| match request {
            PreprocessRequest::Step(message) if message.kind != MessageKind::ClientSilentReply => {
                Some(message.data.len() as u64)
            }
            _ => None,
        });
        assert_eq!(sent.sum::<u64>(), 2 * prediction.preprocessing.bytes_sent);
        assert_eq!(prediction.online.round_trips, predict(&model.plan).online.round_trips + 2);
        for ((client, server), input) in clients.into_iter().zip(servers).zip(inputs()) {
            let (logits, sent, received) = infer(model, client, server, &ring(&input));
            for (logit, (low, high)) in logits.iter().zip(model.bounds_with(&input, |(low, high)| (-high, -low))) {
                let logit = i64::from(*logit as i32);
                assert!((low..=high).contains(&logit), "{logit} is not in {low}..={high}");
            }
            assert_eq!((sent.len(), received.len()), (1 + 1 + 9, 9 + 1), "one message for each round and direction");
        }
    }
}
