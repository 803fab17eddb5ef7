// SPDX-License-Identifier: Apache-2.0
//! Writes on a disk that a plan gives up, reads back what was written, and leaves the disk as blank as it was.
//!
//! Only a disk that the plan wipes, that is the planned one by serial number, World Wide Name, size and sector, that
//! nobody else has open, and that holds nothing at all is written to. Refuses every other.

use groundstate_api::inventory::Disk;
use groundstate_api::plan::{DiskAction, DiskPlan, Plan};
use groundstate_api::{Reason, SystemUuid};
use mos_core::guard::guard_disk;
use mos_core::signature::{Window, recognise};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The disks of this machine that the plan gives up.
///
/// # Errors
/// The plan is for another machine, or one of its disks is not the planned one.
pub fn may_write(
    plan: &Plan,
    machine: Option<SystemUuid>,
    disks: &[Disk],
) -> Result<Vec<DiskPlan>, Reason> {
    if machine != Some(plan.machine) {
        let here = machine.map_or_else(|| "without a UUID".to_owned(), |uuid| uuid.to_string());
        return Err(Reason::new(
            groundstate_api::ReasonCode::IdentityMismatch,
            "the plan is for another machine",
            "take the plan of this machine: `groundstate node plan NODE --json`",
        )
        .seen(format!(
            "the plan is for {}, this machine is {here}",
            plan.machine
        )));
    }
    let given_up = |disk: &&DiskPlan| matches!(disk.action, DiskAction::Wipe { .. });
    let given_up: Vec<DiskPlan> = plan.disks.iter().filter(given_up).cloned().collect();
    for planned in &given_up {
        guard_disk(planned, disks)?;
    }
    Ok(given_up)
}

/// A disk that may be written to, held so that nobody else opens it.
pub(super) struct Blank {
    file: File,
}

impl Blank {
    /// Holds the disk and looks that it holds nothing.
    pub(super) fn hold(path: &Path, disk: &Disk) -> Result<Self, String> {
        let open = |flags| {
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(flags)
                .open(path);
            opened.map_err(|error| format!("{}: {error}", path.display()))
        };
        let file = open(libc::O_DIRECT | libc::O_EXCL)?;
        // The look reads any length anywhere, which direct reads cannot.
        let look = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut read = |at: u64, length: usize| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; length];
            look.read_exact_at(&mut bytes, at)?;
            Ok(bytes)
        };
        let mut window = Window::new(disk.size.0, disk.logical_sector, &mut read);
        let found =
            recognise(&mut window).map_err(|error| format!("{}: {error}", path.display()))?;
        if !found.is_empty() {
            let names: Vec<&str> = found.iter().map(|one| one.what.as_str()).collect();
            return Err(format!(
                "{} holds {}: only a blank disk is written to; erase it first",
                path.display(),
                names.join(", ")
            ));
        }
        Ok(Self { file })
    }

    /// Writes the pattern of this place over `memory` and reads it back; says where the first wrong byte is.
    pub(super) fn write_and_read(&self, at: u64, memory: &mut [u8]) -> Result<(), String> {
        fill(at, memory);
        self.file
            .write_all_at(memory, at)
            .map_err(|error| format!("writing {} bytes at {at}: {error}", memory.len()))?;
        memory.fill(0);
        self.file
            .read_exact_at(memory, at)
            .map_err(|error| format!("reading back {} bytes at {at}: {error}", memory.len()))?;
        match wrong(at, memory) {
            None => Ok(()),
            Some(place) => Err(format!(
                "byte {place} read back differently from what was written"
            )),
        }
    }

    /// Makes a place zeros again.
    pub(super) fn blank(&self, at: u64, memory: &mut [u8]) -> Result<(), String> {
        memory.fill(0);
        self.file
            .write_all_at(memory, at)
            .map_err(|error| format!("writing zeros at {at}: {error}"))
    }

    /// Makes everything durable.
    pub(super) fn flush(&self) -> Result<(), String> {
        self.file
            .sync_all()
            .map_err(|error| format!("flushing: {error}"))
    }
}

/// Eight bytes that no other place has.
fn word(at: u64) -> [u8; 8] {
    let mixed = (at ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)).to_le_bytes()
}

fn fill(at: u64, memory: &mut [u8]) {
    for (place, bytes) in (at..).step_by(8).zip(memory.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&word(place));
    }
}

/// The first place that differs from its pattern.
fn wrong(at: u64, memory: &[u8]) -> Option<u64> {
    let mut words = (at..).step_by(8).zip(memory.chunks_exact(8));
    words
        .find(|(place, bytes)| *bytes != word(*place))
        .map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_and_a_misplaced_block_are_found() {
        let mut memory = vec![0; 4096];
        fill(8192, &mut memory);
        assert_eq!(wrong(8192, &memory), None);
        assert_eq!(wrong(4096, &memory), Some(4096));
        memory[100] ^= 1;
        assert_eq!(wrong(8192, &memory), Some(8192 + 96));
    }
}
