// SPDX-License-Identifier: Apache-2.0
//! The programs and firmware files of this machine that a rack is made of: found, not assumed.

use super::RackError;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// How long a small program (`ip`, `mkfs.ext4`, `sgdisk`) may take; they take well under a second each.
const SMALL_PROGRAM_LIMIT: Duration = Duration::from_secs(60);
/// How often a running program is asked whether it has ended.
pub(super) const POLL: Duration = Duration::from_millis(20);
/// Folders that hold programs for the administrator and are not on every user's path.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// What a node needs of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// QEMU.
    pub qemu: PathBuf,
    /// OVMF's code, 4 MiB layout.
    pub ovmf_code: PathBuf,
    /// OVMF's empty variable store, which each node gets a copy of.
    pub ovmf_vars: PathBuf,
    /// `mkfs.ext4`.
    pub mkfs_ext4: PathBuf,
    /// `sgdisk`.
    pub sgdisk: PathBuf,
}

impl Parts {
    /// Looks for everything.
    ///
    /// # Errors
    /// The first part that is missing, with the Debian package that has it.
    pub fn find() -> Result<Self, RackError> {
        let ovmf = |name: &str| {
            let path = Path::new("/usr/share/OVMF").join(name);
            firmware("OVMF (UEFI firmware)", path, "ovmf")
        };
        let rom = "/usr/lib/ipxe/qemu/efi-virtio.rom";
        firmware("QEMU's iPXE option ROM", rom.into(), "ipxe-qemu")?;
        firmware(
            "SeaBIOS",
            "/usr/share/seabios/bios-256k.bin".into(),
            "seabios",
        )?;
        Ok(Self {
            qemu: Self::program("qemu-system-x86_64", "qemu-system-x86")?,
            ovmf_code: ovmf("OVMF_CODE_4M.fd")?,
            ovmf_vars: ovmf("OVMF_VARS_4M.fd")?,
            mkfs_ext4: Self::program("mkfs.ext4", "e2fsprogs")?,
            sgdisk: Self::program("sgdisk", "gdisk")?,
        })
    }

    /// Looks for one program on the path and in the administrator's folders.
    ///
    /// # Errors
    /// [`RackError::ProgramMissing`] with the package to install.
    pub fn program(program: &'static str, package: &'static str) -> Result<PathBuf, RackError> {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .chain(SYSTEM_FOLDERS.map(PathBuf::from))
            .map(|folder| folder.join(program))
            .find(|candidate| candidate.is_file())
            .ok_or(RackError::ProgramMissing { program, package })
    }
}

fn firmware(
    what: &'static str,
    path: PathBuf,
    package: &'static str,
) -> Result<PathBuf, RackError> {
    if path.is_file() {
        Ok(path)
    } else {
        Err(RackError::FirmwareMissing {
            what,
            path,
            package,
        })
    }
}

/// The command as a person would type it.
pub(super) fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs a small program to its end, within a limit, and fails when it fails.
pub(super) fn run(command: &mut Command) -> Result<Output, RackError> {
    let text = shown(command);
    let start = |cause| RackError::CommandStart {
        command: text.clone(),
        cause,
    };
    // Small programs say little: a pipe's 64 KiB hold it until the end.
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child.spawn().map_err(start)?;
    let until = Instant::now() + SMALL_PROGRAM_LIMIT;
    while child.try_wait().map_err(start)?.is_none() {
        if Instant::now() >= until {
            child.kill().map_err(start)?;
            child.wait().map_err(start)?;
            let (limit, detail) = (SMALL_PROGRAM_LIMIT, String::new());
            return Err(RackError::TooLong {
                what: format!("the end of `{text}`"),
                limit,
                detail,
            });
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().map_err(start)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(RackError::CommandFailed {
        command: text,
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The end of a text file, for an error message.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path)
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package() {
        let error = Parts::program("groundstate-no-such-program", "some-package").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program groundstate-no-such-program is not here: install the Debian package some-package"
        );
    }

    #[test]
    fn a_failing_program_says_its_own_words() {
        let error = run(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.ends_with("no luck"),
            "{text}"
        );
        assert!(
            run(&mut Command::new("/nonexistent"))
                .unwrap_err()
                .to_string()
                .contains("/nonexistent")
        );
    }
}
