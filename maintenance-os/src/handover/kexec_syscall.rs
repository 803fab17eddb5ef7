// SPDX-License-Identifier: Apache-2.0
//! The one system call of the hand-over that no safe wrapper has: `kexec_file_load(2)`.
#![allow(unsafe_code)]

use rustix::fd::{AsRawFd as _, BorrowedFd};
use rustix::io::Errno;
use std::ffi::CStr;

/// Loads a kernel and an initrd to be started by the next `reboot(KEXEC)`.
pub(super) fn kexec_file_load(
    kernel: BorrowedFd<'_>,
    initrd: BorrowedFd<'_>,
    cmdline: &CStr,
) -> Result<(), Errno> {
    let flags: libc::c_ulong = 0;
    let with_nul = cmdline.to_bytes_with_nul();
    // SAFETY: both descriptors are open for the length of the call; the pointer and length name the bytes of a live
    // CStr including its NUL, as the system call asks; the kernel writes to none of them.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initrd.as_raw_fd(),
            with_nul.len(),
            with_nul.as_ptr(),
            flags,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}
