// SPDX-License-Identifier: Apache-2.0
//! How much an input may unpack to: a size, a ratio of data to input, and room on the disk that stays free.

use crate::roots::RootsError;
use groundstate_api::Bytes;
use groundstate_api::units::{GIB, MIB};
use std::path::{Path, PathBuf};

/// How many times its length an input may unpack to data that is not zero. Root file systems compress to a quarter;
/// zstd and xz reach hundreds only on bytes that repeat.
const RATIO_MAX: u64 = 200;
/// Below this no ratio is judged: a small archive of a few logs is no danger.
const RATIO_FROM: u64 = 256 * MIB;
/// What stays free on the disk that is unpacked to.
const FREE_MIN: u64 = GIB;
/// How often the free room is looked at, in bytes.
const LOOK_EVERY: u64 = 64 * MIB;

/// What is left of what an input may unpack to.
#[derive(Debug)]
pub(crate) struct Allowance {
    max: Bytes,
    /// Whether the one who imports stated the size: then the ratio is not judged.
    is_stated: bool,
    total: u64,
    data: u64,
    looked_at: u64,
    /// What was read of the inputs before this one, and of this one so far.
    before: u64,
    consumed: u64,
    folder: PathBuf,
}

impl Allowance {
    pub(crate) fn new(max: Bytes, is_stated: bool, folder: &Path) -> Self {
        Self {
            max,
            is_stated,
            total: 0,
            data: 0,
            looked_at: 0,
            before: 0,
            consumed: 0,
            folder: folder.to_path_buf(),
        }
    }

    /// Another input begins: a container has several layers, and all that was read of them is held against all that came
    /// out.
    pub(crate) fn begin(&mut self) {
        self.before += self.consumed;
        self.consumed = 0;
    }

    /// How much more it may unpack to, in bytes.
    pub(crate) fn left(&self) -> u64 {
        self.max.0.saturating_sub(self.total)
    }

    /// The refusal of an input that claims more.
    pub(crate) fn too_large(&self) -> RootsError {
        RootsError::TooLarge { max: self.max }
    }

    /// Takes what was unpacked: all of it, how much of that is not zero, and how much of the input was read so far.
    pub(crate) fn take(&mut self, total: u64, data: u64, consumed: u64) -> Result<(), RootsError> {
        self.total = self.total.saturating_add(total);
        self.data = self.data.saturating_add(data);
        if self.total > self.max.0 {
            return Err(RootsError::TooLarge { max: self.max });
        }
        self.consumed = consumed;
        let consumed = self.before + consumed;
        let is_bomb = self.data > RATIO_FROM && self.data / RATIO_MAX > consumed;
        if is_bomb && !self.is_stated {
            return Err(RootsError::Bomb {
                data: Bytes(self.data),
                consumed: Bytes(consumed),
                ratio: RATIO_MAX,
            });
        }
        if self.data >= self.looked_at {
            self.looked_at = self.data + LOOK_EVERY;
            let found = rustix::fs::statvfs(&self.folder)
                .map_err(|error| RootsError::file("measured", &self.folder)(error.into()))?;
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            if free < FREE_MIN {
                return Err(RootsError::DiskFull {
                    path: self.folder.clone(),
                    free: Bytes(free),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_by_its_ratio_and_any_input_by_its_size() {
        let folder = std::env::temp_dir();
        let mut allowance = Allowance::new(Bytes::gib(8), false, &folder);
        allowance.take(4 * GIB, 0, 1).unwrap();
        allowance.take(RATIO_FROM, RATIO_FROM, 1).unwrap();
        let bomb = allowance.take(1000, 1000, RATIO_FROM / 1000);
        assert!(matches!(bomb, Err(RootsError::Bomb { .. })), "{bomb:?}");
        allowance.take(1000, 1000, RATIO_FROM / 100).unwrap();
        let large = allowance.take(4 * GIB, 0, 1);
        assert!(matches!(large, Err(RootsError::TooLarge { .. })));
        // A small layer upon a large one is no bomb.
        let mut layers = Allowance::new(Bytes::gib(8), false, &folder);
        layers.take(GIB, GIB, GIB / 4).unwrap();
        layers.begin();
        layers.take(10, 10, 100).unwrap();
        layers.begin();
        let bomb = layers.take(GIB, GIB * 60, 1000);
        assert!(matches!(bomb, Err(RootsError::Bomb { .. })), "{bomb:?}");
        let mut stated = Allowance::new(Bytes::gib(8), true, &folder);
        stated.take(GIB, GIB, 1).unwrap();
    }
}
