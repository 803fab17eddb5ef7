// SPDX-License-Identifier: Apache-2.0
//! Starts another kernel, or the machine anew.

use super::kexec_syscall::kexec_file_load;
use super::memory::seal;
use groundstate_api::{Bytes, Reason, ReasonCode};
use rustix::fd::AsFd as _;
use rustix::io::Errno;
use rustix::system::RebootCommand;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;

/// `COMMAND_LINE_SIZE` of x86, NUL included: a longer one would be cut off by the kernel.
const CMDLINE_BYTES_MAX: usize = 2048;

/// Loads `kernel` and `initrd`, files from [`super::memory_file`], which it seals first, for [`kexec_start`]. The kernel checks the kernel's signature where its policy says so.
/// A second call replaces what the first one loaded.
///
/// # Errors
/// [`ReasonCode::HandOverFailed`] with what the kernel said and what a person can do.
pub fn kexec_load(kernel: &File, initrd: &File, cmdline: &str) -> Result<(), Reason> {
    let text = CString::new(cmdline)
        .ok()
        .filter(|text| {
            text.as_bytes_with_nul().len() <= CMDLINE_BYTES_MAX
                && !cmdline.chars().any(char::is_control)
        })
        .ok_or_else(|| {
            Reason::new(
                ReasonCode::PlanRefused,
                "the kernel command line of the host cannot be used",
                format!(
                    "correct the image's command line: one line of at most {} characters",
                    CMDLINE_BYTES_MAX - 1
                ),
            )
            .seen(format!("{} characters: {cmdline:?}", cmdline.len()))
        })?;
    let length = |file: &File| file.metadata().map_or(Bytes(0), |found| Bytes(found.len()));
    let refused = |errno| refused(errno, length(kernel), length(initrd));
    for (name, file) in [("kernel", kernel), ("initrd", initrd)] {
        seal(file).map_err(|error| {
            refused(Errno::from_io_error(&error).unwrap_or(Errno::IO))
                .seen(format!("sealing the {name} in memory"))
        })?;
    }
    kexec_file_load(kernel.as_fd(), initrd.as_fd(), &text).map_err(refused)
}

/// Starts the loaded kernel. The caller has unmounted what must be unmounted.
///
/// # Errors
/// [`ReasonCode::HandOverFailed`]: it returned, so nothing was started.
pub fn kexec_start() -> Result<Infallible, Reason> {
    leave(RebootCommand::Kexec, "the loaded kernel did not start")
}

/// Restarts the machine through its firmware.
///
/// # Errors
/// [`ReasonCode::HandOverFailed`]: it returned, so the machine still runs.
pub fn reboot() -> Result<Infallible, Reason> {
    leave(RebootCommand::Restart, "the machine did not restart")
}

fn leave(how: RebootCommand, what: &str) -> Result<Infallible, Reason> {
    rustix::fs::sync();
    let evidence = match rustix::system::reboot(how) {
        Ok(()) => "the kernel came back without an error".to_string(),
        Err(errno) => errno.to_string(),
    };
    Err(Reason::new(
        ReasonCode::HandOverFailed,
        what,
        "switch the machine off and on; on UEFI it then starts its host from the disk",
    )
    .seen(evidence))
}

fn refused(errno: Errno, kernel: Bytes, initrd: Bytes) -> Reason {
    let (what, next) = match errno {
        Errno::PERM | Errno::ACCESS => (
            "the kernel does not allow another kernel to be loaded",
            "order the run with hand-over by reboot; or allow kexec: kernel lockdown or kexec_load_disabled forbids it",
        ),
        Errno::KEYREJECTED | Errno::NOKEY | Errno::BADMSG | Errno::NODATA => (
            "the host's kernel carries no signature that the running kernel trusts",
            "use an image with its distribution's signed kernel, or order the run with hand-over by reboot",
        ),
        Errno::NOEXEC => (
            "the host's kernel is not a kernel that this machine can start",
            "correct the image: its kernel must be a bzImage for x86-64",
        ),
        Errno::NOMEM | Errno::ADDRNOTAVAIL | Errno::FBIG => (
            "there is not enough memory to load the host's kernel",
            "use a smaller initrd, check the machine's DIMMs, or order the run with hand-over by reboot",
        ),
        Errno::NOSYS => (
            "the boot image's kernel cannot load another kernel",
            "build the boot image with a kernel that has CONFIG_KEXEC_FILE, or order the run with hand-over by reboot",
        ),
        _ => (
            "the host's kernel could not be loaded",
            "order the run with hand-over by reboot; report the message with the node's log",
        ),
    };
    Reason::new(ReasonCode::HandOverFailed, what, next)
        .seen(format!("kexec_file_load: {errno}"))
        .seen(format!("kernel {kernel}, initrd {initrd}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::memory_file;
    use std::io::Write as _;

    #[test]
    fn each_refusal_of_the_kernel_has_its_own_next_step() {
        let steps: std::collections::BTreeSet<String> = [
            Errno::PERM,
            Errno::KEYREJECTED,
            Errno::NOEXEC,
            Errno::NOMEM,
            Errno::NOSYS,
            Errno::BUSY,
        ]
        .into_iter()
        .map(|errno| {
            let reason = refused(errno, Bytes::mib(8), Bytes(3 << 19));
            assert_eq!(reason.code, ReasonCode::HandOverFailed);
            assert_eq!(reason.evidence[1], "kernel 8 MiB, initrd 1.5 MiB");
            reason.next_step
        })
        .collect();
        assert_eq!(steps.len(), 6);
    }

    #[test]
    fn a_command_line_that_the_kernel_would_cut_is_refused() {
        let long = "x".repeat(CMDLINE_BYTES_MAX);
        for bad in [long.as_str(), "quiet\nrw", "a\0b"] {
            let empty = || memory_file("empty").unwrap();
            assert_eq!(
                kexec_load(&empty(), &empty(), bad).unwrap_err().code,
                ReasonCode::PlanRefused
            );
        }
    }

    #[test]
    fn bytes_that_are_no_kernel_are_never_loaded() {
        let (mut kernel, initrd) = (
            memory_file("kernel").unwrap(),
            memory_file("initrd").unwrap(),
        );
        kernel.write_all(b"not a kernel").unwrap();
        let reason = kexec_load(&kernel, &initrd, "quiet").unwrap_err();
        assert_eq!(reason.code, ReasonCode::HandOverFailed);
        assert!(
            reason.evidence[0].starts_with("kexec_file_load: "),
            "{reason}"
        );
    }
}
