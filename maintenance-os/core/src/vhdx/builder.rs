// SPDX-License-Identifier: Apache-2.0
//! Writes a new VHDX with its content, from the disk's start to its end.
//!
//! What is zero is not written, and a block that is all zero takes no place in a dynamic disk. Block table, region
//! tables and metadata are written and made durable before the headers; until [`Builder::finish`] has returned, the
//! file is no VHDX. It writes no log: there is nothing yet that a power cut could leave half changed.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::random_access::WriteAt;

use super::error::{Failure, VhdxError};
use super::field::{index, offset, put};
use super::layout::{Layout, Write};
use super::limits::WINDOW;
use super::table::Entry;

/// Bytes: zeros are found and left out in steps of this.
const STEP: usize = 4096;

/// A disk that is being written into an empty file.
#[derive(Debug)]
pub struct Builder<W> {
    target: W,
    layout: Layout,
    /// Where the next new block goes: the file's end as it will be.
    end: u64,
    /// The disk's bytes before it have been given.
    given: u64,
    /// The block that was given last, and where it is.
    current: Option<(u64, u64)>,
    /// The window of the block table that is being filled.
    window: Option<(u64, Vec<u8>)>,
}

impl<W: WriteAt> Builder<W> {
    /// Begins with a `target` whose every byte is zero: an empty file, or one of [`Layout::file_len`] bytes that was
    /// only allocated.
    pub const fn new(target: W, layout: Layout) -> Self {
        let end = layout.payload.end;
        Self {
            target,
            layout,
            end,
            given: 0,
            current: None,
            window: None,
        }
    }

    /// Gives the disk's bytes at `at`, which are not before those given already. What is never given is zero; of a
    /// differencing disk, what a block is not given is zero too, and a block of which nothing is given is the parent's.
    ///
    /// # Errors
    /// [`VhdxError::Backwards`], [`VhdxError::BeyondDisk`], or the target's.
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failure<W::Error>> {
        let (len, size) = (offset(bytes.len()), self.layout.shape.size);
        if at.checked_add(len).is_none_or(|end| end > size) {
            return Err(VhdxError::BeyondDisk { at, len, size }.into());
        }
        if at < self.given {
            let end = self.given;
            return Err(VhdxError::Backwards { at, end }.into());
        }
        self.given = at + len;
        let (mut at, mut left) = (at, bytes);
        while !left.is_empty() {
            let within = at % self.layout.shape.block;
            let len = index(self.layout.shape.block - within).min(left.len());
            let (now, rest) = left.split_at(len);
            self.write_in_block(at / self.layout.shape.block, within, now)?;
            (at, left) = (at + offset(len), rest);
        }
        Ok(())
    }

    /// Writes what is left and makes the file a VHDX.
    ///
    /// # Errors
    /// The target's; the file is then no VHDX.
    pub fn finish(mut self) -> Result<W, Failure<W::Error>> {
        self.put_window()?;
        let layout = self.layout.clone();
        if layout.is_full() {
            self.put_all(layout.body())?;
        } else {
            self.put_all(layout.frame())?;
        }
        // The file has its whole length even where its last bytes are zero and were not written.
        if self.end > self.target.len() {
            self.put_one(self.end - 1, &[0])?;
        }
        self.flush()?;
        self.put_all(layout.seal())?;
        self.flush()?;
        Ok(self.target)
    }

    fn write_in_block(
        &mut self,
        block: u64,
        within: u64,
        bytes: &[u8],
    ) -> Result<(), Failure<W::Error>> {
        let mut runs = Vec::new();
        for (step, at) in bytes.chunks(STEP).zip((0..).step_by(STEP)) {
            // A parent's bytes would show through a block that is left out.
            if self.layout.shape.parent || step.iter().any(|byte| *byte != 0) {
                extend(&mut runs, at..at + step.len());
            }
        }
        for run in runs {
            let begin = self.place(block)? + within + offset(run.start);
            self.put_one(begin, bytes.get(run).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Where `block` begins; it gets a place where it has none.
    fn place(&mut self, block: u64) -> Result<u64, Failure<W::Error>> {
        if self.layout.is_full() {
            return Ok(self.layout.payload.start + block * self.layout.shape.block);
        }
        if let Some((current, at)) = self.current
            && current == block
        {
            return Ok(at);
        }
        let at = self.end;
        self.end += self.layout.shape.block;
        self.current = Some((block, at));
        let entry = self.layout.shape.block_entry(block) * 8;
        let begin = entry / WINDOW * WINDOW;
        if self.window.as_ref().is_none_or(|(held, _)| *held != begin) {
            self.put_window()?;
            self.window = Some((begin, vec![0; index(WINDOW)]));
        }
        if let Some((_, bytes)) = &mut self.window {
            put(
                bytes,
                index(entry - begin),
                &Entry::full(at).0.to_le_bytes(),
            );
        }
        Ok(at)
    }

    fn put_window(&mut self) -> Result<(), Failure<W::Error>> {
        let Some((begin, bytes)) = self.window.take() else {
            return Ok(());
        };
        self.put_one(self.layout.table.start + begin, &bytes)
    }

    fn put_all(
        &mut self,
        writes: impl IntoIterator<Item = Write>,
    ) -> Result<(), Failure<W::Error>> {
        for write in writes {
            self.put_one(write.at, &write.bytes)?;
        }
        Ok(())
    }

    fn put_one(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failure<W::Error>> {
        let len = offset(bytes.len());
        let written = self.target.write_at(at, bytes);
        written.map_err(|why| Failure::Write { at, len, why })
    }

    fn flush(&mut self) -> Result<(), Failure<W::Error>> {
        self.target.flush().map_err(|why| Failure::Flush { why })
    }
}

/// Adds a range, to the last one where it goes on there: one write for what lies on end.
fn extend(runs: &mut Vec<Range<usize>>, range: Range<usize>) {
    match runs.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        Some(_) | None => runs.push(range),
    }
}
