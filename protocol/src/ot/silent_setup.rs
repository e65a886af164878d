//! The set-up of silent OT: from an extension that is not silent to one that is.

use rand::Rng;
use zeroize::Zeroizing;

use super::{
    error::OtError,
    kind::{ExtensionReceiver, ExtensionSender, Receiver, Sender},
    pool::Pool,
    silent::{Prepared, Public, SilentReceiver, SilentSender, Stage, TREE, base_transfers, silent_reply_len, stages},
    simd::LANE,
    transcript::{Key, Transcript},
};
use crate::plan::BLOCK;
use crate::random::Seed;

#[cfg(test)]
mod tests;

const REPLY: &str = "reply of the silent set-up";

/// The receiver's half of the set-up, between its request and the reply. Wiped on drop, redacted in `Debug`.
pub struct SilentSetup {
    transfers: u64,
    transcript: Transcript,
    /// The correlated strings of the first stage.
    inputs: Zeroizing<Vec<Key>>,
}

impl SilentSetup {
    /// Turns a receiver that was made by [`base_send`](super::base_send) into a silent one for `transfers`
    /// transfers, a public number. The request has [``] bytes; it may travel with the reply of the base
    /// transfers.
    ///
    /// # Errors
    /// [`OtError::Random`] if the system's random generator fails.
    ///
    /// # Panics
    /// If the receiver is silent already.
    pub fn start(receiver: ExtensionReceiver, transfers: u64) -> Result<(Self, Vec<u8>), OtError> {
        Ok(Self::from_seed(receiver, transfers, &Seed::random()?))
    }

    pub(super) fn from_seed(receiver: ExtensionReceiver, transfers: u64, seed: &Seed) -> (Self, Vec<u8>) {
        let Receiver::Soft(soft) = receiver.0 else { panic!("the receiver is silent already") };
        let count = base_transfers(&stages(transfers));
        let mut stream = seed.stream();
        let choices: Zeroizing<Vec<u64>> = Zeroizing::new((0..count / 64).map(|_| stream.next_u64()).collect());
        let (request, mut inputs) = soft.correlate(count, &choices);
        for (index, input) in inputs.iter_mut().enumerate() {
            input[0] = input[0] & 0xfe | (choices[index / 64] >> (index % 64)) as u8 & 1;
        }
        (Self { transfers, transcript: *soft.transcript(), inputs }, request)
    }

    /// Reads the reply.
    ///
    /// # Errors
    /// [`OtError::Length`] if the reply has not exactly [`silent_reply_len`] bytes.
    pub fn finish(self, reply: &[u8]) -> Result<ExtensionReceiver, OtError> {
        OtError::check_length(REPLY, silent_reply_len(self.transfers), reply)?;
        let (public, pool) = (Public::new(&self.transcript), Pool::default());
        let mut corrections = reply.as_chunks::<{ size_of::<Key>() }>().0;
        let mut inputs = self.inputs;
        let mut made = Vec::new();
        for (number, layout) in (0..).zip(stages(self.transfers)) {
            let (own, rest) = corrections.split_at(layout.corrections_len() / size_of::<Key>());
            corrections = rest;
            let stage = Stage::for_receiver((number, layout.parameters), &inputs[..layout.inputs()], own);
            inputs = stage.outputs(&public, &pool, layout.reserved_from, layout.reserved);
            made.push(stage);
        }
        let prepared = Prepared { public, stages: main_stages(made), trees: trees(self.transfers), pool };
        Ok(ExtensionReceiver(Receiver::Silent(Box::new(SilentReceiver(prepared)))))
    }
}

/// Turns a sender that was made by [`BaseReceiver::finish`](super::BaseReceiver::finish) into a silent one for
/// `transfers` transfers, and makes the reply, [`silent_reply_len`] bytes.
///
/// # Errors
/// [`OtError::Length`] if the request has not exactly [``] bytes.
///
/// # Panics
/// If the sender is silent already.
pub fn silent_reply(
    sender: ExtensionSender,
    transfers: u64,
    request: &[u8],
) -> Result<(ExtensionSender, Vec<u8>), OtError> {
    let Sender::Soft(soft) = sender.0 else { panic!("the sender is silent already") };
    let stages = stages(transfers);
    let mut inputs = soft.correlate(base_transfers(&stages), request)?;
    // The lowest bit of a correlated string is the receiver's bit.
    inputs.iter_mut().for_each(|input| input[0] &= 0xfe);
    let mut delta = soft.delta();
    delta[0] |= 1;
    let (public, pool) = (Public::new(soft.transcript()), Pool::default());
    let mut reply = Vec::with_capacity(silent_reply_len(transfers));
    let mut made = Vec::new();
    for (number, layout) in (0..).zip(stages) {
        let kind = (number, layout.parameters);
        let (stage, corrections) = Stage::for_sender(kind, &public, &pool, &inputs[..layout.inputs()], &delta);
        reply.extend_from_slice(corrections.as_flattened());
        inputs = stage.outputs(&public, &pool, layout.reserved_from, layout.reserved);
        made.push(stage);
    }
    let mut columns = Zeroizing::new(vec![[0; LANE]; BLOCK]);
    columns.as_flattened_mut().as_chunks_mut().0.fill(*delta);
    let prepared = Prepared { public, stages: main_stages(made), trees: trees(transfers), pool };
    Ok((ExtensionSender(Sender::Silent(Box::new(SilentSender { prepared, delta: columns }))), reply))
}

/// All but the first.
fn main_stages<T>(made: Vec<Stage<T>>) -> Vec<Stage<T>> {
    made.into_iter().skip(1).collect()
}

fn trees(transfers: u64) -> usize {
    transfers.div_ceil(TREE as u64) as usize
}

impl std::fmt::Debug for SilentSetup {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SilentSetup(redacted)")
    }
}
