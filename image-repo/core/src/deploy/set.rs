// SPDX-License-Identifier: Apache-2.0
//! Which chunks a source has. It may grow and shrink while it is read.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// Some of an image's chunks, by their numbers in the manifest.
#[derive(Debug)]
pub struct ChunkSet {
    words: Vec<AtomicU64>,
    count: usize,
}

impl ChunkSet {
    /// None of `count` chunks.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let words = (0..count.div_ceil(64)).map(|_| AtomicU64::new(0));
        Self {
            words: words.collect(),
            count,
        }
    }

    /// Adds a chunk. One that the image does not have is not added.
    pub fn insert(&self, index: usize) {
        if index < self.count
            && let Some(word) = self.words.get(index / 64)
        {
            word.fetch_or(1 << (index % 64), Ordering::Relaxed);
        }
    }

    /// Takes a chunk out.
    pub fn remove(&self, index: usize) {
        if let Some(word) = self.words.get(index / 64) {
            word.fetch_and(!(1 << (index % 64)), Ordering::Relaxed);
        }
    }

    /// Adds all of them.
    pub fn fill(&self) {
        for index in 0..self.count {
            self.insert(index);
        }
    }

    /// Whether it has a chunk.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.words
            .get(index / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (index % 64)) != 0)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let ones = |word: &AtomicU64| word.load(Ordering::Relaxed).count_ones() as usize;
        self.words.iter().map(ones).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_and_go() {
        let set = ChunkSet::new(130);
        assert!(set.is_empty());
        set.insert(129);
        set.insert(130);
        set.insert(64);
        assert!(set.contains(129) && set.contains(64) && !set.contains(130) && !set.contains(0));
        assert_eq!(set.len(), 2);
        set.remove(64);
        assert!(!set.contains(64));
        set.fill();
        assert_eq!(set.len(), 130);
    }
}
