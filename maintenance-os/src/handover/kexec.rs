// SPDX-License-Identifier: Apache-2.0
//! Starts another kernel, or the machine anew.

use super::kexec_syscall::kexec_file_load;
use groundstate_api::{Bytes, Reason, ReasonCode};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::system::RebootCommand;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;

/// `COMMAND_LINE_SIZE` of x86, NUL included: a longer one would be cut off by the kernel.
const CMDLINE_BYTES_MAX: usize = 2048;

/// Loads `kernel` and `initrd` for [`kexec_start`]. The kernel checks the kernel's signature where its policy says so.
/// A second call replaces what the first one loaded.
///
/// # Errors
/// [`ReasonCode::HandOverFailed`] with what the kernel said and what a person can do.
pub fn kexec_load(kernel: &[u8], initrd: &[u8], cmdline: &str) -> Result<(), Reason> {
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
    let sealed = |name: &str, bytes: &[u8]| {
        in_memory(name, bytes).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            refused(errno, kernel.len(), initrd.len())
                .seen(format!("copying the {name} into memory"))
        })
    };
    let (kernel_fd, initrd_fd) = (sealed("kernel", kernel)?, sealed("initrd", initrd)?);
    kexec_file_load(kernel_fd.as_fd(), initrd_fd.as_fd(), &text)
        .map_err(|errno| refused(errno, kernel.len(), initrd.len()))
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

/// A sealed file in memory: nobody can change the bytes between our digest and the kernel's reading.
fn in_memory(name: &str, bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    let fd = OwnedFd::from(file);
    fcntl_add_seals(
        &fd,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(fd)
}

fn refused(errno: Errno, kernel: usize, initrd: usize) -> Reason {
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
    let length = |bytes: usize| Bytes(u64::try_from(bytes).unwrap_or(u64::MAX));
    Reason::new(ReasonCode::HandOverFailed, what, next)
        .seen(format!("kexec_file_load: {errno}"))
        .seen(format!(
            "kernel {}, initrd {}",
            length(kernel),
            length(initrd)
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _};

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
            let reason = refused(errno, 8 << 20, 3 << 19);
            assert_eq!(reason.code, ReasonCode::HandOverFailed);
            assert_eq!(reason.evidence[1], "kernel 8 MiB, initrd 1.5 MiB");
            reason.next_step
        })
        .collect();
        assert_eq!(steps.len(), 6);
    }

    #[test]
    fn what_is_in_memory_reads_back_and_cannot_be_changed() {
        let mut file = File::from(in_memory("kernel", b"MZ kernel").unwrap());
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(1).is_err());
        let mut back = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut back).unwrap();
        assert_eq!(back, b"MZ kernel");
    }

    #[test]
    fn a_command_line_that_the_kernel_would_cut_is_refused() {
        let long = "x".repeat(CMDLINE_BYTES_MAX);
        for bad in [long.as_str(), "quiet\nrw", "a\0b"] {
            assert_eq!(
                kexec_load(b"", b"", bad).unwrap_err().code,
                ReasonCode::PlanRefused
            );
        }
    }

    #[test]
    fn bytes_that_are_no_kernel_are_never_loaded() {
        let reason = kexec_load(b"not a kernel", b"", "quiet").unwrap_err();
        assert_eq!(reason.code, ReasonCode::HandOverFailed);
        assert!(
            reason.evidence[0].starts_with("kexec_file_load: "),
            "{reason}"
        );
    }
}
