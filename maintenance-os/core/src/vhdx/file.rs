// SPDX-License-Identifier: Apache-2.0
//! The file as it reads after the log, and the windows of its tables that are kept in memory.

use alloc::vec;
use alloc::vec::Vec;

use crate::random_access::ReadAt;

use super::error::{Failure, VhdxError};
use super::field::{index, offset, u64_at};
use super::limits::{WINDOW, WINDOWS_MAX};
use super::overlay::Overlay;

/// A source under an overlay.
#[derive(Debug)]
pub(super) struct File<S> {
    source: S,
    source_len: u64,
    overlay: Overlay,
    len: u64,
    /// By window number modulo their count: a window and where it begins.
    windows: Vec<Option<(u64, Vec<u8>)>>,
}

impl<S: ReadAt> File<S> {
    pub(super) fn new(source: S) -> Self {
        let len = source.len();
        Self {
            source,
            source_len: len,
            overlay: Overlay::default(),
            len,
            windows: vec![None; WINDOWS_MAX],
        }
    }

    /// From now on the file reads with the overlay and has `len` bytes.
    pub(super) fn lay(&mut self, overlay: Overlay, len: u64) {
        self.overlay = overlay;
        self.len = len;
        self.windows.fill(None);
    }

    /// The source beneath.
    pub(super) const fn source(&self) -> &S {
        &self.source
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Reads; what the log lengthened the file by, and did not write, is zero.
    pub(super) fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Failure<S::Error>> {
        let there = index(self.source_len.saturating_sub(at)).min(into.len());
        let beyond = !self.overlay.is_empty() || self.len > self.source_len;
        let (head, tail) = if beyond {
            into.split_at_mut(there)
        } else {
            (&mut *into, &mut [][..])
        };
        let len = offset(head.len());
        let read = if head.is_empty() {
            Ok(())
        } else {
            self.source.read_at(at, head)
        };
        read.map_err(|why| Failure::Read { at, len, why })?;
        tail.fill(0);
        if !self.overlay.is_empty() {
            self.overlay.apply(at, into);
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, at: u64, len: usize) -> Result<Vec<u8>, Failure<S::Error>> {
        let mut bytes = vec![0; len];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Failure<S::Error>> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes from `at` to the end of its window: at least one.
    pub(super) fn window(&mut self, at: u64) -> Result<&[u8], Failure<S::Error>> {
        let number = at / WINDOW;
        let begin = number * WINDOW;
        let slot = index(number % offset(WINDOWS_MAX));
        let held = self.windows.get(slot).and_then(Option::as_ref);
        if held.is_none_or(|(held, _)| *held != begin) {
            let len = WINDOW.min(self.len.saturating_sub(begin));
            let bytes = self.bytes(begin, index(len))?;
            if let Some(place) = self.windows.get_mut(slot) {
                *place = Some((begin, bytes));
            }
        }
        let held = self.windows.get(slot).and_then(Option::as_ref);
        let bytes = held.and_then(|(_, bytes)| bytes.get(index(at - begin)..));
        let len = self.len;
        bytes
            .filter(|bytes| !bytes.is_empty())
            .ok_or(Failure::Refused(VhdxError::TooShort { len }))
    }

    /// The eight bytes at `at`, a multiple of eight.
    pub(super) fn word(&mut self, at: u64) -> Result<u64, Failure<S::Error>> {
        Ok(u64_at(self.window(at)?, 0))
    }
}
