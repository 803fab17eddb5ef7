// SPDX-License-Identifier: Apache-2.0
//! Memory that is read into, used again while it is warm: fresh memory costs the kernel more than the copy into it.

use std::sync::{Mutex, PoisonError};

/// A chunk of the default size with room for what zstd adds to bytes that it cannot make smaller.
pub(super) const SMALL: usize = (256 + 16) << 10;
/// A piece of something large.
pub(super) const LARGE: usize = 1 << 20;
/// Bytes of each size that are kept while nobody needs them.
const KEPT: usize = 8 << 20;

/// Buffers of two sizes. The last one given back is the next one given out.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    small: Mutex<Vec<Vec<u8>>>,
    large: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// A buffer for at least so many bytes, at most [`LARGE`]; what it holds is anything.
    pub(super) fn get(&self, length: usize) -> Vec<u8> {
        let (shelf, size) = if length <= SMALL {
            (&self.small, SMALL)
        } else {
            (&self.large, LARGE)
        };
        let kept = shelf.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; size])
    }

    pub(super) fn put(&self, buffer: Vec<u8>) {
        let shelf = match buffer.len() {
            SMALL => &self.small,
            LARGE => &self.large,
            _ => return,
        };
        let most = KEPT / buffer.len();
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.len() < most {
            shelf.push(buffer);
        }
    }
}
