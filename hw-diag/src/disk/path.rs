// SPDX-License-Identifier: Apache-2.0
//! The way to a disk: SCSI commands, ATA inside them, NVMe admin commands; and in words why one brought nothing.
//!
//! Refuses to try again: a command that timed out ends the asking, since the next one would wait as long.

use crate::ioctl::{Admin, SgReply, nvme_admin, open, sg_io};
use hw_core::disk::DiskFacts;
use hw_core::scsi::{RECOVERED, Sense};
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::Path;

/// Takes SCSI commands.
pub(crate) trait SgPath {
    /// Sends a command that reads into `data` (nothing when it is empty).
    fn sg(&self, cdb: &[u8], data: &mut [u8]) -> io::Result<SgReply>;
}

/// Takes NVMe admin commands.
pub(crate) trait AdminPath {
    /// Sends a command that reads into `data` (nothing when it is empty); `Ok` is the NVMe status.
    fn admin(&self, command: Admin, data: &mut [u8]) -> io::Result<i32>;
}

impl SgPath for File {
    fn sg(&self, cdb: &[u8], data: &mut [u8]) -> io::Result<SgReply> {
        sg_io(self, cdb, data)
    }
}

impl AdminPath for File {
    fn admin(&self, command: Admin, data: &mut [u8]) -> io::Result<i32> {
        nvme_admin(self, command, data)
    }
}

/// Why a command brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk refused this one; others may go well.
    Refused(String),
    /// Nothing else will go well either.
    Over(Over),
}

/// Why the disk is not asked further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Over(pub(crate) String);

/// SCSI status GOOD and CHECK CONDITION.
const GOOD: u8 = 0;
const CHECK_CONDITION: u8 = 2;
/// What the host adapter says when the disk is gone or did not answer (`<scsi/scsi_status.h>`).
const NO_CONNECT: u16 = 1;
const TIME_OUT: u16 = 3;

/// Opens a device for asking.
pub(crate) fn opened(device: &Path) -> Result<File, Over> {
    open(device).map_err(|error| Over(words(device.display(), &error)))
}

/// Sends a SCSI command and returns its answer, as long as it came.
pub(crate) fn read(
    path: &impl SgPath,
    name: impl Display,
    cdb: &[u8],
    length: usize,
) -> Result<Vec<u8>, Fault> {
    let mut data = vec![0u8; length];
    let reply = send(path, &name, cdb, &mut data)?;
    match Sense::read(&reply.sense) {
        _ if reply.status == GOOD => {}
        // No sense and recovered error: it went well, and there is something to tell.
        Some(sense) if reply.status == CHECK_CONDITION && sense.key <= RECOVERED => {}
        sense => return Err(Fault::Refused(refusal(name, reply.status, sense))),
    }
    data.truncate(reply.length);
    Ok(data)
}

/// Sends a SCSI command whose status is the caller's to judge.
pub(crate) fn send(
    path: &impl SgPath,
    name: impl Display,
    cdb: &[u8],
    data: &mut [u8],
) -> Result<SgReply, Fault> {
    let reply = path.sg(cdb, data).map_err(|error| fault(&name, &error))?;
    match reply.host_status {
        0 => Ok(reply),
        NO_CONNECT => Err(Fault::Over(Over(format!("{name}: the disk is gone")))),
        TIME_OUT => Err(Fault::Over(Over(format!(
            "{name}: the disk did not answer in time"
        )))),
        other => Err(Fault::Refused(format!(
            "{name}: host adapter status {other:#06x}"
        ))),
    }
}

/// Why a command was refused, in words.
pub(crate) fn refusal(name: impl Display, status: u8, sense: Option<Sense>) -> String {
    match sense {
        Some(sense) => format!("{name}: {sense}"),
        None => format!("{name}: SCSI status {status:#04x}"),
    }
}

/// Sends an NVMe admin command and returns its answer.
pub(crate) fn admin(
    path: &impl AdminPath,
    name: impl Display,
    command: Admin,
    length: usize,
) -> Result<Vec<u8>, Fault> {
    let mut data = vec![0u8; length];
    match path.admin(command, &mut data) {
        Ok(0) => Ok(data),
        Ok(status) => Err(Fault::Refused(format!("{name}: NVMe status {status:#x}"))),
        Err(error) => Err(fault(name, &error)),
    }
}

/// What the kernel's error means for the next command.
fn fault(name: impl Display, error: &io::Error) -> Fault {
    let said = words(name, error);
    match error.raw_os_error() {
        Some(
            libc::EPERM
            | libc::EACCES
            | libc::ENODEV
            | libc::ENXIO
            | libc::ENOTTY
            | libc::ETIMEDOUT
            | libc::EIO,
        ) => Fault::Over(Over(said)),
        _ => Fault::Refused(said),
    }
}

/// The error with what to do about it.
fn words(name: impl Display, error: &io::Error) -> String {
    let advice = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => ": run as root",
        Some(libc::ENOENT) => ": there is no such device node",
        Some(libc::ENODEV | libc::ENXIO) => ": the device is gone",
        Some(libc::ENOTTY) => ": its driver takes no such command",
        Some(libc::ETIMEDOUT) => ": the disk did not answer in time",
        Some(libc::EIO) => ": the disk or its controller did not answer",
        _ => "",
    };
    format!("{name}: {error}{advice}")
}

/// The answer where there is one. A refusal is noted as missed; an end is handed on.
pub(crate) fn noted<T>(facts: &mut DiskFacts, answer: Result<T, Fault>) -> Result<Option<T>, Over> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Fault::Refused(why)) => {
            facts.missed.push(why);
            Ok(None)
        }
        Err(Fault::Over(over)) => Err(over),
    }
}

/// The answer where there is one, for what a disk need not have.
pub(crate) fn optional<T>(answer: Result<T, Fault>) -> Result<Option<T>, Over> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Fault::Refused(_)) => Ok(None),
        Err(Fault::Over(over)) => Err(over),
    }
}
