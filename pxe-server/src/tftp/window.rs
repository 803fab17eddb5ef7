// SPDX-License-Identifier: Apache-2.0
//! The packets of a window, one after the other in one buffer: headers and bytes of the file, ready for one call.
//!
//! A file on disk is read past nobody: what the page cache does not hold is asked for and waited for while others are
//! served. Only a file system that never says so is waited for here.

use crate::content::Content;
use pxe_core::tftp::{Blocks, Encoder};
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;

/// Bytes of a DATA packet before the file's.
pub(super) const HEADER: usize = 4;
/// How much is asked of the disk when something is missing, in bytes: some milliseconds' worth of sending.
const AHEAD: u64 = 1 << 20;
/// Bytes of the file that are encoded at a time, for netascii.
const PIECE: usize = 4 << 10;

/// The bytes of one transfer.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) content: Content,
    /// In mode netascii: the place where the last window began.
    pub(super) netascii: Option<Encoder>,
}

/// What became of a filling.
#[derive(Debug)]
pub(super) enum Filled {
    /// All packets are in the buffer.
    All,
    /// The disk was asked; look again soon.
    Soon,
}

/// Fills `buffer`, which is as long as they are, with the packets of `blocks`. With `patience`, [`Filled::Soon`] is an
/// answer.
///
/// # Errors
/// A file that cannot be read, or was cut short.
pub(super) fn fill(
    content: &Content,
    blocks: Blocks,
    patience: bool,
    buffer: &mut [u8],
) -> io::Result<Filled> {
    let mut parts = parts(blocks, buffer)?;
    if let Content::Disk { file, .. } = content {
        if read_now(file, blocks, &mut parts)? {
            return Ok(Filled::All);
        }
        if patience {
            return Ok(Filled::Soon);
        }
    }
    for (block, part) in blocks.iter().zip(&mut parts) {
        content.read_at(block.offset, part)?;
    }
    Ok(Filled::All)
}

/// Writes the packets' headers; where the bytes of each belong.
fn parts(blocks: Blocks, buffer: &mut [u8]) -> io::Result<Vec<IoSliceMut<'_>>> {
    let mut parts = Vec::with_capacity(blocks.count.into());
    let mut rest = buffer;
    for block in blocks.iter() {
        let packet = rest.split_at_mut_checked(HEADER + usize::from(block.length));
        let (packet, more) = packet.ok_or(io::ErrorKind::InvalidInput)?;
        let (header, data) = packet.split_at_mut(HEADER);
        header.copy_from_slice(&block.header);
        parts.push(IoSliceMut::new(data));
        rest = more;
    }
    Ok(parts)
}

impl Source {
    /// The packets of `blocks` in mode netascii, made in `buffer`.
    ///
    /// # Errors
    /// As [`fill`]'s.
    pub(super) fn encoded<'b>(
        &mut self,
        blocks: Blocks,
        buffer: &'b mut [u8],
    ) -> io::Result<&'b [u8]> {
        let length = HEADER * usize::from(blocks.count)
            + usize::try_from(blocks.bytes()).unwrap_or(usize::MAX);
        let packets = buffer.get_mut(..length);
        let packets = packets.ok_or(io::ErrorKind::InvalidInput)?;
        let mut parts = parts(blocks, packets)?;
        let from = self.netascii.get_or_insert_default();
        encode(&self.content, from, blocks.offset(), &mut parts)?;
        Ok(packets)
    }
}

/// Whether all of it was in memory. What is missing is asked of the disk.
fn read_now(file: &File, blocks: Blocks, parts: &mut [IoSliceMut<'_>]) -> io::Result<bool> {
    let whole = usize::try_from(blocks.bytes()).unwrap_or(usize::MAX);
    match preadv2(file, parts, blocks.offset(), ReadWriteFlags::NOWAIT) {
        Ok(read) if read == whole => Ok(true),
        // Part of it, or none: the rest comes from the disk, or the file has become shorter, which a read that waits tells.
        Ok(_) | Err(Errno::AGAIN) => {
            let _hint = fadvise(
                file,
                blocks.offset(),
                NonZeroU64::new(AHEAD),
                Advice::WillNeed,
            );
            Ok(false)
        }
        // A file system that cannot tell.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            let mut at = blocks.offset();
            for part in parts {
                std::os::unix::fs::FileExt::read_exact_at(file, part, at)?;
                at += part.len() as u64;
            }
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Encodes what the parts hold from `offset` on the wire. Windows begin ever later, so `from` only moves on.
fn encode(
    content: &Content,
    from: &mut Encoder,
    offset: u64,
    parts: &mut [IoSliceMut<'_>],
) -> io::Result<()> {
    if from.wire > offset {
        *from = Encoder::default();
    }
    let mut piece = [0; PIECE];
    while from.wire < offset {
        let most = usize::try_from(offset - from.wire)
            .unwrap_or(PIECE)
            .min(PIECE);
        let mut passed = [0; PIECE];
        let passed = passed.get_mut(..most).unwrap_or_default();
        encode_some(content, from, &mut piece, passed)?;
    }
    let mut at = *from;
    for part in parts {
        let mut rest: &mut [u8] = part;
        while !rest.is_empty() {
            let written = encode_some(content, &mut at, &mut piece, rest)?;
            rest = rest.get_mut(written..).unwrap_or_default();
        }
    }
    Ok(())
}

fn encode_some(
    content: &Content,
    at: &mut Encoder,
    piece: &mut [u8],
    to: &mut [u8],
) -> io::Result<usize> {
    let left = content.length().saturating_sub(at.source);
    let length = usize::try_from(left)
        .unwrap_or(usize::MAX)
        .min(piece.len())
        .min(to.len());
    let piece = piece.get_mut(..length).unwrap_or_default();
    content.read_at(at.source, piece)?;
    match at.encode(piece, to) {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        written => Ok(written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Bytes;
    use std::io::Write as _;

    fn filled(content: &Content, blocks: Blocks, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0xff; length];
        match fill(content, blocks, false, &mut buffer)? {
            Filled::All => Ok(buffer),
            Filled::Soon => panic!("without patience there is an answer"),
        }
    }

    #[test]
    fn memory_and_disk_make_the_same_packets() {
        let bytes: Vec<u8> = (0..1_000u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let blocks = Blocks {
            first: 1,
            count: 3,
            block_bytes: 300,
            file_bytes: 1_000,
        };
        let mut wanted = Vec::new();
        for (number, range) in [(2u8, 300..600), (3, 600..900), (4, 900..1_000)] {
            wanted.extend_from_slice(&[0, 3, 0, number]);
            wanted.extend_from_slice(&bytes[range]);
        }
        for content in [
            Content::of_file(file.try_clone().unwrap()).unwrap(),
            Content::Memory(Bytes::from(bytes)),
        ] {
            assert_eq!(filled(&content, blocks, wanted.len()).unwrap(), wanted);
        }
        // Cut short while it is being sent: an error, and no bytes of something else.
        let content = Content::of_file(file.try_clone().unwrap()).unwrap();
        file.set_len(950).unwrap();
        let error = filled(&content, blocks, wanted.len()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn netascii_windows_may_be_made_again_from_any_block() {
        let text = b"line one\nline two\r\n\n".repeat(40);
        let content = Content::Memory(Bytes::from(text.clone()));
        let mut wire = Vec::new();
        for byte in text {
            match byte {
                b'\n' => wire.extend_from_slice(b"\r\n"),
                b'\r' => wire.extend_from_slice(b"\r\0"),
                byte => wire.push(byte),
            }
        }
        let mut source = Source {
            content,
            netascii: Some(Encoder::default()),
        };
        for first in [0u64, 3, 4, 4, 9, 2] {
            let blocks = Blocks {
                first,
                count: 2,
                block_bytes: 50,
                file_bytes: wire.len() as u64,
            };
            let mut buffer = [0xff; 4_096];
            let packets = source.encoded(blocks, &mut buffer).unwrap();
            let from = usize::try_from(first).unwrap() * 50;
            assert_eq!(packets[4..54], wire[from..from + 50], "block {first}");
            assert_eq!(packets[58..], wire[from + 50..from + 100]);
        }
    }
}
