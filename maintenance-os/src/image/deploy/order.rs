// SPDX-License-Identifier: Apache-2.0
//! Orders to the disk: which bytes of a span go where. It orders nothing outside the target.

use super::{Actor, Doing};
use crate::image::buffer::Aligned;
use crate::image::hand::{Order, Piece};
use groundstate_api::image::ImageKind;
use groundstate_api::{Bytes, Reason, ReasonCode};
use image_core::deploy::limits::HEAD;
use image_core::deploy::{Chunks, Span, members, span::bit};

impl Actor<'_> {
    pub(super) fn order(&mut self, doing: Doing, done: String, order: Order) -> Result<(), Reason> {
        let number = self.target.order(done, order)?;
        self.doing.insert(number, doing);
        Ok(())
    }

    pub(super) fn read(&mut self, span: usize) -> Result<(), Reason> {
        let Some(place) = self.spans.get(span) else {
            return Ok(());
        };
        let piece = Piece {
            start: 0,
            length: usize::try_from(place.length().0).unwrap_or(usize::MAX),
            at: place.from.0,
        };
        let buffer = self.reads()?;
        let done = format!("read at byte {}", place.from.0);
        self.order(Doing::Read(span), done, Order::Read(buffer, vec![piece]))
    }

    /// Reads a piece back that was written.
    pub(super) fn back(&mut self, span: usize, from: u64, to: u64) -> Result<(), Reason> {
        let done = format!("read at byte {from}");
        if self.spans.get(span).is_none_or(Span::is_zero) {
            let doing = Doing::BackZeros(span, from, to);
            return self.order(doing, done, Order::Look(from, to));
        }
        let piece = Piece {
            start: 0,
            length: usize::try_from(to - from).unwrap_or(usize::MAX),
            at: from,
        };
        let buffer = self.reads()?;
        self.order(Doing::Back(span), done, Order::Read(buffer, vec![piece]))
    }

    /// There is one: the machine counts them.
    pub(super) fn reads(&self) -> Result<Aligned, Reason> {
        let buffer = self.pool.reads.take(&self.pool.count);
        buffer.ok_or_else(|| broken("a span was to be read after the end"))
    }

    pub(super) fn borrow(&mut self, span: usize, from: &[(usize, Bytes)]) -> Result<(), Reason> {
        let Some(place) = self.spans.get(span).copied() else {
            return Ok(());
        };
        let (mut pieces, mut chunks) = (Vec::new(), 0);
        for (index, at) in from {
            let Some(chunk) = self.manifest.chunks.get(*index) else {
                continue;
            };
            // A former image may have been longer than this target.
            if at.0.saturating_add(chunk.length.0) > self.target.size() {
                continue;
            }
            chunks |= bit(place, *index);
            pieces.push(Piece {
                start: usize::try_from(chunk.offset.0 - place.from.0).unwrap_or(usize::MAX),
                length: usize::try_from(chunk.length.0).unwrap_or(usize::MAX),
                at: at.0,
            });
        }
        self.borrowed.insert(span, ());
        let buffer = self.reads()?;
        let done = format!("read for byte {}", place.from.0);
        self.order(
            Doing::Borrow(span, chunks),
            done,
            Order::Read(buffer, pieces),
        )
    }

    /// Consecutive chunks go as one piece.
    pub(super) fn write(
        &mut self,
        span: usize,
        chunks: Chunks,
        compare: bool,
    ) -> Result<(), Reason> {
        let (Some(place), Some(buffer)) =
            (self.spans.get(span).copied(), self.proved.remove(&span))
        else {
            return Err(broken("a span was to be written that was not proved"));
        };
        let came = !self.borrowed.contains_key(&span);
        let mut pieces: Vec<Piece> = Vec::new();
        for index in members(place, chunks) {
            let Some(chunk) = self.manifest.chunks.get(index) else {
                continue;
            };
            if came {
                self.counts.needed.0 += chunk.stored_length.0;
            }
            let length = usize::try_from(chunk.length.0).unwrap_or(usize::MAX);
            match pieces.last_mut() {
                Some(last) if last.at + last.length as u64 == chunk.offset.0 => {
                    last.length += length;
                }
                Some(_) | None => pieces.push(Piece {
                    start: usize::try_from(chunk.offset.0 - place.from.0).unwrap_or(usize::MAX),
                    length,
                    at: chunk.offset.0,
                }),
            }
        }
        let done = format!("written at byte {}", place.from.0);
        self.order(
            Doing::Write(span),
            done,
            Order::Write(buffer, pieces, compare),
        )
    }

    /// Nothing starts from a target without its head. Firmware mends a GPT by the copy in a disk's last sectors.
    pub(super) fn shut(&mut self) -> Result<(), Reason> {
        let size = self.target.size();
        let head = HEAD.0.min(self.manifest.size.0);
        let clear = |from, to| Order::Clear(from, to, true);
        self.order(Doing::Shut, "cleared at byte 0".to_owned(), clear(0, head))?;
        if self.manifest.kind == ImageKind::WholeDisk && !self.tail_stays {
            let tail = size.saturating_sub(HEAD.0).max(head);
            // What belongs to the image is written as such, or was found to be right.
            let tail = tail.max(self.manifest.size.0.min(size));
            if tail < size {
                let done = format!("cleared at byte {tail}");
                self.order(Doing::Shut, done, clear(tail, size))?;
            }
        }
        Ok(())
    }
}

pub(super) fn broken(what: &str) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        what,
        "keep this machine's log and report it, then order the run anew",
    )
}
