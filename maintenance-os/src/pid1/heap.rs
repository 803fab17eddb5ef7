// SPDX-License-Identifier: Apache-2.0
//! The C library's heap, as PID 1 needs it: what is large goes back to the kernel as soon as it is freed.
//!
//! Left alone, the C library raises its threshold with the first large buffer that is freed, and then keeps such buffers
//! in a heap for every thread: reading many disks at once would hold far more than the disks' buffers.
#![allow(unsafe_code)]

/// From this many bytes on an allocation is a mapping of its own: below every buffer for reading a disk, a chunk of the
/// image and its kin, above what strings and tables take.
const MAPPED_FROM: libc::c_int = 128 * 1_024;

/// Sets it for the whole process. To be called before there are threads.
pub(super) fn set() {
    // SAFETY: mallopt takes two numbers and touches nothing but the allocator's own settings.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM) };
}
