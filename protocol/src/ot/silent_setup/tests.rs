//! Both parties in memory.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::{
    super::{
        BaseReceiver, SenderKeys,
        base::send_from_seed,
        silent::parameters::{Parameters, USED_TREES},
        silent::point::xor,
        silent::silent_request_len,
    },
    *,
};
use crate::plan::{ExtensionKind, TreeHeight, padded};
use crate::uniformity::assert_uniform;

type Parties = (ExtensionReceiver, ExtensionSender);

/// Two parties that have done the base OTs.
fn base(number: u64) -> Parties {
    let height = ExtensionKind::Silent.tree_height();
    let (base, first) = BaseReceiver::from_seed(height, &Seed::for_test(2 * number));
    let (receiver, reply) = send_from_seed(height, &Seed::for_test(2 * number + 1), &first).unwrap();
    (receiver, base.finish(&reply).unwrap())
}

/// Two silent parties, and their messages.
fn silent(number: u64, transfers: u64) -> (Parties, [Vec<u8>; 2]) {
    let (receiver, sender) = base(number);
    let (setup, request) = SilentSetup::from_seed(receiver, transfers, &Seed::for_test(1000 + number));
    assert_eq!(request.len(), silent_request_len(TreeHeight::MAX, transfers));
    let (sender, answer) = silent_reply(sender, transfers, &request).unwrap();
    assert_eq!(answer.len(), silent_reply_len(transfers));
    ((setup.finish(&answer).unwrap(), sender), [request, answer])
}

/// Parties with 40 trees.
fn small() -> &'static Parties {
    static PARTIES: OnceLock<Parties> = OnceLock::new();
    PARTIES.get_or_init(|| silent(1, 40 * TREE as u64).0)
}

fn random_choices(number: u64, count: usize) -> Vec<u64> {
    let mut stream = Seed::for_test(number).stream();
    (0..padded(count) / 64).map(|_| stream.next_u64()).collect()
}

/// Extends on both sides and checks every key. Gives the message and the sender's keys.
fn extend((receiver, sender): &Parties, first: u64, count: usize, choices: &[u64]) -> (Vec<u8>, SenderKeys) {
    let (message, received) = receiver.extend(first, count, choices);
    assert_eq!(message.len(), ExtensionKind::Silent.extension_len(count));
    let sent = sender.extend(first, count, &message).unwrap();
    assert_eq!([received.chosen.len(), sent.zero.len(), sent.one.len()], [count; 3]);
    for index in 0..count {
        let [zero, one] = [sent.zero[index], sent.one[index]];
        let chosen = choices[index / 64] >> (index % 64) & 1 == 1;
        let (same, other) = if chosen { (one, zero) } else { (zero, one) };
        assert_eq!(received.chosen[index], same, "transfer {index} of {count}");
        assert_ne!(received.chosen[index], other, "transfer {index} of {count}");
    }
    (message, sent)
}

#[test]
fn keys_agree_for_every_batch_size() {
    for count in [0, 1, 127, 128, 129, 513, 1023, 1024, 1025, 5000, 40 * TREE] {
        extend(small(), 0, count, &random_choices(count as u64, count));
    }
}

#[test]
fn keys_agree_for_constant_choices_from_any_block_on() {
    for first in (0..2 * TREE as u64).step_by(BLOCK) {
        for word in [0, u64::MAX] {
            extend(small(), first, 600, &[word; 10]);
        }
    }
}

#[test]
fn batches_in_any_order_are_pieces_of_one_batch() {
    let count = 20_000;
    let choices = random_choices(4, count);
    let (message, sent) = extend(small(), 1280, count, &choices);
    for (start, length) in [(12_800, 7200), (0, 128), (128, 384), (512, 12_288), (640, 1)] {
        let (piece, keys) = extend(small(), 1280 + start as u64, length, &choices[start / 64..]);
        assert_eq!(piece, message[start / 8..][..piece.len()]);
        assert_eq!(keys.zero, sent.zero[start..start + length]);
        assert_eq!(keys.one, sent.one[start..start + length]);
    }
}

#[test]
fn keys_and_messages_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (parties, messages) = silent(5, 5000);
            (messages, extend(&parties, 0, 5000, &random_choices(5, 5000)))
        })
    };
    assert_eq!(run(1), run(3));
}

/// The second main stage is fed by the first.
#[test]
fn keys_agree_across_stages() {
    let block = (USED_TREES * TREE) as u64;
    let (parties, _) = silent(6, block + 3000);
    let count = 5072;
    let (_, sent) = extend(&parties, block - 2048, count, &random_choices(6, count));
    extend(&parties, block, 128, &[0; 2]);
    extend(&parties, 0, 4096, &random_choices(7, 4096));
    extend(&parties, block - 128, 128, &[u64::MAX; 2]);
    let distinct: std::collections::HashSet<&u64> = sent.zero.iter().chain(&sent.one).collect();
    assert_eq!(distinct.len(), 2 * count);
}

#[test]
fn the_public_interface_with_system_randomness() {
    let kind = ExtensionKind::Silent;
    let (base, first) = BaseReceiver::start(kind.tree_height()).unwrap();
    let (receiver, reply) = crate::ot::base_send(kind.tree_height(), &first).unwrap();
    let (setup, request) = SilentSetup::start(receiver, 3000).unwrap();
    let (sender, answer) = silent_reply(base.finish(&reply).unwrap(), 3000, &request).unwrap();
    let parties = (setup.finish(&answer).unwrap(), sender);
    assert_eq!([parties.0.kind(), parties.1.kind()], [kind; 2]);
    extend(&parties, 256, 2744, &random_choices(3, 2744));
}

#[test]
fn no_transfers_need_no_setup() {
    let (parties, messages) = silent(7, 0);
    assert_eq!(messages, [const { Vec::new() }; 2]);
    extend(&parties, 0, 0, &[]);
}

#[test]
#[should_panic(expected = "only 2048 transfers were prepared")]
fn no_more_transfers_than_prepared() {
    let ((receiver, _), _) = silent(8, 1025);
    receiver.extend(2048 - 128, 129, &[0; 4]);
}

#[test]
fn each_view_is_uniform_whatever_the_choices() {
    let count = 40 * TREE;
    let bytes = |keys: &[u64]| keys.iter().flat_map(|key| key.to_le_bytes()).collect::<Vec<_>>();
    for (number, choices) in
        [vec![0; count / 64], vec![u64::MAX; count / 64], random_choices(8, count)].iter().enumerate()
    {
        let (parties, [request, answer]) = silent(9 + number as u64, count as u64);
        assert_uniform("request", request);
        assert_uniform("answer", answer);
        let (message, sent) = extend(&parties, 0, count, choices);
        assert_uniform(&format!("message {number}"), message.iter().copied());
        assert_uniform("neighbours", message.windows(2).map(|pair| pair[0] ^ pair[1]));
        // Equal places of neighbouring trees, and of halves of a tree.
        for distance in [TREE / 8, TREE / 16, TREE / 4] {
            assert_uniform("trees", message.iter().zip(&message[distance..]).map(|(one, other)| one ^ other));
        }
        assert_uniform("zero", bytes(&sent.zero));
        assert_uniform("one", bytes(&sent.one));
        let differences: Vec<u64> = sent.zero.iter().zip(&sent.one).map(|(zero, one)| zero ^ one).collect();
        assert_uniform("difference", bytes(&differences));
        let neighbours: Vec<u64> = sent.one.windows(2).map(|pair| pair[0] ^ pair[1]).collect();
        assert_uniform("neighbouring keys", bytes(&neighbours));
    }
}

#[test]
fn the_message_is_as_far_from_any_choices_as_from_others() {
    let count = 40 * TREE;
    for (number, choices) in [vec![0; count / 64], random_choices(12, count)].iter().enumerate() {
        let (message, _) = small().0.extend(0, count, choices);
        let different: u32 = message
            .as_chunks::<8>()
            .0
            .iter()
            .zip(choices)
            .map(|(bytes, choices)| (u64::from_le_bytes(*bytes) ^ choices).count_ones())
            .sum();
        let deviation = (f64::from(different) - count as f64 / 2.0) / (count as f64).sqrt() * 2.0;
        assert!(deviation.abs() < 5.0, "choices {number}: {deviation} standard deviations");
    }
}

#[test]
fn messages_of_the_wrong_length_are_refused() {
    for change in [-1isize, 1, -16, 16] {
        let resized = |mut message: Vec<u8>| {
            message.resize(message.len().strict_add_signed(change), 0);
            message
        };
        let (receiver, sender) = base(20);
        let (setup, request) = SilentSetup::from_seed(receiver, 2000, &Seed::for_test(20));
        let error = silent_reply(sender, 2000, &resized(request.clone())).unwrap_err();
        let expected = OtError::Length {
            message: "extension message",
            expected: request.len(),
            actual: request.len().strict_add_signed(change),
        };
        assert_eq!(error, expected);
        let (_, sender) = base(20);
        let (sender, answer) = silent_reply(sender, 2000, &request).unwrap();
        let length = answer.len();
        let error = setup.finish(&resized(answer)).unwrap_err();
        let expected = OtError::Length { message: REPLY, expected: length, actual: length.strict_add_signed(change) };
        assert_eq!(error, expected);
        let error = sender.extend(0, 1000, &resized(vec![0; 128])).unwrap_err();
        assert!(matches!(error, OtError::Length { expected: 128, .. }));
    }
}

/// Nothing in the protocol shows the change; keys that agree are those that it does not reach.
#[test]
fn changed_messages_are_no_panic_and_give_other_keys() {
    let (receiver, sender) = base(21);
    let (setup, request) = SilentSetup::from_seed(receiver, 4096, &Seed::for_test(21));
    let (sender, answer) = silent_reply(sender, 4096, &request).unwrap();
    let noise: Vec<u8> = random_choices(21, 8 * answer.len()).iter().flat_map(|word| word.to_le_bytes()).collect();
    let receiver = setup.finish(&noise[..answer.len()]).unwrap();
    let (message, received) = receiver.extend(0, 4096, &[0; 64]);
    let sent = sender.extend(0, 4096, &message).unwrap();
    let agreeing = sent.zero.iter().zip(&received.chosen).filter(|(sent, received)| sent == received).count();
    assert!(agreeing < 100, "{agreeing} keys agree");
    let sent = sender.extend(0, 4096, &noise[..512]).unwrap();
    assert_eq!(sent.zero.len(), 4096);
}

#[test]
fn debug_shows_no_secret() {
    let (receiver, sender) = base(22);
    let (setup, request) = SilentSetup::from_seed(receiver, 100, &Seed::for_test(22));
    let (sender, answer) = silent_reply(sender, 100, &request).unwrap();
    assert_eq!(format!("{setup:?} {sender:?}"), "SilentSetup(redacted) ExtensionSender(redacted)");
    assert_eq!(format!("{:?}", setup.finish(&answer).unwrap()), "ExtensionReceiver(redacted)");
}

#[test]
fn each_side_can_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<SilentSetup>();
    check::<ExtensionReceiver>();
    check::<ExtensionSender>();
}

/// The digest of a tree's corrections, its extension message and all its keys, for correlated strings that are easy to
/// make again.
///
/// Expected value computed by another implementation (with OpenSSL's AES), string by string from the module's
/// description.
#[test]
fn known_answers_from_correlated_strings_to_keys() {
    let parameters = Parameters::MAIN;
    let mut delta: Key = prefix(b"delta");
    delta[0] |= 1;
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    for index in 0..parameters.inputs(1) as u32 {
        let digest = Sha256::digest(index.to_le_bytes());
        let mut string: Key = std::array::from_fn(|byte| digest[byte]);
        string[0] &= 0xfe;
        sent.push(string);
        received.push(if digest[16] & 1 == 1 { xor(&string, &delta) } else { string });
    }
    let (public, pool) = (Public::new(&Transcript::new(TreeHeight::MAX, b"first", b"point")), Pool::default());
    let (sender, corrections) = Stage::for_sender((1, parameters), &public, &pool, &sent, &delta);
    let receiver = Stage::for_receiver((1, parameters), &received, &corrections);
    let receiver = SilentReceiver(Prepared { public, stages: vec![receiver], trees: 1, pool });
    let public = Public::new(&Transcript::new(TreeHeight::MAX, b"first", b"point"));
    let prepared = Prepared { public, stages: vec![sender], trees: 1, pool: Pool::default() };
    let mut columns = vec![[0; LANE]; BLOCK];
    columns.as_flattened_mut().as_chunks_mut().0.fill(delta);
    let sender = SilentSender { prepared, delta: Zeroizing::new(columns) };

    let choices: Vec<u8> = (0..4).flat_map(|number| Sha256::digest([number])).collect();
    let choices: Vec<u64> = choices.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (message, received) = receiver.extend(0, TREE, &choices);
    let sent = sender.extend(0, TREE, &message).unwrap();
    let mut digest = Sha256::new().chain_update(corrections.as_flattened()).chain_update(&message);
    for key in [&received.chosen, &sent.zero, &sent.one].into_iter().flatten() {
        digest.update(key.to_le_bytes());
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "202185dbaab033999e07580151ce9885318169229e2b3aa84c2caf62807b0969");
}

fn prefix(bytes: &[u8]) -> Key {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|byte| digest[byte])
}
