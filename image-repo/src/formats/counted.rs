// SPDX-License-Identifier: Apache-2.0
//! A reader that says how far it has been read.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes of a file have been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts what is read, and puts bytes that were looked at before in front.
pub(super) struct Counted<R> {
    head: io::Cursor<Vec<u8>>,
    rest: R,
    count: Count,
}

impl<R: Read> Counted<R> {
    pub(super) fn new(head: Vec<u8>, rest: R) -> (Self, Count) {
        let count = Count::default();
        let counted = Self {
            head: io::Cursor::new(head),
            rest,
            count: count.clone(),
        };
        (counted, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut read = self.head.read(into)?;
        if read == 0 {
            read = self.rest.read(into)?;
        }
        self.count.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Fills `into` as far as there are bytes.
pub(super) fn read_full(from: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..)
        && !rest.is_empty()
    {
        match from.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
