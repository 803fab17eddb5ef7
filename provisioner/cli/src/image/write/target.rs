// SPDX-License-Identifier: Apache-2.0
//! What DEVICE is: a disk, a partition or a file; what it holds, and whether it may be written to at all.

use super::refused;
use anyhow::{Context as _, Result, bail};
use groundstate_api::inventory::Disk;
use groundstate_api::{Bytes, Part, Reason, ReasonCode};
use maintenance_os::disk::contents;
use mos_core::guard::{described, fit_to_write};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What is written to.
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) what: What,
    pub(super) size: Bytes,
    /// Its logical sector in bytes.
    pub(super) sector: u32,
    /// What it holds, by signature; empty where it is blank.
    pub(super) holds: Vec<String>,
    /// A file that is not there yet.
    pub(super) is_new: bool,
    /// How long the file is made before it is written to, where it is not so long yet, or not there.
    make: Option<Bytes>,
}

/// What it is.
pub(super) enum What {
    File,
    /// A disk of this machine.
    Disk(Box<Disk>),
    /// A partition, of that disk where it is one of this machine.
    Partition(Option<Box<Disk>>),
    /// A block device that is no disk of its own: a loop device, a map.
    Other,
}

impl Target {
    pub(super) const fn is_partition(&self) -> bool {
        matches!(self.what, What::Partition(_))
    }
    pub(super) const fn is_file(&self) -> bool {
        matches!(self.what, What::File)
    }
    /// What a person confirms it by: its serial number, or its path where it has none.
    pub(super) fn name(&self) -> String {
        let disk = match &self.what {
            What::Disk(disk) | What::Partition(Some(disk)) => Some(disk),
            What::File | What::Partition(None) | What::Other => None,
        };
        disk.map(|disk| disk.serial.clone())
            .filter(|serial| !serial.is_empty())
            .unwrap_or_else(|| self.path.display().to_string())
    }
    /// Makes the file, or makes it as long as it is to be: only when nothing is left to refuse.
    pub(super) fn make(&self) -> Result<()> {
        let Some(size) = self.make else {
            return Ok(());
        };
        let path = self.path.display();
        let mut file = OpenOptions::new();
        let file = file.read(true).write(true).create(true).truncate(false);
        file.open(&self.path)
            .with_context(|| format!("{path} cannot be made"))?
            .set_len(size.0)
            .with_context(|| format!("{path} cannot be made {size} long"))
    }
    /// For people: which thing it is.
    pub(super) fn text(&self) -> String {
        let size = format!("{} ({} bytes)", self.size, self.size.0);
        let disk = |disk: &Disk| {
            let serial = if disk.serial.is_empty() {
                "without a serial number".to_owned()
            } else {
                format!("serial {}", disk.serial)
            };
            format!("{}, {serial}, at {}", disk.model, disk.slot)
        };
        let what = match &self.what {
            What::File => "a file".to_owned(),
            What::Disk(one) => format!("disk {}", disk(one)),
            What::Partition(Some(one)) => format!("a partition of disk {}", disk(one)),
            What::Partition(None) => "a partition".to_owned(),
            What::Other => "a block device".to_owned(),
        };
        format!(
            "{}: {what}, {size}, sectors of {} bytes",
            self.path.display(),
            self.sector
        )
    }
}

/// Looks at it and changes nothing: a file that `size` asks for is made later, by [`Target::make`].
pub(super) fn look(
    path: &Path,
    size: Option<Bytes>,
    file_sector: u32,
    least: Bytes,
) -> Result<Target> {
    let found = match fs::metadata(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be looked at", path.display()));
        }
    };
    match found {
        Some(found) if found.file_type().is_block_device() => {
            if size.is_some() {
                bail!(
                    "--size is for files, and {} is a device of its own size",
                    path.display()
                );
            }
            device(path)
        }
        Some(found) if found.is_file() => file(path, size, file_sector),
        Some(_) => bail!("{} is neither a disk nor a file", path.display()),
        None if size.is_some() => file(path, size, file_sector),
        None if path.starts_with("/dev") => bail!(
            "{} is not there, and what lies below /dev is a device: lsblk lists the disks of this machine",
            path.display()
        ),
        None => bail!(
            "{} is not there; for a file, say how large it should be, for example --size {}",
            path.display(),
            Bytes(least.0.next_multiple_of(1 << 30))
                .to_string()
                .replace(' ', "")
        ),
    }
}

fn file(path: &Path, size: Option<Bytes>, sector: u32) -> Result<Target> {
    if path.starts_with("/dev") || path.starts_with("/proc") || path.starts_with("/sys") {
        bail!(
            "{} is not a disk, and files are not made in that folder",
            path.display()
        );
    }
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let has = match opened {
        Ok(mut opened) => Some(opened.seek(SeekFrom::End(0))?),
        Err(error) if error.kind() == ErrorKind::NotFound && size.is_some() => None,
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be opened", path.display()));
        }
    };
    let there = Bytes(has.unwrap_or(0));
    if let Some(size) = size
        && size < there
    {
        bail!(
            "{} has {there} already, which is more than --size {size}; remove it, or leave --size out",
            path.display()
        );
    }
    let holds = has.map_or_else(|| Ok(Vec::new()), |_| holds(path))?;
    Ok(Target {
        path: path.to_path_buf(),
        what: What::File,
        size: size.unwrap_or(there),
        sector,
        holds,
        is_new: has.is_none(),
        make: size.filter(|size| has.is_none_or(|has| has < size.0)),
    })
}

fn device(path: &Path) -> Result<Target> {
    let real = fs::canonicalize(path)
        .with_context(|| format!("{} cannot be looked at", path.display()))?;
    let name = real
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let disks = hw_diag::look_at_disks();
    let named = |name: &str| disks.iter().find(|disk| disk.kernel_name == name);
    let what = match (named(&name), parent(&name)) {
        (Some(disk), _) => {
            fit_to_write(disk, &disks).map_err(refused)?;
            What::Disk(Box::new(disk.clone()))
        }
        (None, Some(parent)) => What::Partition(named(&parent).cloned().map(Box::new)),
        (None, None) => What::Other,
    };
    alone(path)?;
    let mut opened =
        File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let size = Bytes(opened.seek(SeekFrom::End(0))?);
    let sector = match &what {
        What::Disk(disk) => disk.logical_sector,
        What::Partition(_) | What::Other | What::File => sector_of(&name)?,
    };
    Ok(Target {
        path: real,
        what,
        size,
        sector,
        holds: holds(path)?,
        is_new: false,
        make: None,
    })
}

/// The disk of a partition, by the kernel's names.
fn parent(name: &str) -> Option<String> {
    let entry = Path::new("/sys/class/block").join(name);
    if !entry.join("partition").exists() {
        return None;
    }
    let real = fs::canonicalize(entry).ok()?;
    Some(real.parent()?.file_name()?.to_string_lossy().into_owned())
}

fn sector_of(name: &str) -> Result<u32> {
    let of = parent(name).unwrap_or_else(|| name.to_owned());
    let path = Path::new("/sys/class/block")
        .join(of)
        .join("queue/logical_block_size");
    let text =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.trim()
        .parse()
        .with_context(|| format!("{} has no sector size", path.display()))
}

/// The kernel gives a device alone to nobody while it is mounted or another holds it.
fn alone(path: &Path) -> Result<()> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_EXCL)
        .open(path);
    match opened {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ResourceBusy => Err(refused(
            Reason::new(
                ReasonCode::DiskInUse,
                format!("{} is in use on this machine", path.display()),
                "unmount it and take it out of arrays and maps, then write again; the disk of the running system is \
                 never written to",
            )
            .about(Part::Field {
                path: path.display().to_string(),
            })
            .seen("the kernel does not give it to anybody alone"),
        )),
        Err(error) => {
            Err(error).with_context(|| format!("{} cannot be opened", path.display()))
        }
    }
}

fn holds(path: &Path) -> Result<Vec<String>> {
    let (found, _) =
        contents(path).with_context(|| format!("what {} holds cannot be read", path.display()))?;
    Ok(found.iter().map(described).collect())
}
