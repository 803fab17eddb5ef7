// SPDX-License-Identifier: Apache-2.0
//! A drive that is erased: reads past every cache, witnesses, and the start and the questions of each method. It decides nothing.

use super::ioctl::Aligned;
use super::long::Long;
use super::{ata, nvme, scsi};
use groundstate_api::erase::EraseMethod;
use groundstate_api::inventory::{Disk, Transport};
use groundstate_api::plan::DiskPlan;
use mos_core::erase::{
    BLOCK, DriveFacts, Event, Interface, Poll, Print, Range, Start, print, witness,
};
use mos_core::guard::{UNKNOWN_DATA, described};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One read or write.
pub(super) const PIECE: u64 = 1 << 20;

/// A drive, opened alone.
pub(super) struct Drive {
    file: Arc<File>,
    path: PathBuf,
    facts: DriveFacts,
    seed: u64,
    /// How many bytes are one block.
    pub(super) grain: u64,
    /// What was said while it was asked what it can do: a password of ours that was removed, for example.
    pub(super) said: Vec<String>,
    /// The command that answers only when it is done, where one runs.
    long: Option<Long>,
}

impl Drive {
    /// Opens the planned drive alone and unbuffered, and asks what it can do.
    pub(super) fn open(
        path: &Path,
        planned: &DiskPlan,
        disk: &Disk,
        seed: u64,
    ) -> io::Result<Self> {
        let is_block = std::fs::metadata(path)?.file_type().is_block_device();
        let alone = if is_block { libc::O_EXCL } else { 0 };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(alone | libc::O_DIRECT | libc::O_CLOEXEC)
            .open(path)?;
        let mut said = Vec::new();
        let interface = match disk.transport {
            _ if !is_block => Interface::Plain("it is a file".to_owned()),
            Transport::Nvme => nvme::facts(&file),
            Transport::Ata => ata::facts(&file, &mut said),
            Transport::Scsi => scsi::facts(&file),
            Transport::Virtio => {
                Interface::Plain("a virtio disk has no erase of its own".to_owned())
            }
            Transport::Usb | Transport::Other => {
                Interface::Plain("nothing passes its bridge but reads and writes".to_owned())
            }
        };
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            facts: DriveFacts {
                size: planned.size,
                sector: planned.logical_sector,
                rotational: disk.rotational,
                interface,
            },
            seed,
            grain: BLOCK,
            said,
            long: None,
        })
    }

    pub(super) const fn facts(&self) -> &DriveFacts {
        &self.facts
    }

    /// Reads the ranges and tells the blocks; the last word is the end, or why there is none.
    pub(super) fn read(&self, ranges: &[Range], tell: &mut dyn FnMut(Event) -> bool) {
        let mut memory = Aligned::new(usize::try_from(PIECE).unwrap_or(0));
        for range in ranges {
            let end = range.start + range.length;
            let mut at = range.start;
            while at < end {
                let length = PIECE.min(end - at);
                let prints = self.prints(&mut memory, at, length);
                if !tell(Event::Blocks(prints)) {
                    return;
                }
                at += length;
            }
        }
        tell(Event::ReadEnded);
    }

    /// The blocks of one piece. A piece that cannot be read at once is read block by block.
    fn prints(&self, memory: &mut Aligned, at: u64, length: u64) -> Vec<Print> {
        let wanted = usize::try_from(length).unwrap_or(0);
        let whole = match memory.bytes_mut().get_mut(..wanted) {
            Some(bytes) => self.file.read_exact_at(bytes, at).is_ok(),
            None => false,
        };
        let mut prints = Vec::new();
        let mut offset = 0;
        while offset < length {
            let block = self.grain.min(length - offset);
            let (from, size) = (
                usize::try_from(offset).unwrap_or(0),
                usize::try_from(block).unwrap_or(0),
            );
            let readable = whole || {
                let bytes = memory.bytes_mut().get_mut(from..from + size);
                bytes.is_some_and(|bytes| self.file.read_exact_at(bytes, at + offset).is_ok())
            };
            let bytes = memory.bytes().get(from..from + size).filter(|_| readable);
            let length = u32::try_from(block).unwrap_or(u32::MAX);
            prints.push(print(at + offset, bytes, length, self.seed));
            offset += block;
        }
        prints
    }

    /// Writes a witness to each place and waits until the drive has them.
    pub(super) fn plant(&self, places: &[u64]) -> Event {
        let write = || {
            for at in places {
                let length = self.grain.min(self.facts.size.0.saturating_sub(*at));
                let length = usize::try_from(length).unwrap_or(0);
                let mut memory = Aligned::new(length);
                memory
                    .bytes_mut()
                    .copy_from_slice(&witness(self.seed, *at, length));
                self.file.write_all_at(memory.bytes(), *at)?;
            }
            self.file.sync_all()
        };
        match write() {
            Ok(()) => Event::Planted,
            Err(error) => Event::PlantFailed(error.to_string()),
        }
    }

    /// Starts a method.
    pub(super) fn start(&mut self, method: EraseMethod) -> Start {
        let (start, long) = match (&self.facts.interface, method) {
            (_, EraseMethod::Overwrite) => {
                let long = Long::overwrite(self.file.clone(), self.facts.size.0);
                (Start::Begun("writing zeros".to_owned()), Some(long))
            }
            (Interface::Nvme(facts), _) => nvme::start(&self.file, method, facts),
            (Interface::Ata(_), _) => ata::start(&self.file, method),
            (Interface::Scsi(_), _) => (scsi::start(&self.file, method), None),
            (Interface::Plain(why), _) => (Start::Refused(why.clone()), None),
        };
        self.long = long;
        start
    }

    /// Asks how a method stands that has begun.
    pub(super) fn poll(&self, method: EraseMethod) -> Poll {
        if let Some(long) = &self.long {
            return long.poll();
        }
        match &self.facts.interface {
            Interface::Nvme(facts) => nvme::poll(&self.file, method, facts),
            Interface::Ata(_) => ata::poll(&self.file),
            Interface::Scsi(_) => scsi::poll(&self.file),
            Interface::Plain(why) => Poll::Idle(why.clone()),
        }
    }

    /// What is recognised on the drive now. Random bytes are what a crypto erase leaves: nobody knows them, and that is right.
    pub(super) fn recognise(&self) -> Event {
        // Another reader may have filled the page cache before the erase.
        let dropped = rustix::fs::fadvise(&*self.file, 0, None, rustix::fs::Advice::DontNeed);
        let found = dropped
            .map_err(io::Error::from)
            .and_then(|()| crate::disk::contents(&self.path));
        match found {
            Ok((found, _)) => {
                let known = found.iter().filter(|one| one.what != UNKNOWN_DATA);
                Event::Recognised(known.map(described).collect())
            }
            Err(error) => Event::ReadFailed(error.to_string()),
        }
    }
}
