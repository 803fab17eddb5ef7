// SPDX-License-Identifier: Apache-2.0
//! Simulated disks with a service time: real block devices of the kernel, behind which each disk does one request after
//! the other and takes as long for it as a disk with platters would.
//!
//! A file system in user space shows one file a disk, and a loop device past the page cache stands on each: mkfs, mounts
//! and the executors find what they find on a machine. A kernel without GPT would show no partitions, so each disk's one
//! partition is a loop device too, on the same file, and both have names in `/dev` for as long as they are there. What a
//! disk was given is kept in memory; zeros are not.

use super::ground::{run, text};
use anyhow::{Context as _, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use maintenance_os::disk::partition_device;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Every request takes this long, wherever it goes: half a turn at 7,200 turns a minute.
pub(super) const EACH: Duration = Duration::from_millis(4);
/// And as long as its bytes take at this many a second.
pub(super) const BYTES_A_SECOND: u64 = 200_000_000;
/// Bytes are kept in pieces of this size.
const KEPT: usize = 64 << 10;
/// The largest request of the kernel's.
const REQUEST_MAX: u32 = 1 << 20;
/// Requests that the kernel may have under way: every disk of a shelf with a queue of 32.
const UNDER_WAY_MAX: u16 = 1_024;
/// How long the kernel may believe what it was told of a file: they do not change.
const BELIEVED: Duration = Duration::from_hours(1);
/// The first disk's number among the files; 1 is the folder.
const FIRST: u64 = 2;

/// What a disk is asked to do.
enum Work {
    Read {
        at: u64,
        length: u32,
        reply: ReplyData,
    },
    Write {
        at: u64,
        bytes: Vec<u8>,
        reply: ReplyWrite,
    },
    Zero {
        at: u64,
        length: u64,
        reply: ReplyEmpty,
    },
    Flush {
        reply: ReplyEmpty,
    },
}

/// What was done since it was last asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// Requests, of all disks.
    pub(super) requests: u64,
    /// Bytes read and written, of all disks.
    pub(super) bytes: u64,
}

/// Some disks. They are gone when this is dropped.
#[derive(Debug)]
pub(super) struct Shelf {
    /// The loop devices.
    devices: Vec<PathBuf>,
    /// The disks' names in `/dev`.
    names: Vec<String>,
    /// All that was made in `/dev`.
    links: Vec<PathBuf>,
    files: PathBuf,
    done: Arc<Mutex<Done>>,
    timed: Arc<AtomicBool>,
    // Dropped last: it unmounts.
    _session: BackgroundSession,
}

impl Shelf {
    /// So many disks of `size`, below an empty folder.
    ///
    /// # Errors
    /// There is no FUSE or no loop device here, or no right to use them.
    pub(super) fn new(at: &Path, disks: usize, size: u64) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let done = Arc::new(Mutex::new(Done::default()));
        let timed = Arc::new(AtomicBool::new(true));
        let queues = (0..disks)
            .map(|_| disk(Arc::clone(&done), Arc::clone(&timed), size))
            .collect();
        let mut config = Config::default();
        config.n_threads = Some(2);
        let files = Files { queues, size };
        let session = fuser::spawn_mount(files, at, &config)
            .context("cannot mount by FUSE (root and /dev/fuse)")?;
        let mut shelf = Self {
            devices: Vec::new(),
            names: Vec::new(),
            links: Vec::new(),
            files: at.to_path_buf(),
            done,
            timed,
            _session: session,
        };
        for number in 0..disks {
            let name = format!("groundstate-bench-{}-{number}", std::process::id());
            shelf.show(number, &["--partscan"], Path::new("/dev").join(&name))?;
            shelf.names.push(name);
        }
        Ok(shelf)
    }

    /// The disks' names in `/dev`.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Shows the first partition of a disk under its name, before the table is written: the kernel needs not know GPT.
    ///
    /// # Errors
    /// No loop device is left, or no right to use one.
    pub(super) fn show_partition(&mut self, number: usize, start: u64, length: u64) -> Result<()> {
        let name = self.names.get(number).context("no such disk")?;
        let link = partition_device(name, 1);
        let (start, length) = (start.to_string(), length.to_string());
        self.show(number, &["--offset", &start, "--sizelimit", &length], link)
    }

    fn show(&mut self, number: usize, more: &[&str], link: PathBuf) -> Result<()> {
        let file = self.files.join(number.to_string());
        let mut arguments = vec!["--direct-io=on", "--find", "--show"];
        arguments.extend(more);
        arguments.push(text(&file)?);
        let device = PathBuf::from(
            run("losetup", &arguments)
                .context("a loop device (root)")?
                .trim(),
        );
        std::os::unix::fs::symlink(&device, &link)
            .with_context(|| format!("cannot make {}", link.display()))?;
        self.devices.push(device);
        self.links.push(link);
        Ok(())
    }

    /// From now on the disks take no time: what follows is a check, and no part of what is measured.
    pub(super) fn untimed(&self) {
        self.timed.store(false, Ordering::Relaxed);
    }

    /// What was done since the last time.
    pub(super) fn done(&self) -> Done {
        std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for link in &self.links {
            if let Err(error) = std::fs::remove_file(link) {
                eprintln!("{} stays behind: {error}", link.display());
            }
        }
        for device in &self.devices {
            let gone = text(device).and_then(|device| run("losetup", &["-d", device]));
            if let Err(error) = gone {
                eprintln!("{} stays behind: {error:#}", device.display());
            }
        }
    }
}

/// One disk: a thread that does one request after the other.
fn disk(
    done: Arc<Mutex<Done>>,
    timed: Arc<AtomicBool>,
    size: u64,
) -> Mutex<Sender<(Instant, Work)>> {
    let (send, receive) = channel();
    thread::spawn(move || serve(&receive, &done, &timed, size));
    Mutex::new(send)
}

fn serve(queue: &Receiver<(Instant, Work)>, done: &Mutex<Done>, timed: &AtomicBool, size: u64) {
    let mut medium = Medium {
        pieces: HashMap::new(),
        size,
    };
    // When the disk is done with what it was given so far: waking up late for one request does not slow the next.
    let mut free = Instant::now();
    while let Ok((arrived, work)) = queue.recv() {
        let bytes = match &work {
            Work::Read { length, .. } => u64::from(*length),
            Work::Write { bytes, .. } => bytes.len() as u64,
            Work::Zero { .. } | Work::Flush { .. } => 0,
        };
        let takes =
            EACH + Duration::from_nanos(bytes.saturating_mul(1_000_000_000 / BYTES_A_SECOND));
        // It begins when it came, or when the one before was done.
        free = free.max(arrived) + takes;
        {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.requests += 1;
            done.bytes += bytes;
        }
        if timed.load(Ordering::Relaxed) {
            thread::sleep(free.saturating_duration_since(Instant::now()));
        }
        match work {
            Work::Read { at, length, reply } => reply.data(&medium.read(at, length)),
            Work::Write { at, bytes, reply } => {
                medium.write(at, &bytes);
                reply.written(u32::try_from(bytes.len()).unwrap_or_default());
            }
            Work::Zero { at, length, reply } => {
                medium.zero(at, length);
                reply.ok();
            }
            Work::Flush { reply } => reply.ok(),
        }
    }
}

/// What a disk holds.
struct Medium {
    pieces: HashMap<u64, Box<[u8]>>,
    size: u64,
}

impl Medium {
    /// Each piece that a range touches: its number, and from where to where.
    fn touched(at: u64, length: u64) -> impl Iterator<Item = (u64, usize, usize)> {
        let (kept, end) = (KEPT as u64, at + length);
        (at / kept..end.div_ceil(kept)).map(move |number| {
            let from = at.max(number * kept) - number * kept;
            let to = end.min((number + 1) * kept) - number * kept;
            (
                number,
                usize::try_from(from).unwrap_or(KEPT),
                usize::try_from(to).unwrap_or(KEPT),
            )
        })
    }

    fn read(&self, at: u64, length: u32) -> Vec<u8> {
        let length = u64::from(length).min(self.size.saturating_sub(at));
        let mut out = Vec::new();
        for (number, from, to) in Self::touched(at, length) {
            let held = self
                .pieces
                .get(&number)
                .and_then(|piece| piece.get(from..to));
            match held {
                Some(bytes) => out.extend_from_slice(bytes),
                None => out.resize(out.len() + to - from, 0),
            }
        }
        out
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut rest = bytes;
        for (number, from, to) in Self::touched(at, bytes.len() as u64) {
            let (here, after) = rest.split_at(to - from);
            rest = after;
            if !self.pieces.contains_key(&number) && here.iter().all(|byte| *byte == 0) {
                continue;
            }
            let piece = self
                .pieces
                .entry(number)
                .or_insert_with(|| vec![0; KEPT].into_boxed_slice());
            if let Some(place) = piece.get_mut(from..to) {
                place.copy_from_slice(here);
            }
        }
    }

    fn zero(&mut self, at: u64, length: u64) {
        for (number, from, to) in Self::touched(at, length) {
            if to - from == KEPT {
                self.pieces.remove(&number);
            } else if let Some(place) = self
                .pieces
                .get_mut(&number)
                .and_then(|piece| piece.get_mut(from..to))
            {
                place.fill(0);
            }
        }
    }
}

/// The files that stand for the disks: `0`, `1`, …
struct Files {
    queues: Vec<Mutex<Sender<(Instant, Work)>>>,
    size: u64,
}

impl Files {
    fn attributes(&self, number: INodeNo) -> Option<FileAttr> {
        let folder = number == INodeNo::ROOT;
        let known = folder || u64::from(number) < FIRST + self.queues.len() as u64;
        let size = if folder { 0 } else { self.size };
        known.then_some(FileAttr {
            ino: number,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if folder {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: if folder { 0o700 } else { 0o600 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4_096,
            flags: 0,
        })
    }

    /// Hands it to the disk. What is dropped unanswered is answered with an I/O error.
    fn ask(&self, number: INodeNo, work: Work) {
        let at = u64::from(number)
            .checked_sub(FIRST)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(queue) = at.and_then(|at| self.queues.get(at)) {
            let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            // A disk whose thread has ended answers nobody.
            let _gone = queue.send((Instant::now(), work));
        }
    }
}

impl Filesystem for Files {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let refused = |_| io::Error::other("FUSE refuses its own limits");
        config.set_max_write(REQUEST_MAX).map_err(refused)?;
        config
            .set_max_background(UNDER_WAY_MAX)
            .map_err(|_| io::Error::other("FUSE refuses its own limits"))?;
        Ok(())
    }

    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
        match number.and_then(|number| self.attributes(INodeNo(number.checked_add(FIRST)?))) {
            Some(found) => reply.entry(&BELIEVED, &found, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match self.attributes(number) {
            Some(found) => reply.attr(&BELIEVED, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _request: &Request, _number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        at: u64,
        length: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.ask(number, Work::Read { at, length, reply });
    }

    fn write(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        at: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let bytes = data.to_vec();
        self.ask(number, Work::Write { at, bytes, reply });
    }

    fn flush(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        self.ask(number, Work::Flush { reply });
    }

    fn fallocate(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        at: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode & (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE) == 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        self.ask(number, Work::Zero { at, length, reply });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_keeps_what_it_is_given_and_no_zeros() {
        let mut medium = Medium {
            pieces: HashMap::new(),
            size: 1 << 30,
        };
        medium.write(0, &vec![0; 3 * KEPT]);
        assert!(medium.pieces.is_empty());
        let at = KEPT as u64 - 2;
        medium.write(at, b"four");
        assert_eq!(medium.pieces.len(), 2);
        assert_eq!(medium.read(at - 1, 6), b"\0four\0");
        medium.zero(at + 1, 2);
        assert_eq!(medium.read(at - 1, 6), b"\0f\0\0r\0");
        medium.zero(0, 2 * KEPT as u64);
        assert!(medium.pieces.is_empty());
        assert_eq!(
            medium.read((1 << 30) - 4, 10),
            [0; 4],
            "it ends where it ends"
        );
    }
}
