// SPDX-License-Identifier: Apache-2.0
//! Blocks of a file that follow each other: what goes out at once.

/// Blocks that are to be sent, one after the other. All but the file's last have `block_bytes` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The first one, counted from 0.
    pub first: u64,
    /// How many; at least one, and at most a window.
    pub count: u16,
    /// Bytes in a whole one.
    pub block_bytes: u16,
    /// Bytes of the file, as it goes over the wire.
    pub file_bytes: u64,
}

/// One DATA packet: the header, then `length` bytes of the file from `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The packet's first four bytes. The number on the wire has 16 bits, begins at 1 and rolls over to 0.
    pub header: [u8; 4],
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many there are.
    pub length: u16,
}

impl Blocks {
    /// Where the bytes of the first block begin in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.first * u64::from(self.block_bytes)
    }

    /// Bytes of the file in all of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let whole = u64::from(self.count) * u64::from(self.block_bytes);
        self.file_bytes.saturating_sub(self.offset()).min(whole)
    }

    /// As many after them, as far as the file goes: what is asked for next where nothing is lost.
    #[must_use]
    pub fn following(&self) -> Option<Self> {
        let first = self.first + u64::from(self.count);
        let all = self.file_bytes / u64::from(self.block_bytes.max(1)) + 1;
        let left = all.checked_sub(first).filter(|left| *left > 0)?;
        let count = u16::try_from(left).map_or(self.count, |left| left.min(self.count));
        Some(Self {
            first,
            count,
            ..*self
        })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Block> + use<> {
        let Self {
            first,
            count,
            block_bytes,
            file_bytes,
        } = *self;
        (first..first + u64::from(count)).map(move |number| {
            let [.., high, low] = (number + 1).to_be_bytes();
            let offset = number * u64::from(block_bytes);
            let left = file_bytes.saturating_sub(offset);
            Block {
                header: [0, 3, high, low],
                offset,
                length: u16::try_from(left).map_or(block_bytes, |left| left.min(block_bytes)),
            }
        })
    }

    /// The first `most` of them, and the others.
    #[must_use]
    pub fn split(self, most: u16) -> (Self, Option<Self>) {
        let count = self.count.min(most.max(1));
        let rest = Self {
            first: self.first + u64::from(count),
            count: self.count - count,
            ..self
        };
        (Self { count, ..self }, (rest.count > 0).then_some(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stay_inside_the_file_and_their_numbers_roll_over() {
        let blocks = Blocks {
            first: 65_534,
            count: 3,
            block_bytes: 8,
            file_bytes: 65_536 * 8 + 3,
        };
        let all: std::vec::Vec<Block> = blocks.iter().collect();
        let row = |header, offset, length| Block {
            header,
            offset,
            length,
        };
        assert_eq!(
            all,
            [
                row([0, 3, 0xff, 0xff], 65_534 * 8, 8),
                row([0, 3, 0, 0], 65_535 * 8, 8),
                row([0, 3, 0, 1], 65_536 * 8, 3)
            ]
        );
        assert_eq!((blocks.offset(), blocks.bytes()), (65_534 * 8, 19));
        let (head, rest) = blocks.split(2);
        assert_eq!(
            head.iter()
                .chain(rest.unwrap().iter())
                .collect::<std::vec::Vec<_>>(),
            all
        );
        assert_eq!(blocks.split(3), (blocks, None));
        let empty = Blocks {
            first: 2,
            count: 1,
            block_bytes: 512,
            file_bytes: 1_024,
        };
        assert_eq!(empty.bytes(), 0);
        assert_eq!(empty.iter().next(), Some(row([0, 3, 0, 3], 1_024, 0)));
    }
}
