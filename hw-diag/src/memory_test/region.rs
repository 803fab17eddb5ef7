// SPDX-License-Identifier: Apache-2.0
//! Memory of our own to test: mapped, put in place page by page, and locked where that is allowed.
//!
//! The only file of the memory test that is `unsafe`. It never hands out an address beyond its mapping, and it stops
//! growing as soon as the caller says that the system needs the rest.
#![allow(unsafe_code)]

use groundstate_api::units::{Bytes, MIB};
use std::io;
use std::ptr::NonNull;

/// How much is put in place between two looks at what the system has left.
const STEP: usize = 64 << 20;

/// A mapping of anonymous memory; its pages are in place.
pub(super) struct Region {
    base: NonNull<libc::c_void>,
    mapped: usize,
    /// The part that is in place and tested.
    usable: usize,
    locked: bool,
}

// SAFETY: the mapping belongs to this value alone, and its address is not tied to a thread.
unsafe impl Send for Region {}

impl Region {
    /// Maps `size` and puts it in place as long as `enough` says that the system can spare it; a note says where it
    /// could not be locked.
    pub(super) fn new(
        size: Bytes,
        enough: &dyn Fn() -> bool,
        notes: &mut Vec<String>,
    ) -> io::Result<Self> {
        let too_large = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        let mapped = usize::try_from(size.0).map_err(too_large)?;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory that is in use.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut region = Self {
            base,
            mapped,
            usable: 0,
            locked: true,
        };
        // SAFETY: the advice is about our own mapping; large pages make the test faster, and it is no harm without.
        let _ = unsafe { libc::madvise(base.as_ptr(), mapped, libc::MADV_HUGEPAGE) };
        while region.usable < mapped && (region.usable == 0 || enough()) {
            region.grow(STEP.min(mapped - region.usable), notes);
        }
        Ok(region)
    }

    /// Puts the next `length` bytes in place.
    fn grow(&mut self, length: usize, notes: &mut Vec<String>) {
        if self.locked {
            // SAFETY: `usable + length` is at most `mapped`, so the range lies in our mapping.
            let result = unsafe { libc::mlock(self.base.as_ptr().byte_add(self.usable), length) };
            if result != 0 {
                let why = io::Error::last_os_error();
                notes.push(format!(
                    "the memory could not be locked ({why}): it may be swapped or moved while it is tested"
                ));
                self.locked = false;
            }
        }
        self.usable += length;
        if !self.locked {
            // What is not locked is put in place by writing to it.
            let from = (self.usable - length) / 8;
            for word in self.words().iter_mut().skip(from).step_by(512) {
                *word = 1;
            }
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.usable).unwrap_or(u64::MAX) / MIB * MIB
    }

    pub(super) fn locked(&self) -> bool {
        self.locked
    }

    /// The words to test.
    pub(super) fn words(&mut self) -> &mut [u64] {
        // SAFETY: the mapping is readable, writable and page-aligned, has `usable` bytes, is initialised with zeros by
        // the kernel, lives as long as `self`, and `&mut self` makes this the only reference to it.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().cast(), self.usable / 8) }
    }

    /// The virtual address of a byte.
    pub(super) fn address(&self, offset: u64) -> u64 {
        let base = u64::try_from(self.base.as_ptr().expose_provenance()).unwrap_or(0);
        base.saturating_add(offset)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `mmap` gave; nothing borrows from it any more.
        let _ = unsafe { libc::munmap(self.base.as_ptr(), self.mapped) };
    }
}

/// The size of a page.
pub(super) fn page_size() -> u64 {
    // SAFETY: a question without arguments that point anywhere.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4_096)
}
