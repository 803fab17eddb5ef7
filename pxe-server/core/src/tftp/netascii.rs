// SPDX-License-Identifier: Apache-2.0
//! netascii (RFC 764 by way of RFC 1350): a line feed goes out as CR LF, a carriage return as CR NUL.
//!
//! No firmware asks for it, but tftp-hpa's `tftp` does unless it is told `binary`, and undoes it exactly; a server that
//! refuses looks broken to whoever tries it by hand. The length on the wire differs from the file's, so it is counted
//! before the transfer begins.

/// Bytes that a piece of a file has on the wire.
#[must_use]
pub fn encoded_length(piece: &[u8]) -> u64 {
    let doubled = piece.iter().filter(|byte| second(**byte).is_some()).count();
    u64::try_from(piece.len() + doubled).unwrap_or(u64::MAX)
}

const fn second(byte: u8) -> Option<u8> {
    match byte {
        b'\n' => Some(b'\n'),
        b'\r' => Some(0),
        _ => None,
    }
}

/// A place in a file and on the wire, from where on it can be encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoder {
    /// Bytes of the file that were read.
    pub source: u64,
    /// Bytes that were written for the wire.
    pub wire: u64,
    /// The second byte of a pair whose first one was written.
    owed: Option<u8>,
}

impl Encoder {
    /// Encodes `piece`, which begins at `self.source` in the file, until it or the room in `to` ends; how many bytes were
    /// written.
    pub fn encode(&mut self, piece: &[u8], to: &mut [u8]) -> usize {
        let mut piece = piece.iter();
        let mut written = 0;
        for place in &mut *to {
            let byte = match self.owed.take() {
                Some(owed) => owed,
                None => {
                    let Some(byte) = piece.next() else { break };
                    self.source += 1;
                    self.owed = second(*byte);
                    if self.owed.is_some() { b'\r' } else { *byte }
                }
            };
            *place = byte;
            written += 1;
        }
        self.wire += u64::try_from(written).unwrap_or(u64::MAX);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn encode(file: &[u8], room: usize) -> Vec<u8> {
        let mut encoder = Encoder::default();
        let mut wire = Vec::new();
        loop {
            let from = usize::try_from(encoder.source).unwrap();
            let mut to = std::vec![0; room];
            let n = encoder.encode(&file[from..], &mut to);
            wire.extend_from_slice(&to[..n]);
            if n < room {
                assert_eq!(encoder.wire, wire.len() as u64);
                return wire;
            }
        }
    }

    #[test]
    fn line_ends_are_doubled_wherever_a_piece_ends() {
        for room in 1..9 {
            assert_eq!(encode(b"a\nb\r\nc\r", room), b"a\r\nb\r\0\r\nc\r\0");
            assert_eq!(encode(b"", room), b"");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_length_is_counted_right_and_the_file_comes_back(
            file in proptest::collection::vec(proptest::sample::select(b"ab\r\n\0".to_vec()), 0..200),
            room in 1usize..40,
        ) {
            let wire = encode(&file, room);
            proptest::prop_assert_eq!(encoded_length(&file), wire.len() as u64);
            let mut back = Vec::new();
            let mut bytes = wire.iter();
            while let Some(byte) = bytes.next() {
                back.push(match byte {
                    b'\r' if bytes.next() == Some(&b'\n') => b'\n',
                    byte => *byte,
                });
            }
            proptest::prop_assert_eq!(back, file);
        }
    }
}
