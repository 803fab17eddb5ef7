// SPDX-License-Identifier: Apache-2.0
//! Whose virtual disk a file is, by the marks that formats write last. Changes nothing.
//!
//! A file without a mark is nobody's: what power left of a disk that was being made, or nothing yet. A mark that names
//! another disk, or stands on something that cannot be read, is never written over.

use super::super::error::DiskError;
use super::{VhdFile, name};
use groundstate_api::plan::{VhdFormat, VhdKind, VhdPlan};
use groundstate_api::{Bytes, SystemUuid};
use mos_core::guid::Guid;
use mos_core::random_access::ReadAt;
use mos_core::vhd::{FOOTER_LEN, Footer, FooterError, Kind};
use mos_core::vhdx::{self, Failure, Vhdx};
use std::fmt;
use std::io;
use std::path::Path;

/// What a VHDX begins with.
const VHDX_MARK: [u8; 8] = *b"vhdxfile";

/// What a virtual disk says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) format: VhdFormat,
    /// `fixed`, `dynamic`, `differencing`.
    pub(super) kind: &'static str,
    pub(super) size: Bytes,
    pub(super) id: Guid,
}

impl Identity {
    /// What the plan says that the file is to be.
    pub(super) const fn planned(vhd: &VhdPlan, id: SystemUuid) -> Self {
        Self {
            format: vhd.format,
            kind: vhd.kind.as_str(),
            size: vhd.size,
            id: Guid(id.0),
        }
    }

    fn of_footer(footer: &Footer) -> Self {
        Self {
            format: VhdFormat::Vhd,
            kind: footer.kind.as_str(),
            size: footer.size,
            id: Guid(footer.id),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, format) = (self.kind, name(self.format));
        write!(f, "{kind} {format} {} of {}", self.id.lower(), self.size)
    }
}

/// What a file is before anything is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Without a mark, with so many bytes.
    Nobodys(u64),
    /// The planned one, with so many bytes.
    Planned(u64),
}

/// A file as bytes at an offset.
pub(super) struct Reader<'a> {
    pub(super) file: &'a dyn VhdFile,
    pub(super) length: u64,
}

impl ReadAt for Reader<'_> {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}

/// Looks whose the file is. `payload` is where the planned disk's own bytes begin: a shorter file has none.
///
/// # Errors
/// [`DiskError::AnothersDisk`] where it is another disk, or bears the mark of one that cannot be read.
pub(super) fn found(
    file: &dyn VhdFile,
    path: &Path,
    planned: &Identity,
    payload: u64,
) -> Result<Found, DiskError> {
    let (length, _) = file.lengths().map_err(DiskError::io("sizing", path))?;
    let refused = |found: String| DiskError::AnothersDisk {
        path: path.to_path_buf(),
        found,
        planned: planned.to_string(),
    };
    match marked(file, length, planned).map_err(DiskError::io("reading", path))? {
        Mark::None => Ok(Found::Nobodys(length)),
        Mark::Disk(disk) if disk == *planned => Ok(Found::Planned(length)),
        Mark::Disk(disk) => Err(refused(disk.to_string())),
        Mark::Broken(_) if length <= payload => Ok(Found::Nobodys(length)),
        Mark::Broken(why) => Err(refused(why)),
    }
}

enum Mark {
    None,
    Disk(Identity),
    /// There is one, and this is wrong behind it.
    Broken(String),
}

fn marked(file: &dyn VhdFile, length: u64, planned: &Identity) -> io::Result<Mark> {
    const LEN: u64 = FOOTER_LEN as u64;
    if length < LEN {
        return Ok(Mark::None);
    }
    let (mut head, mut tail) = ([0; FOOTER_LEN], [0; FOOTER_LEN]);
    file.read_exact_at(&mut head, 0)?;
    file.read_exact_at(&mut tail, length - LEN)?;
    let tail = Footer::decode(&tail);
    if let Ok(footer) = &tail {
        return Ok(Mark::Disk(Identity::of_footer(footer)));
    }
    if head.starts_with(&VHDX_MARK) {
        return vhdx_mark(file, length);
    }
    match Footer::decode(&head) {
        // In a fixed VHD the disk's own first bytes stand here, whatever they look like.
        Ok(copy) if copy.kind == Kind::Fixed => Ok(Mark::None),
        Ok(copy) => Ok(Mark::Disk(Identity::of_footer(&copy))),
        Err(FooterError::Cookie) => Ok(Mark::None),
        Err(_) if planned.kind == VhdKind::Fixed.as_str() => Ok(Mark::None),
        Err(why) => Ok(Mark::Broken(format!(
            "a VHD whose footers are broken: {why}"
        ))),
    }
}

fn vhdx_mark(file: &dyn VhdFile, length: u64) -> io::Result<Mark> {
    match Vhdx::open(Reader { file, length }) {
        Ok(disk) => Ok(Mark::Disk(identity_of(disk.facts()))),
        Err(Failure::Read { why, .. } | Failure::Write { why, .. } | Failure::Flush { why }) => {
            Err(why)
        }
        Err(Failure::Refused(why)) => Ok(Mark::Broken(format!("a VHDX that is not read: {why}"))),
    }
}

fn identity_of(facts: &vhdx::Facts) -> Identity {
    Identity {
        format: VhdFormat::Vhdx,
        kind: match facts.kind {
            vhdx::Kind::Fixed => VhdKind::Fixed.as_str(),
            vhdx::Kind::Dynamic => VhdKind::Dynamic.as_str(),
            vhdx::Kind::Differencing => Kind::Differencing.as_str(),
        },
        size: facts.size,
        id: facts.disk_id,
    }
}
