// SPDX-License-Identifier: Apache-2.0
//! Writing and clearing block by block: only what differs from what stands there.

use super::buffer::Aligned;
use super::hand::{Piece, too_long};
use crate::medium::{self, Medium};
use std::io;

/// What is compared and written as one: file systems move data in such blocks.
const BLOCK: usize = 4096;
/// What is read at once to be compared.
const OLD: usize = 1 << 20;
/// The piece in which zeros are written where the device cannot be told to clear a range.
const ZEROS: usize = 1 << 20;

/// Buffers of a thread that works on the disk, made when they are first needed.
#[derive(Default)]
pub(super) struct Scratch {
    old: Option<Aligned>,
    zeros: Option<Aligned>,
}

/// Writes the pieces and tells how many bytes that were.
pub(super) fn write_pieces(
    medium: &dyn Medium,
    bytes: &[u8],
    pieces: &[Piece],
    compare: bool,
    scratch: &mut Scratch,
) -> io::Result<u64> {
    let mut written = 0;
    for piece in pieces {
        let part = bytes
            .get(piece.start..)
            .and_then(|rest| rest.get(..piece.length));
        let part = part.ok_or_else(too_long)?;
        if compare {
            written += write_changed(medium, part, piece.at, scratch)?;
        } else {
            medium::write_all(medium, part, piece.at)?;
            written += part.len() as u64;
        }
    }
    Ok(written)
}

fn write_changed(
    medium: &dyn Medium,
    bytes: &[u8],
    at: u64,
    scratch: &mut Scratch,
) -> io::Result<u64> {
    let old = scratch.old.get_or_insert_with(|| Aligned::zeroed(OLD));
    let mut written = 0;
    for (new, at) in bytes.chunks(OLD).zip((at..).step_by(OLD)) {
        let old = old.bytes_mut().get_mut(..new.len()).ok_or_else(too_long)?;
        medium::read_exact(medium, old, at)?;
        for (from, to) in changed(old, new) {
            medium::write_all(medium, &new[from..to], at + from as u64)?;
            written += (to - from) as u64;
        }
    }
    Ok(written)
}

/// The runs of blocks in which `new` differs from `old`, which is as long.
fn changed(old: &[u8], new: &[u8]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let blocks = old.chunks(BLOCK).zip(new.chunks(BLOCK));
    for ((was, is), from) in blocks.zip((0..).step_by(BLOCK)) {
        if was == is {
            continue;
        }
        let to = from + is.len();
        match runs.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            Some(_) | None => runs.push((from, to)),
        }
    }
    runs
}

/// Whether every byte is zero.
pub(super) fn is_clear(
    medium: &dyn Medium,
    from: u64,
    to: u64,
    scratch: &mut Scratch,
) -> io::Result<bool> {
    let old = scratch.old.get_or_insert_with(|| Aligned::zeroed(OLD));
    let mut at = from;
    while at < to {
        let piece = usize::try_from(to - at).map_or(OLD, |left| left.min(OLD));
        let old = old.bytes_mut().get_mut(..piece).ok_or_else(too_long)?;
        medium::read_exact(medium, old, at)?;
        if first_set(old).is_some() {
            return Ok(false);
        }
        at += piece as u64;
    }
    Ok(true)
}

/// Makes it read as zero and tells how many bytes were written for that.
pub(super) fn clear(
    medium: &dyn Medium,
    from: u64,
    to: u64,
    compare: bool,
    scratch: &mut Scratch,
) -> io::Result<u64> {
    if !compare {
        return zero(medium, from, to, scratch);
    }
    let mut old = scratch.old.take().unwrap_or_else(|| Aligned::zeroed(OLD));
    let (mut at, mut written) = (from, 0);
    while at < to {
        let piece = usize::try_from(to - at).map_or(OLD, |left| left.min(OLD));
        let bytes = old.bytes_mut().get_mut(..piece).ok_or_else(too_long)?;
        medium::read_exact(medium, bytes, at)?;
        let set = bytes.chunks(BLOCK).zip((at..).step_by(BLOCK));
        let set = set.filter(|(block, _)| first_set(block).is_some());
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (block, start) in set {
            let end = start + block.len() as u64;
            match runs.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                Some(_) | None => runs.push((start, end)),
            }
        }
        for (start, end) in runs {
            written += zero(medium, start, end, scratch)?;
        }
        at += piece as u64;
    }
    scratch.old = Some(old);
    Ok(written)
}

/// By a request of the device's own where it has one; that counts as nothing written.
fn zero(medium: &dyn Medium, from: u64, to: u64, scratch: &mut Scratch) -> io::Result<u64> {
    match medium.zero_out(from, to - from) {
        Ok(()) => return Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(error) => return Err(error),
    }
    let zeros = scratch.zeros.get_or_insert_with(|| Aligned::zeroed(ZEROS));
    let mut at = from;
    while at < to {
        let piece = usize::try_from(to - at).map_or(ZEROS, |left| left.min(ZEROS));
        let bytes = zeros.bytes().get(..piece).ok_or_else(too_long)?;
        medium::write_all(medium, bytes, at)?;
        at += piece as u64;
    }
    Ok(to - from)
}

/// The first byte that is not zero. Sixty-four at a time, because this reads whole disks.
pub(super) fn first_set(bytes: &[u8]) -> Option<usize> {
    let (wide, _) = bytes.as_chunks::<64>();
    let any = |block: &[u8; 64]| block.iter().fold(0, |all, byte| all | byte) != 0;
    let start = wide.iter().position(any).unwrap_or(wide.len()) * 64;
    let rest = bytes.get(start..)?;
    rest.iter().position(|byte| *byte != 0).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_byte_is_found_wherever_it_is() {
        for length in [0, 1, 15, 63, 64, 65, 127, 128, 200] {
            let mut bytes = vec![0u8; length];
            assert_eq!(first_set(&bytes), None);
            for at in 0..length {
                bytes[at] = 1;
                assert_eq!(first_set(&bytes), Some(at));
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn changed_blocks_are_joined_and_nothing_between_them() {
        let old = vec![7u8; 5 * BLOCK + 512];
        let mut new = old.clone();
        assert_eq!(changed(&old, &new), []);
        for at in [0, BLOCK, 3 * BLOCK + 4095, 5 * BLOCK + 511] {
            new[at] = 8;
        }
        assert_eq!(
            changed(&old, &new),
            [
                (0, 2 * BLOCK),
                (3 * BLOCK, 4 * BLOCK),
                (5 * BLOCK, 5 * BLOCK + 512)
            ]
        );
    }
}
