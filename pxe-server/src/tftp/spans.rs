// SPDX-License-Identifier: Apache-2.0
//! Packets of a file, ready to go out, for all transfers that want the same blocks of it.
//!
//! A rack that boots asks for the same file at the same time: what was read for the first machine goes to the others as
//! it is. And for a machine that is alone, what it asks for next is made while its answer is on its way. A span is made
//! only as far as somebody wanted it, so machines that share nothing cost no more than a read a window. What nobody fetches
//! any more is not kept.

use super::window::{Filled, HEADER, fill};
use crate::content::Content;
use pxe_core::tftp::Blocks;
use std::io;
use std::sync::Arc;

/// Blocks of a span, at most: the longest window.
const BLOCKS_MAX: u64 = 64;
/// Bytes of a span, at most, but for a single block that is longer.
const BYTES_MAX: u64 = 96 << 10;
/// Spans: 1.5 MiB at most, which stays near the processor.
const SPANS_MAX: usize = 16;

/// The spans of all files.
#[derive(Debug, Default)]
pub(super) struct Spans {
    spans: Vec<Span>,
    /// Spans that are kept.
    room: usize,
    /// Counts uses: who was used longest ago gives way.
    uses: u64,
}

/// Blocks of one file that follow each other.
#[derive(Debug)]
struct Span {
    /// Held, so that no other file can be taken for it.
    content: Content,
    block_bytes: u16,
    /// Its first block.
    first: u64,
    /// The blocks that are made: from this one to before that one.
    made: (u64, u64),
    used: u64,
    buffer: Box<[u8]>,
}

/// What became of a wish.
#[derive(Debug)]
pub(super) enum Packets<'s> {
    /// The packets, one after the other.
    Ready(&'s [u8]),
    /// The disk was asked; look again soon.
    Soon,
}

/// How many of these blocks, counted from the first, lie in one span.
pub(super) fn in_one(blocks: Blocks) -> u16 {
    let span = span_blocks(blocks.block_bytes);
    let left = span - blocks.first % span;
    u16::try_from(left).map_or(blocks.count, |left| left.min(blocks.count))
}

/// Blocks of a span: a power of two, so that windows which are one lie in it whole.
fn span_blocks(block_bytes: u16) -> u64 {
    let packet = u64::from(block_bytes) + HEADER as u64;
    let fit = (BYTES_MAX / packet).clamp(1, BLOCKS_MAX);
    1 << fit.ilog2()
}

impl Spans {
    /// So many transfers run: with fewer, fewer spans are kept, and without any, none.
    pub(super) fn serve(&mut self, transfers: usize) {
        self.room = transfers.min(SPANS_MAX);
        while self.spans.len() > self.room {
            self.spans.swap_remove(self.oldest());
        }
    }

    /// The packets of `blocks`, which lie in one span (see [`in_one`]). With `patience`, [`Packets::Soon`] is an answer.
    ///
    /// # Errors
    /// A file that cannot be read, or was cut short.
    pub(super) fn packets(
        &mut self,
        content: &Content,
        blocks: Blocks,
        patience: bool,
    ) -> io::Result<Packets<'_>> {
        self.uses += 1;
        let at = match self.find(content, blocks) {
            Some(at) => at,
            None => self.place(content, blocks),
        };
        let span = self.spans.get_mut(at).ok_or(io::ErrorKind::InvalidInput)?;
        span.used = self.uses;
        if !span.has(blocks) && matches!(span.make(blocks, patience)?, Filled::Soon) {
            return Ok(Packets::Soon);
        }
        let packets = span.buffer.get(span.range(blocks));
        Ok(Packets::Ready(packets.ok_or(io::ErrorKind::InvalidInput)?))
    }

    fn find(&self, content: &Content, blocks: Blocks) -> Option<usize> {
        self.spans.iter().position(|span| {
            blocks.first.wrapping_sub(span.first) < span_blocks(blocks.block_bytes)
                && span.block_bytes == blocks.block_bytes
                && is_same(&span.content, content)
        })
    }

    fn oldest(&self) -> usize {
        let ages = self.spans.iter().enumerate();
        ages.min_by_key(|(_, span)| span.used)
            .map_or(0, |(at, _)| at)
    }

    /// A span for these blocks, nothing of it made.
    fn place(&mut self, content: &Content, blocks: Blocks) -> usize {
        let count = span_blocks(blocks.block_bytes);
        let packet = HEADER + usize::from(blocks.block_bytes);
        let length = usize::try_from(count).unwrap_or_default() * packet;
        let first = blocks.first - blocks.first % count;
        let mut span = Span {
            content: content.clone(),
            block_bytes: blocks.block_bytes,
            first,
            made: (first, first),
            used: 0,
            buffer: Box::default(),
        };
        if self.spans.len() < self.room.max(1) {
            span.buffer = vec![0; length].into_boxed_slice();
            self.spans.push(span);
            return self.spans.len() - 1;
        }
        let at = self.oldest();
        if let Some(old) = self.spans.get_mut(at) {
            let buffer = std::mem::take(&mut old.buffer);
            span.buffer = if buffer.len() == length {
                buffer
            } else {
                vec![0; length].into_boxed_slice()
            };
            *old = span;
        }
        at
    }
}

impl Span {
    fn has(&self, blocks: Blocks) -> bool {
        let (from, to) = self.made;
        from <= blocks.first && blocks.first + u64::from(blocks.count) <= to
    }

    /// Where the packets of these blocks are in the buffer. Only a file's last block is shorter than the others.
    fn range(&self, blocks: Blocks) -> std::ops::Range<usize> {
        let packet = HEADER + usize::from(self.block_bytes);
        let before = usize::try_from(blocks.first - self.first).unwrap_or(usize::MAX);
        let bytes = usize::try_from(blocks.bytes()).unwrap_or(usize::MAX);
        let from = before.saturating_mul(packet);
        let length = (usize::from(blocks.count) * HEADER).saturating_add(bytes);
        from..from.saturating_add(length)
    }

    /// Makes what is missing of these blocks.
    fn make(&mut self, blocks: Blocks, patience: bool) -> io::Result<Filled> {
        let (from, to) = self.made;
        let end = blocks.first + u64::from(blocks.count);
        let mut missing = blocks;
        if (from..=to).contains(&blocks.first) {
            missing.first = to;
            missing.count = u16::try_from(end - to).unwrap_or(blocks.count);
        } else {
            self.made = (blocks.first, blocks.first);
        }
        let range = self.range(missing);
        let room = self.buffer.get_mut(range);
        let room = room.ok_or(io::ErrorKind::InvalidInput)?;
        let filled = fill(&self.content, missing, patience, room)?;
        if matches!(filled, Filled::All) {
            self.made.1 = end;
        }
        Ok(filled)
    }
}

/// Whether both are the same open file, or the same place in memory.
fn is_same(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (Content::Disk { file: one, .. }, Content::Disk { file: other, .. }) => {
            Arc::ptr_eq(one, other)
        }
        (Content::Memory(one), Content::Memory(other)) => {
            (one.as_ptr(), one.len()) == (other.as_ptr(), other.len())
        }
        (Content::Disk { .. }, Content::Memory(_)) | (Content::Memory(_), Content::Disk { .. }) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn content(bytes: &[u8]) -> (Content, std::fs::File) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        (Content::of_file(file.try_clone().unwrap()).unwrap(), file)
    }

    fn bytes(count: u32) -> Vec<u8> {
        (0..count).map(|n| u8::try_from(n % 251).unwrap()).collect()
    }

    fn blocks(first: u64, count: u16, file_bytes: u64) -> Blocks {
        Blocks {
            first,
            count,
            block_bytes: 100,
            file_bytes,
        }
    }

    fn packets(of: &[u8], wanted: Blocks) -> Vec<u8> {
        let one = |block: pxe_core::tftp::Block| {
            let from = usize::try_from(block.offset).unwrap();
            let data = &of[from..from + usize::from(block.length)];
            [&block.header[..], data].concat()
        };
        wanted.iter().flat_map(one).collect()
    }

    fn made(spans: &mut Spans, content: &Content, wanted: Blocks) -> Vec<u8> {
        match spans.packets(content, wanted, false).unwrap() {
            Packets::Ready(packets) => packets.to_vec(),
            Packets::Soon => panic!("without patience there is an answer"),
        }
    }

    #[test]
    fn every_order_of_asking_gets_the_same_packets() {
        let of = bytes(20_050);
        let (disk, _file) = content(&of);
        let memory = Content::Memory(of.clone().into());
        // On, back, over a hole, the same again, another span, the short end, and blocks before those that are made.
        let asked = [
            (0, 4),
            (4, 4),
            (2, 4),
            (40, 8),
            (41, 3),
            (64, 16),
            (192, 9),
            (30, 12),
        ];
        for room in [1, 2, 40] {
            let mut spans = Spans::default();
            spans.serve(room);
            for (first, count) in asked.into_iter().chain(asked) {
                let wanted = blocks(first, count, 20_050);
                assert_eq!(in_one(wanted), count);
                for content in [&disk, &memory] {
                    let made = made(&mut spans, content, wanted);
                    assert_eq!(made, packets(&of, wanted), "{first}");
                }
            }
            assert!(spans.spans.len() <= room);
        }
    }

    #[test]
    fn what_was_read_for_one_is_not_read_for_the_next() {
        let of = bytes(6_400);
        let (disk, file) = content(&of);
        let mut spans = Spans::default();
        spans.serve(2);
        let first = blocks(0, 8, 6_400);
        assert_eq!(made(&mut spans, &disk, first), packets(&of, first));
        file.set_len(0).unwrap();
        assert_eq!(made(&mut spans, &disk, first), packets(&of, first));
        // What was not made is an error, and nothing of it counts as made.
        for _ in 0..2 {
            let error = spans
                .packets(&disk, blocks(4, 8, 6_400), false)
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        // Nobody fetches it any more: nothing is kept, and the file is closed.
        spans.serve(0);
        assert!(spans.spans.is_empty());
        assert!(spans.packets(&disk, first, false).is_err());
    }

    #[test]
    fn files_and_lengths_of_blocks_are_kept_apart_and_the_oldest_gives_way() {
        let (one, _file) = content(&[1; 6_400]);
        let (two, _file) = content(&[2; 6_400]);
        let mut spans = Spans::default();
        spans.serve(2);
        for (content, byte) in [(&one, 1), (&two, 2), (&one, 1), (&two, 2)] {
            let got = made(&mut spans, content, blocks(0, 1, 6_400));
            assert_eq!(got[HEADER..], [byte; 100]);
        }
        let longer = Blocks {
            block_bytes: 300,
            ..blocks(0, 2, 6_400)
        };
        assert_eq!(made(&mut spans, &one, longer), packets(&[1; 6_400], longer));
        let held = spans
            .spans
            .iter()
            .filter(|span| is_same(&span.content, &one));
        assert_eq!(
            held.count(),
            1,
            "the first file's other span was the oldest"
        );
    }

    #[test]
    fn a_span_holds_whole_windows_of_a_power_of_two() {
        for (block_bytes, spans) in [(8, 64), (512, 64), (1_468, 64), (8_192, 8), (65_464, 1)] {
            assert_eq!(span_blocks(block_bytes), spans, "{block_bytes}");
        }
        assert_eq!(in_one(blocks(62, 8, 100_000)), 2);
        assert_eq!(in_one(blocks(64, 64, 100_000)), 64);
    }
}
