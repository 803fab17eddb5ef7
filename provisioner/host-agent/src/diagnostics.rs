// SPDX-License-Identifier: Apache-2.0
//! Diagnostics: the journal's end, the kernel's messages, mounts, disks, network and memory as text files in one package. It
//! holds no file of the host's own and no credential, and is never larger than the provisioner takes.

use crate::host::Host;
use crate::root::Root;
use groundstate_api::limits::DIAGNOSTICS_MAX;

/// Where it is put together.
const FOLDER: &str = "var/lib/groundstate/diagnostics";
/// The package.
const PACKAGE: &str = "var/lib/groundstate/diagnostics.tar.gz";
/// Lines of the journal, the first number that fits.
const JOURNAL_LINES: [&str; 3] = ["20000", "2000", "200"];
/// The longest text file: a kernel that repeats itself must not fill the disk.
const FILE_MAX: usize = 16 << 20;

/// A file of the package and the command that says what is in it.
const FILES: [(&str, &str, &[&str]); 7] = [
    ("kernel.txt", "dmesg", &["--time-format=iso"]),
    (
        "units.txt",
        "systemctl",
        &["list-units", "--all", "--no-pager", "--plain"],
    ),
    (
        "failed.txt",
        "systemctl",
        &["status", "--failed", "--no-pager", "--lines=50"],
    ),
    ("disks.txt", "lsblk", &["--output-all", "--pairs"]),
    ("space.txt", "df", &["--all", "--print-type"]),
    ("network.txt", "ip", &["-details", "address"]),
    (
        "processes.txt",
        "ps",
        &["-eo", "pid,ppid,stat,rss,etime,comm"],
    ),
];

/// Files of the kernel that are copied.
const COPIES: [(&str, &str); 5] = [
    ("mounts.txt", "proc/self/mountinfo"),
    ("memory.txt", "proc/meminfo"),
    ("pressure-io.txt", "proc/pressure/io"),
    ("pressure-memory.txt", "proc/pressure/memory"),
    ("os-release.txt", "etc/os-release"),
];

/// Packs them.
pub(crate) fn collect<H: Host>(root: &Root, host: &H) -> Result<Vec<u8>, String> {
    for (name, path) in COPIES {
        // What cannot be read is not there; the package says so by what it lacks.
        let text = root.read(path).ok().flatten().unwrap_or_default();
        put(root, name, &text)?;
    }
    for (name, program, arguments) in FILES {
        let said = host.command(program, arguments);
        let text = said.unwrap_or_else(|error| error.to_string());
        put(root, name, text.as_bytes())?;
    }
    let mut size = 0;
    for lines in JOURNAL_LINES {
        let said = host.command(
            "journalctl",
            &["--no-pager", "--output=short-iso", "--lines", lines],
        );
        let text = said.unwrap_or_else(|error| error.to_string());
        put(root, "journal.txt", text.as_bytes())?;
        let (package, folder) = (root.at(PACKAGE), root.at(FOLDER));
        let (package, folder) = (package.to_string_lossy(), folder.to_string_lossy());
        host.command(
            "tar",
            &[
                "--create",
                "--gzip",
                "--file",
                &package,
                "--directory",
                &folder,
                ".",
            ],
        )
        .map_err(|error| error.to_string())?;
        let bytes = std::fs::read(root.at(PACKAGE)).map_err(|error| error.to_string())?;
        size = bytes.len();
        if u64::try_from(size).is_ok_and(|size| size <= DIAGNOSTICS_MAX.0) {
            let _left_behind = std::fs::remove_dir_all(root.at(FOLDER));
            return Ok(bytes);
        }
    }
    Err(format!(
        "the package has {size} bytes; {DIAGNOSTICS_MAX} is the most"
    ))
}

fn put(root: &Root, name: &str, text: &[u8]) -> Result<(), String> {
    let kept = text
        .get(text.len().saturating_sub(FILE_MAX)..)
        .unwrap_or(text);
    root.write(&format!("{FOLDER}/{name}"), kept, 0o600)
        .map_err(|error| error.to_string())
}
