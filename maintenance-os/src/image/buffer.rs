// SPDX-License-Identifier: Apache-2.0
//! Buffers that are used again and again, and the count of what they hold: PID 1 lives in 64 MiB.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// O_DIRECT wants memory aligned to the logical sector; 4096 serves every disk.
pub(super) const ALIGNMENT: usize = 4096;

/// Memory at a multiple of [`ALIGNMENT`].
pub(super) struct Aligned {
    memory: Vec<u8>,
    skip: usize,
    length: usize,
}

impl Aligned {
    pub(super) fn zeroed(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        // `align_offset` may give up in theory; then O_DIRECT is refused by the kernel and the write fails with EINVAL.
        let skip = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self {
            memory,
            skip,
            length,
        }
    }
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.skip..self.skip + self.length]
    }
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.skip..self.skip + self.length]
    }
}

/// Buffers that wait to be used again, and the most that all of them have held.
#[derive(Default)]
pub(super) struct Pool {
    plain: Mutex<Vec<Aligned>>,
    stored: Mutex<Vec<Vec<u8>>>,
    held: AtomicU64,
    peak: AtomicU64,
}

impl Pool {
    /// A buffer for a plain chunk of at most `length` bytes; all of a pool's have the same length.
    pub(super) fn plain(&self, length: usize) -> Aligned {
        let spare = self
            .plain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        spare.unwrap_or_else(|| {
            self.grew(length + ALIGNMENT);
            Aligned::zeroed(length)
        })
    }
    pub(super) fn plain_back(&self, buffer: Aligned) {
        let mut spare = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(buffer);
    }
    /// An empty buffer that takes `length` bytes without growing.
    pub(super) fn stored(&self, length: usize) -> Vec<u8> {
        let spare = self
            .stored
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut buffer = spare.unwrap_or_default();
        buffer.clear();
        let before = buffer.capacity();
        buffer.reserve_exact(length);
        self.grew(buffer.capacity() - before);
        buffer
    }
    pub(super) fn stored_back(&self, buffer: Vec<u8>) {
        let mut spare = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(buffer);
    }
    /// The most bytes that the pool's buffers have held, in use or waiting.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
    fn grew(&self, by: usize) {
        let held = self.held.fetch_add(by as u64, Ordering::Relaxed) + by as u64;
        self.peak.fetch_max(held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_comes_back() {
        let pool = Pool::default();
        for length in [512, 4096, 4 << 20] {
            let buffer = Aligned::zeroed(length);
            assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(buffer.bytes().len(), length);
        }
        let one = pool.plain(1 << 20);
        pool.plain_back(one);
        let two = pool.plain(1 << 20);
        assert_eq!(pool.peak(), (1 << 20) + 4096);
        let three = pool.plain(1 << 20);
        assert_eq!(pool.peak(), 2 * ((1 << 20) + 4096));
        drop((two, three));
        let stored = pool.stored(1000);
        assert!(stored.is_empty() && stored.capacity() >= 1000);
    }
}
