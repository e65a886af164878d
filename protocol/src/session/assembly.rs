//! Between logical messages and the pieces in which they travel.

use super::error::SessionError;
use super::message::Message;
use crate::plan::NodeId;
use crate::steps::MessageKind;

/// Cuts a logical message into pieces. A short message is its own piece; pieces of a long one are copies of their own
/// length, so that memory stays linear in the length of the message.
pub(super) fn split(
    session: u32,
    node: NodeId,
    kind: MessageKind,
    round: u32,
    data: Vec<u8>,
) -> impl Iterator<Item = Message> {
    let mut rest = data;
    let mut offset = 0;
    std::iter::from_fn(move || {
        let left = rest.len() - offset;
        let data = match left {
            0 => return None,
            _ if offset == 0 && left <= Message::MAX_DATA => std::mem::take(&mut rest),
            _ => rest[offset..][..left.min(Message::MAX_DATA)].to_vec(),
        };
        let message = Message { session, node, kind, round, offset: offset as u64, data };
        // What was taken out as a whole leaves nothing behind.
        offset = rest.len().min(offset + message.data.len());
        Some(message)
    })
}

/// A logical message of known length, being received.
#[derive(Default)]
pub(super) struct Assembly {
    data: Vec<u8>,
}

impl Assembly {
    /// Adds a piece to a message of `length` bytes in all; gives the message when it is whole.
    pub(super) fn add(&mut self, piece: Message, length: usize) -> Result<Option<Vec<u8>>, SessionError> {
        let Message { node, kind, offset, data, .. } = piece;
        let expected = self.data.len() as u64;
        if offset != expected {
            return Err(SessionError::Offset { node, kind, expected, got: offset });
        }
        let limit = (length - self.data.len()).min(Message::MAX_DATA);
        if data.is_empty() || data.len() > limit {
            return Err(SessionError::PieceLength { node, kind, got: data.len(), limit });
        }
        if self.data.is_empty() {
            self.data = data;
        } else {
            self.data.extend_from_slice(&data);
        }
        Ok((self.data.len() == length).then(|| std::mem::take(&mut self.data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: MessageKind = MessageKind::MaskCiphertexts;

    fn pieces(length: usize) -> Vec<Message> {
        split(3, 5, KIND, 0, (0..length).map(|index| index as u8).collect()).collect()
    }

    #[test]
    fn pieces_come_together_again() {
        for length in [1, 2, Message::MAX_DATA, Message::MAX_DATA + 1, 3 * Message::MAX_DATA] {
            let pieces = pieces(length);
            assert_eq!(pieces.len(), length.div_ceil(Message::MAX_DATA));
            let mut assembly = Assembly::default();
            let whole = pieces.into_iter().filter_map(|piece| assembly.add(piece, length).unwrap()).collect::<Vec<_>>();
            assert_eq!(whole.len(), 1);
            assert_eq!(whole[0], (0..length).map(|index| index as u8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn pieces_hold_no_more_memory_than_the_message() {
        for length in [1, Message::MAX_DATA, Message::MAX_DATA + 1, 7 * Message::MAX_DATA + 5] {
            let held: usize = pieces(length).iter().map(|piece| piece.data.capacity()).sum();
            assert!(held <= 2 * length, "{held} bytes for {length}");
        }
    }

    #[test]
    fn misplaced_pieces_are_refused() {
        let length = 2 * Message::MAX_DATA;
        let [first, second] = pieces(length).try_into().unwrap();
        let mut assembly = Assembly::default();
        assert!(matches!(assembly.add(second.clone(), length), Err(SessionError::Offset { expected: 0, .. })));
        assert!(assembly.add(first.clone(), length).unwrap().is_none());
        assert!(matches!(assembly.add(first, length), Err(SessionError::Offset { .. })));
        let mut long = second.clone();
        long.data.push(0);
        assert!(matches!(assembly.add(long, length), Err(SessionError::PieceLength { .. })));
        let mut empty = second;
        empty.data.clear();
        assert!(matches!(assembly.add(empty, length), Err(SessionError::PieceLength { got: 0, .. })));
    }
}
