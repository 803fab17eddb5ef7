// SPDX-License-Identifier: Apache-2.0
//! Buffers that are used again and again, and the count of what they hold: PID 1 lives in 64 MiB.

use image_core::deploy::limits;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

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

/// What waits to be used again, and how many more may be made.
struct Spare {
    buffers: Vec<Aligned>,
    more: usize,
    is_over: bool,
}

/// Plain buffers of one length, and no more of them than a number: who wants another waits until one comes back.
pub(super) struct Plain {
    spare: Mutex<Spare>,
    back: Condvar,
    length: usize,
}

impl Plain {
    pub(super) fn new(length: usize, count: usize) -> Self {
        Self {
            spare: Mutex::new(Spare {
                buffers: Vec::new(),
                more: count,
                is_over: false,
            }),
            back: Condvar::new(),
            length,
        }
    }

    /// A buffer, once there is one; none when it is over.
    pub(super) fn take(&self, count: &Count) -> Option<Aligned> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if spare.is_over {
                return None;
            }
            if let Some(buffer) = spare.buffers.pop() {
                return Some(buffer);
            }
            if spare.more > 0 {
                spare.more -= 1;
                count.grew(self.length + ALIGNMENT);
                return Some(Aligned::zeroed(self.length));
            }
            spare = self
                .back
                .wait(spare)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.is_over = true;
        self.back.notify_all();
    }

    pub(super) fn give_back(&self, buffer: Aligned) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.buffers.push(buffer);
        self.back.notify_one();
    }
}

/// How many bytes buffers hold, and the most that they have held: PID 1 lives in 64 MiB.
#[derive(Default)]
pub(super) struct Count {
    held: AtomicU64,
    peak: AtomicU64,
}

impl Count {
    /// The most bytes that buffers have held, in use or waiting.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
    fn grew(&self, by: usize) {
        let held = self.held.fetch_add(by as u64, Ordering::Relaxed) + by as u64;
        self.peak.fetch_max(held, Ordering::Relaxed);
    }
}

/// The buffers of a deploy.
pub(super) struct Pool {
    /// For what comes from sources, on its way to the disk.
    pub(super) plain: Plain,
    /// For what is read from the disk.
    pub(super) reads: Plain,
    stored: Mutex<Vec<Vec<u8>>>,
    pub(super) count: Count,
}

impl Pool {
    /// Buffers of `length` bytes, for a flight of so many spans.
    pub(super) fn new(length: usize, flight: usize) -> Self {
        Self {
            plain: Plain::new(length, limits::plain(flight)),
            reads: Plain::new(length, limits::reading(flight)),
            stored: Mutex::default(),
            count: Count::default(),
        }
    }

    /// An empty buffer that takes `length` bytes without growing.
    pub(super) fn stored(&self, length: usize) -> Vec<u8> {
        let mut spare = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        // The one that fits best, so that the sum of them stays small.
        let fits = |one: &&mut Vec<u8>| one.capacity() >= length;
        let best = spare
            .iter_mut()
            .filter(fits)
            .min_by_key(|one| one.capacity());
        let mut buffer = match best {
            Some(best) => std::mem::take(best),
            None => spare.pop().unwrap_or_default(),
        };
        spare.retain(|one| one.capacity() > 0);
        drop(spare);
        buffer.clear();
        let before = buffer.capacity();
        buffer.reserve_exact(length);
        self.count.grew(buffer.capacity() - before);
        buffer
    }
    pub(super) fn stored_back(&self, buffer: Vec<u8>) {
        let mut spare = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_comes_back() {
        for length in [512, 4096, 4 << 20] {
            let buffer = Aligned::zeroed(length);
            assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(buffer.bytes().len(), length);
        }
        let pool = Pool::new(1 << 20, 3);
        let take = || pool.plain.take(&pool.count).unwrap();
        let one = take();
        pool.plain.give_back(one);
        let two = take();
        assert_eq!(pool.count.peak(), (1 << 20) + 4096);
        let three = take();
        assert_eq!(pool.count.peak(), 2 * ((1 << 20) + 4096));
        std::thread::scope(|scope| {
            let waits = scope.spawn(take);
            pool.plain.give_back(three);
            drop(waits.join().unwrap());
        });
        drop(two);
        assert_eq!(
            pool.count.peak(),
            2 * ((1 << 20) + 4096),
            "no third was made"
        );
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| pool.plain.take(&pool.count).is_none());
            pool.plain.end();
            assert!(waits.join().unwrap(), "it is over");
        });
        let stored = pool.stored(1000);
        assert!(stored.is_empty() && stored.capacity() >= 1000);
    }
}
