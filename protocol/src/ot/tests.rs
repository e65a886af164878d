//! Both parties in memory.

use std::collections::HashSet;

use rand::Rng;
use sha2::{Digest, Sha256};

use super::{base::send_from_seed, transcript::Transcript, *};
use crate::plan::{BLOCK, ExtensionKind, TreeHeight, padded};
use crate::random::Seed;
use crate::uniformity::assert_uniform;

/// Bytes of a reply of the base OTs.
const REPLY_LEN: usize = TreeHeight::DEFAULT.base_reply_len();

/// Two parties that have done the base OTs.
fn pair(height: TreeHeight, number: u64) -> (ExtensionReceiver, ExtensionSender) {
    let (base, first) = BaseReceiver::from_seed(height, &Seed::for_test(2 * number));
    let (receiver, reply) = send_from_seed(height, &Seed::for_test(2 * number + 1), &first).unwrap();
    assert_eq!([first.len(), reply.len()], [BASE_FIRST_LEN, height.base_reply_len()]);
    (receiver, base.finish(&reply).unwrap())
}

fn random_words(number: u64, count: usize) -> Vec<u64> {
    let mut stream = Seed::for_test(number).stream();
    (0..count).map(|_| stream.next_u64()).collect()
}

fn random_choices(number: u64, count: usize) -> Vec<u64> {
    random_words(number, padded(count) / 64)
}

fn choice(choices: &[u64], index: usize) -> bool {
    choices[index / 64] >> (index % 64) & 1 == 1
}

/// Extends on both sides and checks every key. Returns the message and the sender's keys.
fn extend(
    (receiver, sender): &(ExtensionReceiver, ExtensionSender),
    first: u64,
    count: usize,
    choices: &[u64],
) -> (Vec<u8>, SenderKeys) {
    let (message, received) = receiver.extend(first, count, choices);
    let sent = sender.extend(first, count, &message).unwrap();
    assert_eq!([received.chosen.len(), sent.zero.len(), sent.one.len()], [count; 3]);
    for index in 0..count {
        let [zero, one] = [sent.zero[index], sent.one[index]];
        let (same, other) = if choice(choices, index) { (one, zero) } else { (zero, one) };
        assert_eq!(received.chosen[index], same, "transfer {index} of {count}");
        assert_ne!(received.chosen[index], other, "transfer {index} of {count}");
    }
    (message, sent)
}

#[test]
fn keys_agree_for_every_height_and_batch_size() {
    for height in (1..=8).filter_map(TreeHeight::new) {
        let parties = pair(height, 1);
        for count in [0, 1, 127, 128, 129, 513, 8191, 8193, 10_000] {
            let choices = random_choices(count as u64, count);
            let (message, _) = extend(&parties, 0, count, &choices);
            assert_eq!(message.len(), height.extension_len(count));
        }
    }
}

#[test]
fn keys_agree_for_constant_choices_and_high_indices() {
    let parties = pair(TreeHeight::DEFAULT, 2);
    for first in [0, 1 << 20, (u32::MAX as u64 + 1) * 128, 1 << 62] {
        for word in [0, u64::MAX] {
            extend(&parties, first, 200, &[word; 4]);
        }
    }
}

#[test]
#[should_panic(expected = "multiples of 128")]
fn batches_start_at_block_boundaries() {
    let (receiver, _) = pair(TreeHeight::DEFAULT, 2);
    receiver.extend(64, 128, &[0; 2]);
}

#[test]
fn the_public_interface_with_system_randomness() {
    let (base, first) = BaseReceiver::start(TreeHeight::DEFAULT).unwrap();
    let (receiver, reply) = base_send(TreeHeight::DEFAULT, &first).unwrap();
    assert_eq!([first.len(), reply.len()], [BASE_FIRST_LEN, REPLY_LEN]);
    let parties = (receiver, base.finish(&reply).unwrap());
    let (message, _) = extend(&parties, 256, 1000, &random_choices(3, 1000));
    assert_eq!(message.len(), ExtensionKind::DEFAULT.extension_len(1000));
}

#[test]
fn batches_in_any_order_are_pieces_of_one_batch() {
    let parties = pair(TreeHeight::DEFAULT, 4);
    let count = 20_000;
    let choices = random_choices(4, count);
    let (message, sent) = extend(&parties, 1280, count, &choices);
    let bytes = TreeHeight::DEFAULT.block_len();
    for (start, length) in [(12_800, 7200), (0, 128), (128, 384), (512, 12_288)] {
        let (piece, keys) = extend(&parties, 1280 + start as u64, length, &choices[start / 64..]);
        assert_eq!(piece, message[start / BLOCK * bytes..][..piece.len()]);
        assert_eq!(keys.zero, sent.zero[start..start + length]);
        assert_eq!(keys.one, sent.one[start..start + length]);
    }
}

#[test]
fn keys_do_not_depend_on_the_number_of_threads() {
    let parties = pair(TreeHeight::DEFAULT, 5);
    let choices = random_choices(5, 30_000);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| extend(&parties, 0, 30_000, &choices))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn two_directions_at_once_have_nothing_in_common() {
    let parties = [pair(TreeHeight::DEFAULT, 6), pair(TreeHeight::DEFAULT, 7)];
    let choices = random_choices(6, 5000);
    let [(_, there), (_, back)] = std::thread::scope(|scope| {
        let threads = parties.each_ref().map(|parties| scope.spawn(|| extend(parties, 0, 5000, &choices)));
        threads.map(|thread| thread.join().unwrap())
    });
    let distinct: HashSet<u64> =
        [&there.zero, &there.one, &back.zero, &back.one].into_iter().flatten().copied().collect();
    assert_eq!(distinct.len(), 4 * 5000);
}

#[test]
fn each_view_is_uniform_whatever_the_choices() {
    let count = 20_000;
    for (number, choices) in [vec![0; count], vec![u64::MAX; count], random_words(8, count)].iter().enumerate() {
        let parties = pair(TreeHeight::DEFAULT, 8);
        let (message, sent) = extend(&parties, 0, count, choices);
        assert_uniform(&format!("message {number}"), message.iter().copied());
        let bytes = |keys: &[u64]| keys.iter().flat_map(|key| key.to_le_bytes()).collect::<Vec<_>>();
        assert_uniform("zero", bytes(&sent.zero));
        assert_uniform("one", bytes(&sent.one));
        let differences: Vec<u64> = sent.zero.iter().zip(&sent.one).map(|(zero, one)| zero ^ one).collect();
        assert_uniform("difference", bytes(&differences));
        // Neighbouring transfers, and equal places of neighbouring trees.
        assert_uniform("neighbours", bytes(&sent.one).windows(2).map(|pair| pair[0] ^ pair[1]));
        assert_uniform(
            "trees",
            message
                .chunks(16)
                .zip(message.chunks(16).skip(1))
                .flat_map(|(one, next)| one.iter().zip(next).map(|(one, next)| one ^ next).collect::<Vec<_>>()),
        );
    }
}

#[test]
fn the_message_is_as_far_from_any_choices_as_from_others() {
    // Bits of the message that agree with the choices: half of them, within five standard deviations.
    let count = 1 << 17;
    let (receiver, _) = pair(TreeHeight::DEFAULT, 9);
    let choices = random_choices(9, count);
    let (message, _) = receiver.extend(0, count, &choices);
    let block_len = TreeHeight::DEFAULT.block_len();
    for tree in 0..TreeHeight::DEFAULT.trees() {
        let different: u32 = (message.chunks(block_len).zip(choices.chunks(2)))
            .map(|(block, choices)| {
                let correction: [u8; 16] = block[16 * tree..][..16].try_into().unwrap();
                let wanted = u128::from(choices[0]) | u128::from(choices[1]) << 64;
                (u128::from_le_bytes(correction) ^ wanted).count_ones()
            })
            .sum();
        let deviation = (f64::from(different) - count as f64 / 2.0) / (count as f64).sqrt() * 2.0;
        assert!(deviation.abs() < 5.0, "tree {tree}: {deviation} standard deviations");
    }
}

#[test]
fn the_first_message_does_not_repeat_and_has_valid_points_only() {
    let [(_, one), (_, two)] = [(); 2].map(|()| BaseReceiver::start(TreeHeight::DEFAULT).unwrap());
    let points: HashSet<&[u8]> = one.chunks(32).chain(two.chunks(32)).collect();
    assert_eq!(points.len(), 4 * 128);
}

/// `Delta` and the choices must not be the same for everyone.
#[test]
fn base_choices_are_balanced() {
    let ones: u32 = (0..16)
        .map(|number| {
            let (base, _) = BaseReceiver::from_seed(TreeHeight::DEFAULT, &Seed::for_test(number));
            base.choices().count_ones()
        })
        .sum();
    // 2048 bits: five standard deviations.
    assert!((1024 - 113..=1024 + 113).contains(&ones), "{ones}");
}

#[test]
fn parties_with_different_heights_do_not_agree() {
    let (base, first) = BaseReceiver::start(TreeHeight::new(5).unwrap()).unwrap();
    let (_, reply) = base_send(TreeHeight::new(4).unwrap(), &first).unwrap();
    assert!(matches!(base.finish(&reply), Err(OtError::Length { .. })));
    assert_eq!([0, 9].map(TreeHeight::new), [None; 2]);
}

#[test]
fn malformed_first_messages_are_refused() {
    let (_, good) = BaseReceiver::start(TreeHeight::DEFAULT).unwrap();
    for length in [0, 1, BASE_FIRST_LEN - 1, BASE_FIRST_LEN + 1, 2 * BASE_FIRST_LEN] {
        let mut message = good.clone();
        message.resize(length, 0);
        let error = base_send(TreeHeight::DEFAULT, &message).unwrap_err();
        assert!(matches!(error, OtError::Length { expected: BASE_FIRST_LEN, actual, .. } if actual == length));
    }
    for index in [0, 1, 100, 255] {
        let place = 32 * index..32 * (index + 1);
        let mut message = good.clone();
        message[place.clone()].fill(0);
        let error = base_send(TreeHeight::DEFAULT, &message).unwrap_err();
        assert!(matches!(error, OtError::IdentityPoint { index: found, .. } if found == index), "{error}");
        for bad in not_points() {
            message[place.clone()].copy_from_slice(&bad);
            let error = base_send(TreeHeight::DEFAULT, &message).unwrap_err();
            assert!(matches!(error, OtError::InvalidPoint { index: found, .. } if found == index), "{error}");
        }
    }
    let noise: Vec<u8> = random_words(10, BASE_FIRST_LEN / 8).iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(matches!(base_send(TreeHeight::DEFAULT, &noise), Err(OtError::InvalidPoint { .. })));
}

#[test]
fn malformed_replies_are_refused() {
    let reply_to = |change: &dyn Fn(&mut Vec<u8>)| {
        let (base, first) = BaseReceiver::start(TreeHeight::DEFAULT).unwrap();
        let (_, mut reply) = base_send(TreeHeight::DEFAULT, &first).unwrap();
        change(&mut reply);
        base.finish(&reply).unwrap_err()
    };
    for length in [0, 31, REPLY_LEN - 1, REPLY_LEN + 1] {
        let error = reply_to(&|reply| reply.resize(length, 0));
        assert!(matches!(error, OtError::Length { expected: REPLY_LEN, actual, .. } if actual == length));
    }
    let error = reply_to(&|reply| reply[..32].fill(0));
    assert!(matches!(error, OtError::IdentityPoint { index: 0, .. }));
    for bad in not_points() {
        let error = reply_to(&|reply| reply[..32].copy_from_slice(&bad));
        assert!(matches!(error, OtError::InvalidPoint { index: 0, .. }));
    }
}

/// Encodings that RFC 9496 (appendix A.2) lists as invalid: not canonical, negative, not on the curve.
fn not_points() -> [[u8; 32]; 4] {
    let mut not_reduced = [0xff; 32];
    not_reduced[0] = 0xed;
    not_reduced[31] = 0x7f;
    let mut negative = [0; 32];
    negative[0] = 1;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    [not_reduced, negative, minus_one, [0xff; 32]]
}

/// Nothing in the protocol shows the change; keys that agree are those that it does not reach.
#[test]
fn a_changed_base_message_gives_other_keys() {
    let count = 2000;
    let choices = random_choices(11, count);
    let swap_points = |first: &mut Vec<u8>| first.copy_within(0..32, 32);
    let change_last_corrections = |reply: &mut Vec<u8>| {
        for place in [REPLY_LEN - 1, REPLY_LEN - 17] {
            reply[place] ^= 1;
        }
    };
    for changes_first in [true, false] {
        let (base, mut first) = BaseReceiver::from_seed(TreeHeight::DEFAULT, &Seed::for_test(11));
        if changes_first {
            swap_points(&mut first);
        }
        let (receiver, mut reply) = send_from_seed(TreeHeight::DEFAULT, &Seed::for_test(12), &first).unwrap();
        if !changes_first {
            change_last_corrections(&mut reply);
        }
        let sender = base.finish(&reply).unwrap();
        let (message, received) = receiver.extend(0, count, &choices);
        let sent = sender.extend(0, count, &message).unwrap();
        let agreeing = (0..count)
            .filter(|index| {
                let keys = if choice(&choices, *index) { &sent.one } else { &sent.zero };
                keys[*index] == received.chosen[*index]
            })
            .count();
        // One wrong leaf changes at least one row, in every second place.
        assert!(agreeing < count * 3 / 5, "{agreeing} of {count} keys agree");
    }
}

#[test]
fn extension_messages_of_the_wrong_length_are_refused() {
    let (receiver, sender) = pair(TreeHeight::DEFAULT, 12);
    let (message, _) = receiver.extend(0, 300, &[0; 6]);
    for length in
        [0, message.len() - 1, message.len() + 1, message.len() - TreeHeight::DEFAULT.block_len(), 2 * message.len()]
    {
        let mut changed = message.clone();
        changed.resize(length, 0);
        let error = sender.extend(0, 300, &changed).unwrap_err();
        let expected = OtError::Length { message: "extension message", expected: message.len(), actual: length };
        assert_eq!(error, expected);
    }
}

#[test]
fn a_changed_extension_message_is_no_panic() {
    let (receiver, sender) = pair(TreeHeight::DEFAULT, 13);
    let (message, received) = receiver.extend(0, 128, &[0; 2]);
    let noise: Vec<u8> = random_words(13, message.len() / 8).iter().flat_map(|word| word.to_le_bytes()).collect();
    let sent = sender.extend(0, 128, &noise).unwrap();
    assert_ne!(sent.zero, received.chosen);
}

#[test]
fn debug_shows_no_secret() {
    let (base, _) = BaseReceiver::start(TreeHeight::DEFAULT).unwrap();
    let (receiver, sender) = pair(TreeHeight::DEFAULT, 14);
    let (message, received) = receiver.extend(0, 3, &[5; 2]);
    let sent = sender.extend(0, 3, &message).unwrap();
    assert_eq!(
        format!("{base:?} {receiver:?} {sender:?}"),
        "BaseReceiver(redacted) ExtensionReceiver(redacted) ExtensionSender(redacted)"
    );
    assert_eq!(format!("{received:?} {sent:?}"), "ReceiverKeys(3 redacted) SenderKeys(3 redacted)");
}

#[test]
fn each_side_can_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<BaseReceiver>();
    check::<ExtensionReceiver>();
    check::<ExtensionSender>();
}

/// The digest of the corrections, an extension message and all keys, for keys and choices that are
/// easy to make again.
///
/// Expected values computed by another implementation, bit by bit from the module's description.
#[test]
fn known_answers_from_keys_to_keys() {
    let delta = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128;
    let choices: [u8; 32] = Sha256::digest(b"choices").into();
    let choices: Vec<u64> = choices.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let keys: [[[u8; 16]; 2]; 128] = std::array::from_fn(|index| {
        [0, 1].map(|side| std::array::from_fn(|byte| Sha256::digest([index as u8, side])[byte]))
    });
    let selected = std::array::from_fn(|index| keys[index][(delta >> index) as usize & 1]);
    for (height, expected) in KNOWN_DIGESTS {
        let height = TreeHeight::new(height).unwrap();
        let transcript = Transcript::new(height, b"first", b"point");
        let mut corrections = Vec::new();
        let complete = tree::complete(height, &transcript, &keys, &mut corrections);
        let punctured = tree::punctured(height, &transcript, delta, &selected, &corrections);
        let receiver = ExtensionReceiver::new(height, complete, &transcript);
        let sender = ExtensionSender::new(height, delta, punctured, &transcript);
        let (message, received) = receiver.extend(1280, 200, &choices);
        let sent = sender.extend(1280, 200, &message).unwrap();
        let mut digest = Sha256::new().chain_update(&corrections).chain_update(&message);
        for key in [&received.chosen, &sent.zero, &sent.one].into_iter().flatten() {
            digest.update(key.to_le_bytes());
        }
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, expected, "{height:?}");
    }
}
/// Tree heights and digests.
const KNOWN_DIGESTS: [(u8, &str); 4] = [
    (1, "4031b230c8af8cb70cba39d827c1b32d5b48c74849074556a3b8394597b9872d"),
    (4, "2bc09da78dd3c2966aedaf54ad5695fec2d2c1054e25ebe7fc02e20334d00b22"),
    (5, "ec7a3bdabc34ba871dc88dedb0bb4dca042a74c9d447a712824da0c9b29126ba"),
    (8, "e1d46ce2d0a23dc3d83f108c8b8a3257f25454afa26c39faf0471d22f62cd562"),
];
