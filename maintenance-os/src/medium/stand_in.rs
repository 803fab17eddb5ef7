// SPDX-License-Identifier: Apache-2.0
//! Disks in memory under names of their own: they write down every write and flush, and fail when they are told to.

use super::{Access, Medium};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

const PAGE: usize = 4_096;
static ZEROS: [u8; PAGE] = [0; PAGE];

/// What a disk holds. A copy costs next to nothing.
#[derive(Clone, Debug)]
pub(crate) struct Image(Vec<Option<Arc<[u8; PAGE]>>>);

impl Image {
    pub(crate) fn blank(size: u64) -> Self {
        assert!(size.is_multiple_of(PAGE as u64), "{size}");
        Self(vec![None; usize::try_from(size).unwrap() / PAGE])
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8], at: u64) {
        let mut at = usize::try_from(at).unwrap();
        while !bytes.is_empty() {
            let (page, within) = (at / PAGE, at % PAGE);
            let (now, rest) = bytes.split_at(bytes.len().min(PAGE - within));
            let place = &mut self.0[page];
            if now.len() == PAGE && *now == ZEROS {
                *place = None;
            } else if place.is_some() || *now != ZEROS[..now.len()] {
                let held = place.get_or_insert_with(|| Arc::new(ZEROS));
                Arc::make_mut(held)[within..within + now.len()].copy_from_slice(now);
            }
            at += now.len();
            bytes = rest;
        }
    }

    pub(crate) fn read(&self, bytes: &mut [u8], at: u64) {
        let (mut at, mut done) = (usize::try_from(at).unwrap(), 0);
        while done < bytes.len() {
            let (page, within) = (at / PAGE, at % PAGE);
            let length = (bytes.len() - done).min(PAGE - within);
            let to = &mut bytes[done..done + length];
            match &self.0[page] {
                Some(held) => to.copy_from_slice(&held[within..within + length]),
                None => to.fill(0),
            }
            (at, done) = (at + length, done + length);
        }
    }

    fn page(&self, at: usize) -> &[u8; PAGE] {
        self.0[at].as_deref().unwrap_or(&ZEROS)
    }

    /// The pages that are not as in `other`.
    pub(crate) fn differs(&self, other: &Self) -> Vec<usize> {
        let same = |at: &usize| match (&self.0[*at], &other.0[*at]) {
            (None, None) => true,
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => true,
            _ => self.page(*at) == other.page(*at),
        };
        (0..self.0.len()).filter(|at| !same(at)).collect()
    }

    /// A number that two images with other bytes do not share: of the pages in which they are not as `base`.
    pub(crate) fn fingerprint(&self, base: &Self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for at in self.differs(base) {
            (at, self.page(at)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// As a file that other tools read.
    pub(crate) fn save(&self, path: &Path, start: u64, length: u64) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::File::create(path).unwrap();
        file.set_len(length).unwrap();
        let mut page = [0; PAGE];
        for at in (0..length).step_by(PAGE) {
            self.read(&mut page, start + at);
            if page != ZEROS {
                file.write_all_at(&page, at).unwrap();
            }
        }
    }
}

/// What came to the disk.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write { at: u64, bytes: Arc<[u8]> },
    Flush,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    Flush,
}

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With this error, once.
    Once(i32),
    /// With this error, from then on: it does not even open any more.
    Gone(i32),
    /// It does not answer until it is released.
    Hang,
    /// What it wrote reads back with one bit turned.
    Liar,
}

/// The `after`th call (from 0) of a kind fails; of any kind where none is named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) call: Option<Call>,
    pub(crate) after: u64,
    pub(crate) fault: Fault,
}

#[derive(Debug)]
struct State {
    image: Image,
    log: Vec<Op>,
    trouble: Option<Trouble>,
    calls: u64,
    struck: bool,
    gone: Option<i32>,
    released: bool,
    most_at_once: usize,
    /// Bytes that were written and not flushed since, where somebody watches.
    unflushed: Option<BTreeMap<u64, u64>>,
    /// Reads of such bytes.
    too_early: u64,
}

/// A disk in memory.
#[derive(Debug)]
pub(crate) struct StandIn {
    state: Mutex<State>,
    release: Condvar,
    size: u64,
    sector: u32,
}

impl StandIn {
    pub(crate) fn new(image: Image, sector: u32) -> Arc<Self> {
        let size = (image.0.len() * PAGE) as u64;
        let state = State {
            image,
            log: Vec::new(),
            trouble: None,
            calls: 0,
            struck: false,
            gone: None,
            released: false,
            most_at_once: usize::MAX,
            unflushed: None,
            too_early: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            release: Condvar::new(),
            size,
            sector,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn image(&self) -> Image {
        self.state().image.clone()
    }

    /// Puts other bytes in and forgets what was written down.
    pub(crate) fn put(&self, image: Image) {
        let mut state = self.state();
        state.image = image;
        state.log.clear();
    }

    pub(crate) fn log(&self) -> Vec<Op> {
        self.state().log.clone()
    }

    pub(crate) fn fail(&self, trouble: Option<Trouble>) {
        let mut state = self.state();
        (state.trouble, state.calls, state.struck, state.gone) = (trouble, 0, false, None);
    }

    /// Whether the trouble came.
    pub(crate) fn struck(&self) -> bool {
        self.state().struck
    }

    /// No call moves more than so many bytes.
    pub(crate) fn at_most(&self, bytes: usize) {
        self.state().most_at_once = bytes;
    }

    /// Counts from now on who reads what was written and not flushed.
    pub(crate) fn watch(&self) {
        let mut state = self.state();
        (state.unflushed, state.too_early) = (Some(BTreeMap::new()), 0);
    }

    /// How many reads were of bytes that were not flushed.
    pub(crate) fn too_early(&self) -> u64 {
        self.state().too_early
    }

    /// Ends every hanging call.
    pub(crate) fn release(&self) {
        self.state().released = true;
        self.release.notify_all();
    }

    /// One call; tells whether it is the liar's.
    fn call(&self, call: Call) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state();
        if let Some(errno) = state.gone {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let Some(trouble) = state
            .trouble
            .filter(|one| one.call.is_none_or(|of| of == call))
        else {
            return Ok((state, false));
        };
        state.calls += 1;
        if state.calls != trouble.after + 1 {
            return Ok((state, false));
        }
        state.struck = true;
        match trouble.fault {
            Fault::Once(errno) => Err(io::Error::from_raw_os_error(errno)),
            Fault::Gone(errno) => {
                state.gone = Some(errno);
                Err(io::Error::from_raw_os_error(errno))
            }
            Fault::Hang => {
                while !state.released {
                    let waited = self.release.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            Fault::Liar => Ok((state, true)),
        }
    }
}

/// The disk, or a partition of it.
#[derive(Clone, Debug)]
struct Place {
    disk: Arc<StandIn>,
    start: u64,
    length: u64,
}

impl Place {
    fn room(&self, wanted: usize, at: u64, most: usize) -> usize {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap();
        wanted.min(left).min(most)
    }
}

impl Medium for Place {
    fn size(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn sector(&self) -> io::Result<Option<u32>> {
        Ok(Some(self.disk.sector))
    }

    // The kernel has no nodes of its partitions.
    fn is_block(&self) -> bool {
        false
    }

    fn is_direct(&self) -> bool {
        true
    }

    fn is_turning(&self) -> bool {
        false
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let (mut state, _) = self.disk.call(Call::Read)?;
        let length = self.room(bytes.len(), at, state.most_at_once);
        let (from, to) = (self.start + at, self.start + at + length as u64);
        let overlaps = |(start, end): (&u64, &u64)| *start < to && from < *end;
        if state.unflushed.iter().flatten().any(overlaps) {
            state.too_early += 1;
        }
        state.image.read(&mut bytes[..length], self.start + at);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let (mut state, lies) = self.disk.call(Call::Write)?;
        let length = self.room(bytes.len(), at, state.most_at_once);
        if length == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let mut bytes = bytes[..length].to_vec();
        bytes[length / 2] ^= u8::from(lies);
        state.image.write(&bytes, self.start + at);
        if let Some(unflushed) = &mut state.unflushed {
            unflushed.insert(self.start + at, self.start + at + length as u64);
        }
        state.log.push(Op::Write {
            at: self.start + at,
            bytes: bytes.into(),
        });
        Ok(length)
    }

    fn zero_out(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&self) -> io::Result<()> {
        let (mut state, _) = self.disk.call(Call::Flush)?;
        state.log.push(Op::Flush);
        state.unflushed.iter_mut().for_each(BTreeMap::clear);
        Ok(())
    }

    fn forget(&self, _: u64, _: Option<NonZeroU64>) -> io::Result<()> {
        Ok(())
    }

    fn sequence(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn reread_partitions(&self) -> io::Result<()> {
        Ok(())
    }
}

static SHELF: Mutex<BTreeMap<PathBuf, Place>> = Mutex::new(BTreeMap::new());

/// Puts a disk under a name, with its partitions (start and length) as the kernel would name them.
pub(crate) fn plug_in(path: &Path, disk: &Arc<StandIn>, partitions: &[(u64, u64)]) {
    let place = |start, length| Place {
        disk: Arc::clone(disk),
        start,
        length,
    };
    let mut shelf = SHELF.lock().unwrap();
    shelf.insert(path.to_path_buf(), place(0, disk.size));
    for (number, (start, length)) in (1..).zip(partitions) {
        let name = crate::disk::partition_device(path.to_str().unwrap(), number);
        shelf.insert(name, place(*start, *length));
    }
}

pub(super) fn open(path: &Path, _: Access) -> Option<io::Result<Box<dyn Medium>>> {
    let place = SHELF.lock().unwrap().get(path).cloned()?;
    let gone = place.disk.state().gone;
    Some(match gone {
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Ok(Box::new(place)),
    })
}
