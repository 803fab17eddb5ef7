// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a rack, each with the noun that a person needs. The message holds the kernel's answer too:
//! there is no further source to print.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the rack could not do something.
#[derive(Debug, thiserror::Error)]
pub enum RackError {
    /// A program is missing on this machine.
    #[error("the program {program} is not here: install the Debian package {package}")]
    ProgramMissing {
        /// The program's name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A file of a firmware package is missing.
    #[error("{what} is not here (looked for {}): install the Debian package {package}", .path.display())]
    FirmwareMissing {
        /// What it is, for people.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The device that makes taps cannot be opened.
    #[error(
        "the rack needs /dev/net/tun for its virtual network cables, and it does not open ({cause}): run as root, or `chmod 666 /dev/net/tun`"
    )]
    NoTun {
        /// What the kernel answered.
        cause: io::Error,
    },
    /// No network namespace could be made.
    #[error(
        "a network namespace of the rack's own could not be made ({cause}): run as root, or where user namespaces are allowed call `rack::gain_network_rights` while the process has one thread"
    )]
    NoNamespace {
        /// What the kernel answered.
        cause: io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` failed ({status}): {stderr}")]
    CommandFailed {
        /// The command as a person would type it.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
    },
    /// A program could not be started.
    #[error("`{command}` could not be started: {cause}")]
    CommandStart {
        /// The command as a person would type it.
        command: String,
        /// What the kernel answered.
        cause: io::Error,
    },
    /// Something took longer than its limit.
    #[error("{what} did not happen within {} s{detail}", .limit.as_secs())]
    TooLong {
        /// What was waited for.
        what: String,
        /// The limit.
        limit: Duration,
        /// What was seen instead; begins with a separator, or is empty.
        detail: String,
    },
    /// A file could not be read or written.
    #[error("{}: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        cause: io::Error,
    },
    /// A node's description contradicts itself.
    #[error("node {node}: {problem}")]
    BadSpec {
        /// The node's name.
        node: String,
        /// What is wrong, with the part.
        problem: String,
    },
    /// A fault cannot be put into this node.
    #[error("node {node} has nothing that the fault `{fault}` could break: {problem}")]
    FaultDoesNotFit {
        /// The node's name.
        node: String,
        /// The fault's name.
        fault: &'static str,
        /// What is missing.
        problem: &'static str,
    },
    /// A disk file is there already with another size.
    #[error("{} has {found} bytes, and disk {serial} has {wanted}: remove the file, or give another folder", .path.display())]
    DiskSize {
        /// The disk file.
        path: PathBuf,
        /// The disk's serial number.
        serial: String,
        /// The file's size in bytes.
        found: u64,
        /// The disk's size in bytes.
        wanted: u64,
    },
    /// The node is off, and the wish needs it on.
    #[error("node {node} is powered off: {wish} needs it on")]
    Off {
        /// The node's name.
        node: String,
        /// What was wished.
        wish: &'static str,
    },
    /// The node is on already.
    #[error("node {node} is powered on already")]
    On {
        /// The node's name.
        node: String,
    },
    /// QEMU ended although nobody asked it to.
    #[error("node {node}: QEMU ended by itself ({status}) while waiting for {what}: {stderr}")]
    QemuEnded {
        /// The node's name.
        node: String,
        /// How it ended.
        status: String,
        /// What was waited for.
        what: String,
        /// The end of what QEMU said.
        stderr: String,
    },
    /// QEMU's monitor refused a command.
    #[error("QEMU refused {command}: {answer}")]
    QmpRefused {
        /// The command's name.
        command: String,
        /// QEMU's answer.
        answer: String,
    },
    /// QEMU's monitor closed the connection or said something that is not QMP.
    #[error("QEMU's monitor: {0}")]
    QmpBroken(String),
    /// The calling thread is not in the network of the node's tap.
    #[error(
        "node {node} was built in another network namespace than this thread's: power it on from the network's thread, or after `NetHandle::enter`"
    )]
    OtherNetwork {
        /// The node's name.
        node: String,
    },
    /// The rack has no tap of that number.
    #[error("the rack has {taps} taps, and tap {wanted} was asked for")]
    NoSuchTap {
        /// How many there are.
        taps: usize,
        /// Which was wished, from 0.
        wanted: usize,
    },
}

impl RackError {
    /// Names the file of an input or output error.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }
}
