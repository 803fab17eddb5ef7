// SPDX-License-Identifier: Apache-2.0
//! Reads of every disk, past the page cache: runs of 1 MiB across the whole disk, and single blocks here and there.

use super::Shared;
use super::write::Blank;
use groundstate_api::inventory::Disk;
use hw_core::burn_in::DiskLoad;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// One read of a run.
const PIECE: usize = 1 << 20;
/// Reads of one run: 16 MiB, longer than a track and short enough to stop at.
const RUN: u64 = 16;
/// One read here and there.
const BLOCK: usize = 4096;
/// Reads here and there between two runs.
const SINGLES: u32 = 32;
/// O_DIRECT wants memory and offsets at multiples of the logical sector; 4096 fits all.
const ALIGN: usize = 4096;
/// The most errors that are told of one disk. After as many its load ends: it is known to be bad.
const ERRORS_MAX: usize = 32;
/// The most samples of each kind that are kept per disk: 512 KiB.
const SAMPLES_MAX: usize = 65_536;
/// Stack of a reading thread in bytes.
const STACK: usize = 64 * 1024;

/// Reading threads.
pub(super) struct Running {
    receive: mpsc::Receiver<(usize, DiskLoad)>,
    loads: Vec<DiskLoad>,
    running: usize,
}

/// Starts a thread for each disk.
pub(super) fn start(disks: &[Disk], write: &BTreeSet<String>, shared: &Arc<Shared>) -> Running {
    let (send, receive) = mpsc::channel();
    let mut loads = Vec::new();
    let mut running = 0;
    for (index, disk) in disks.iter().enumerate() {
        let blank = DiskLoad {
            device: disk.kernel_name.clone(),
            slot: disk.slot.clone(),
            serial: disk.serial.clone(),
            model: disk.model.clone(),
            size: disk.size,
            not_loaded: Some("it did not come back from its last read".into()),
            ..DiskLoad::default()
        };
        loads.push(blank.clone());
        let send = send.clone();
        let shared = Arc::clone(shared);
        let to_write = write.contains(&disk.serial).then(|| disk.clone());
        let thread = std::thread::Builder::new()
            .name(disk.kernel_name.clone())
            .stack_size(STACK);
        let spawned = thread.spawn(move || {
            let path = Path::new("/dev").join(&blank.device);
            // Nobody listens any more when the grace ended.
            let _ = send.send((index, load(&path, blank, to_write.as_ref(), &shared)));
        });
        match spawned {
            Ok(_) => running += 1,
            Err(error) => {
                if let Some(load) = loads.last_mut() {
                    load.not_loaded = Some(format!("no thread to read it: {error}"));
                }
            }
        }
    }
    Running {
        receive,
        loads,
        running,
    }
}

impl Running {
    /// Collects what each disk showed.
    pub(super) fn finish(mut self, until: Instant) -> Vec<DiskLoad> {
        while self.running > 0 {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((index, load)) = self.receive.recv_timeout(left) else {
                break;
            };
            if let Some(place) = self.loads.get_mut(index) {
                *place = load;
            }
            self.running -= 1;
        }
        self.loads
    }
}

/// Memory at a multiple of [`ALIGN`].
struct Aligned {
    bytes: Vec<u8>,
    from: usize,
}

impl Aligned {
    fn new() -> Self {
        let bytes = vec![0; PIECE + ALIGN];
        let from = bytes.as_ptr().align_offset(ALIGN);
        Self { bytes, from }
    }
    fn first(&mut self, length: usize) -> &mut [u8] {
        self.bytes
            .get_mut(self.from..self.from + length)
            .unwrap_or_default()
    }
}

/// Loads a disk; where `to_write` is given, it is written to also.
fn load(path: &Path, blank: DiskLoad, to_write: Option<&Disk>, shared: &Shared) -> DiskLoad {
    let mut load = blank;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) => {
            load.not_loaded = Some(format!("{}: {error}", path.display()));
            return load;
        }
    };
    let size = load.size.0;
    let span = u64::try_from(PIECE).unwrap_or(u64::MAX).saturating_mul(RUN);
    if size < span {
        load.not_loaded = Some(format!("it has {} and a run needs {span} bytes", load.size));
        return load;
    }
    let held = match to_write.map(|disk| Blank::hold(path, disk)).transpose() {
        Ok(held) => held,
        Err(why) => {
            load.not_loaded = Some(why);
            return load;
        }
    };
    load.not_loaded = None;
    let mut reader = Reader {
        file,
        memory: Aligned::new(),
        random: load
            .serial
            .bytes()
            .fold(0x853c_49e6_748f_ea9b, |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
            | 1,
        load,
        rates: Vec::new(),
        waits: Vec::new(),
        written: Vec::new(),
    };
    while !shared.stop.load(Ordering::Relaxed) && reader.load.errors.len() < ERRORS_MAX {
        let before = reader.load.read.0;
        reader.run(size - span);
        for _ in 0..SINGLES {
            reader.single(size);
        }
        if let Some(held) = &held {
            reader.write(held, size);
        }
        shared
            .read
            .fetch_add(reader.load.read.0 - before, Ordering::Relaxed);
    }
    if let Some(held) = &held {
        reader.blank(held);
    }
    reader.done()
}

struct Reader {
    file: File,
    memory: Aligned,
    random: u64,
    load: DiskLoad,
    rates: Vec<u64>,
    waits: Vec<u64>,
    /// Places that were written to, a MiB each.
    written: Vec<u64>,
}

impl Reader {
    /// A multiple of `step` up to `last`.
    fn place(&mut self, last: u64, step: usize) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let step = u64::try_from(step).unwrap_or(1);
        self.random % (last / step + 1) * step
    }

    fn read(&mut self, at: u64, length: usize) -> Option<Duration> {
        let start = Instant::now();
        match self.file.read_exact_at(self.memory.first(length), at) {
            Ok(()) => {
                self.load.read.0 += u64::try_from(length).unwrap_or(0);
                Some(start.elapsed())
            }
            Err(error) => {
                self.load
                    .errors
                    .push(format!("reading {length} bytes at {at}: {error}"));
                None
            }
        }
    }

    fn run(&mut self, last: u64) {
        let at = self.place(last, PIECE);
        let mut took = Duration::ZERO;
        for piece in 0..RUN {
            let piece = piece * u64::try_from(PIECE).unwrap_or(0);
            let Some(time) = self.read(at + piece, PIECE) else {
                return;
            };
            took += time;
        }
        let kib = u128::from(RUN) * 1024 * 1_000_000;
        let rate = kib / took.as_micros().max(1);
        if self.rates.len() < SAMPLES_MAX {
            self.rates.push(u64::try_from(rate).unwrap_or(u64::MAX));
        }
    }

    fn single(&mut self, size: u64) {
        let last = size.saturating_sub(u64::try_from(BLOCK).unwrap_or(0));
        let at = self.place(last, BLOCK);
        if let Some(took) = self.read(at, BLOCK)
            && self.waits.len() < SAMPLES_MAX
        {
            self.waits
                .push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// One MiB somewhere, written and read back.
    fn write(&mut self, held: &Blank, size: u64) {
        let last = size.saturating_sub(u64::try_from(PIECE).unwrap_or(0));
        let at = self.place(last, PIECE);
        if self.written.len() == SAMPLES_MAX {
            return;
        }
        self.written.push(at);
        match held.write_and_read(at, self.memory.first(PIECE)) {
            Ok(()) => self.load.written.0 += u64::try_from(PIECE).unwrap_or(0),
            Err(why) => self.load.errors.push(why),
        }
    }

    /// Leaves the disk as blank as it was.
    fn blank(&mut self, held: &Blank) {
        for at in core::mem::take(&mut self.written) {
            if let Err(why) = held.blank(at, self.memory.first(PIECE)) {
                self.load.errors.push(why);
            }
        }
        self.load.errors.extend(held.flush().err());
    }

    fn done(mut self) -> DiskLoad {
        self.rates.sort_unstable();
        self.waits.sort_unstable();
        self.load.sequential_kib_s = percentile(&self.rates, 50);
        self.load.wait_median_us = percentile(&self.waits, 50);
        self.load.wait_p99_us = percentile(&self.waits, 99);
        self.load
    }
}

/// The value below which `percent` of the sorted values lie; 0 of none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_its_figures_stand() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(64 << 20).unwrap();
        let shared = Shared::default();
        let blank = DiskLoad {
            device: "f".into(),
            size: groundstate_api::Bytes::mib(64),
            ..DiskLoad::default()
        };
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| load(file.path(), blank.clone(), None, &shared));
            while shared.read.load(Ordering::Relaxed) == 0 && !reading.is_finished() {
                std::thread::yield_now();
            }
            shared.stop.store(true, Ordering::Relaxed);
            let load = reading.join().unwrap();
            assert_eq!((load.not_loaded, load.errors), (None, Vec::new()));
            assert!(load.read.0 >= 16 << 20);
            assert!(load.sequential_kib_s > 0);
        });
    }

    fn disk(size: u64) -> Disk {
        let json = include_str!("../../tests/golden/qemu-q35.json");
        let seen: groundstate_api::inventory::Inventory = serde_json::from_str(json).unwrap();
        let mut disk = seen.disks[0].clone();
        disk.size = groundstate_api::Bytes(size);
        disk
    }

    #[test]
    fn a_blank_disk_is_written_read_back_and_blank_again() {
        let size = 64 << 20;
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(size).unwrap();
        let shared = Shared::default();
        let blank = DiskLoad {
            size: groundstate_api::Bytes(size),
            ..DiskLoad::default()
        };
        let given_up = disk(size);
        std::thread::scope(|scope| {
            let loading =
                scope.spawn(|| load(file.path(), blank.clone(), Some(&given_up), &shared));
            while shared.read.load(Ordering::Relaxed) == 0 && !loading.is_finished() {
                std::thread::yield_now();
            }
            shared.stop.store(true, Ordering::Relaxed);
            let load = loading.join().unwrap();
            assert_eq!((load.not_loaded, load.errors), (None, Vec::new()));
            assert!(load.written.0 >= 1 << 20);
        });
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(
            bytes.iter().all(|byte| *byte == 0),
            "something was left on the disk"
        );
    }

    #[test]
    fn a_disk_that_holds_anything_is_not_written_to() {
        let size: u64 = 64 << 20;
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(size).unwrap();
        file.as_file()
            .write_all_at(b"somebody's data", 700)
            .unwrap();
        let before = std::fs::read(file.path()).unwrap();
        let blank = DiskLoad {
            size: groundstate_api::Bytes(size),
            ..DiskLoad::default()
        };
        let load = load(file.path(), blank, Some(&disk(size)), &Shared::default());
        let why = load.not_loaded.unwrap();
        assert!(why.contains("only a blank disk is written to"), "{why}");
        assert_eq!(std::fs::read(file.path()).unwrap(), before);
    }

    #[test]
    fn a_disk_that_is_shorter_than_it_says_shows_errors_and_ends_by_itself() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let blank = DiskLoad {
            size: groundstate_api::Bytes::gib(4),
            ..DiskLoad::default()
        };
        let load = load(file.path(), blank, None, &Shared::default());
        assert!(load.errors.len() >= ERRORS_MAX, "{:?}", load.errors);
    }
}
