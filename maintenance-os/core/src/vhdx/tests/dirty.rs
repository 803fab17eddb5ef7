// SPDX-License-Identifier: Apache-2.0
//! Logs that were left behind: by a QEMU that was killed, and made here with every shape that a log can have.

use std::path::Path;

use proptest::prelude::*;

use super::peers::{content, qemu_create, qemu_io, run};
use super::{Disk, new_disk, noise, write_out};
use crate::guid::Guid;
use crate::random_access::{ReadAt as _, WriteAt as _};
use crate::vhdx::crc32c::Crc32c;
use crate::vhdx::field::{guid_at, u64_at};
use crate::vhdx::header::{HEADER_LEN, HEADERS_AT, Header};
use crate::vhdx::overlay::SECTOR;
use crate::vhdx::table::Entry;
use crate::vhdx::{Failure, Fault, Layout, LogState, NewKind, Vhdx, VhdxError};

const ID: Guid = Guid([0x77; 16]);
const LOG_AT: usize = 1 << 20;
const LOG_SECTORS: usize = 256;
const TABLE_AT: u64 = 3 << 20;

/// What an entry of a log writes.
#[derive(Clone, Debug)]
enum Change {
    Data(u64, Vec<u8>),
    Zero(u64, u64),
}

/// An entry to be written.
#[derive(Clone, Debug)]
struct Entered {
    sequence: u64,
    /// Sectors from the log's start.
    at: usize,
    tail: usize,
    flushed: u64,
    last: u64,
    changes: Vec<Change>,
}

impl Entered {
    fn encode(&self) -> Vec<u8> {
        let descriptors: usize = (64 + 32 * self.changes.len()).div_ceil(SECTOR);
        let mut out = vec![0; descriptors * SECTOR];
        let number = self.sequence.to_le_bytes();
        for (index, change) in self.changes.iter().enumerate() {
            let at = 64 + 32 * index;
            match change {
                Change::Data(to, bytes) => {
                    out[at..at + 4].copy_from_slice(b"desc");
                    out[at + 4..at + 8].copy_from_slice(&bytes[SECTOR - 4..]);
                    out[at + 8..at + 16].copy_from_slice(&bytes[..8]);
                    out[at + 16..at + 24].copy_from_slice(&to.to_le_bytes());
                    let mut sector = bytes.clone();
                    sector[..4].copy_from_slice(b"data");
                    sector[4..8].copy_from_slice(&number[4..]);
                    sector[SECTOR - 4..].copy_from_slice(&number[..4]);
                    out.extend(sector);
                }
                Change::Zero(to, len) => {
                    out[at..at + 4].copy_from_slice(b"zero");
                    out[at + 8..at + 16].copy_from_slice(&len.to_le_bytes());
                    out[at + 16..at + 24].copy_from_slice(&to.to_le_bytes());
                }
            }
            out[at + 24..at + 32].copy_from_slice(&number);
        }
        let len = u32::try_from(out.len()).unwrap();
        let tail = u32::try_from(self.tail * SECTOR).unwrap();
        let count = u32::try_from(self.changes.len()).unwrap();
        out[..4].copy_from_slice(b"loge");
        out[8..12].copy_from_slice(&len.to_le_bytes());
        out[12..16].copy_from_slice(&tail.to_le_bytes());
        out[16..24].copy_from_slice(&number);
        out[24..28].copy_from_slice(&count.to_le_bytes());
        out[32..48].copy_from_slice(&ID.to_gpt());
        out[48..56].copy_from_slice(&self.flushed.to_le_bytes());
        out[56..64].copy_from_slice(&self.last.to_le_bytes());
        let sum = Crc32c::without_field(&out, 4);
        out[4..8].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Writes it into the log, around its end.
    fn write(&self, file: &mut [u8]) {
        for (index, sector) in self.encode().chunks(SECTOR).enumerate() {
            let at = LOG_AT + (self.at + index) % LOG_SECTORS * SECTOR;
            file[at..at + SECTOR].copy_from_slice(sector);
        }
    }
}

/// A dynamic disk of 64 MiB whose log is to be replayed. Two blocks of noise lie after the table, in no entry of it.
fn logged(entries: &[Entered]) -> Vec<u8> {
    let layout = Layout::new(&new_disk(64 << 20, Some(1 << 20), NewKind::Dynamic)).unwrap();
    let mut file = Vec::new();
    write_out(&layout, &mut file);
    file.extend(noise(5, 2 << 20));
    let [first, _] = HEADERS_AT;
    let header = Header {
        log: ID,
        ..Header::new(Guid([1; 16]), Guid([2; 16]), 9)
    };
    file.write_at(first, &header.encode()).unwrap();
    for entry in entries {
        entry.write(&mut file);
    }
    file
}

/// The first sector of the table, with the first blocks at these MiB of the file.
fn table(places: &[u64]) -> Vec<u8> {
    let entries = places.iter().map(|mib| {
        if *mib == 0 {
            0
        } else {
            Entry::full(mib << 20).0
        }
    });
    let mut out: Vec<u8> = entries.flat_map(u64::to_le_bytes).collect();
    out.resize(SECTOR, 0);
    out
}

fn entered(sequence: u64, at: usize, tail: usize, changes: Vec<Change>) -> Entered {
    Entered {
        sequence,
        at,
        tail,
        flushed: 6 << 20,
        last: 6 << 20,
        changes,
    }
}

/// What QEMU reads after it has replayed the log into a copy of the file.
fn qemu_replays(file: &Path) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (copy, raw) = (dir.path().join("copy.vhdx"), dir.path().join("raw"));
    std::fs::copy(file, &copy).unwrap();
    run(
        "qemu-img",
        &["check", "-q", "-r", "all", "-f", "vhdx"],
        &copy,
    );
    run(
        "qemu-img",
        &["convert", "-f", "vhdx", "-O", "raw", copy.to_str().unwrap()],
        &raw,
    );
    std::fs::read(raw).unwrap()
}

/// QEMU's own log, as it is just before the header calls it empty: the header names the log's last entry again, and
/// the block table is put back to what it was, as if its write had been lost. Only the log knows where the blocks are.
#[test]
fn a_log_that_qemu_wrote_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("killed.vhdx");
    qemu_create(&path, "subformat=dynamic,block_size=1M", "64M");
    qemu_io(&path, &["write -P 3 5M 3M", "write -P 4 20M 64k"]);
    let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
    let whole = content(&mut disk);
    let table = disk.regions.table.start;
    assert_eq!((whole[5 << 20], whole[20 << 20]), (3, 4));

    let mut file = Disk::open(&path);
    let mut log = vec![0; LOG_SECTORS * SECTOR];
    file.read_at(LOG_AT as u64, &mut log).unwrap();
    let entries = log
        .chunks(SECTOR)
        .filter(|sector| sector.starts_with(b"loge"));
    let last = entries.max_by_key(|sector| u64_at(sector, 16)).unwrap();
    let headers = HEADERS_AT.map(|at| Header::decode(&disk.file.array(at).unwrap()));
    let header = Header::current(headers[0], headers[1]).unwrap();
    let header = Header {
        log: guid_at(last, 32),
        sequence: header.sequence + 1,
        ..header
    };
    file.write_at(HEADERS_AT[0], &header.encode()).unwrap();
    file.write_at(table, &[0; SECTOR]).unwrap();
    assert!(qemu_replays(&path) == whole);

    let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
    assert!(matches!(disk.facts().log, LogState::Replayed { .. }));
    assert!(content(&mut disk) == whole);
    let faults = disk.check().unwrap();
    assert!(
        matches!(faults[..], [Fault::LogNotEmpty { .. }]),
        "{faults:?}"
    );
}

/// Several entries, one after the other, around the log's end, and after those of an older sequence.
#[test]
fn logs_of_every_shape_are_replayed_as_qemu_does() {
    let dir = tempfile::tempdir().unwrap();
    let set = |places: &[u64]| Change::Data(TABLE_AT, table(places));
    let many: Vec<Change> = (1..=130u64)
        .map(|n| Change::Zero(TABLE_AT + n % 8 * 4096, 4096))
        .collect();
    let one = vec![entered(1, 0, 0, vec![set(&[4, 5])])];
    let ordered = vec![
        entered(5, 3, 3, vec![set(&[4])]),
        entered(
            6,
            5,
            3,
            vec![
                Change::Zero(TABLE_AT, 8192),
                set(&[0, 4]),
                Change::Zero(5 << 20, 8192),
            ],
        ),
        entered(7, 7, 3, vec![set(&[0, 4, 5])]),
    ];
    let around = vec![
        entered(5, 253, 253, vec![set(&[4])]),
        entered(
            6,
            255,
            253,
            vec![Change::Zero(TABLE_AT, 4096), set(&[5, 4])],
        ),
        entered(7, 1, 253, many),
        entered(8, 3, 253, vec![set(&[0, 5, 4])]),
    ];
    const AROUND: usize = 2;
    let stale = vec![
        entered(1, 0, 0, vec![set(&[4, 4])]),
        entered(2, 2, 0, vec![set(&[4, 4, 4])]),
        entered(40, 20, 20, vec![set(&[5])]),
        entered(41, 22, 20, vec![]),
    ];
    for (number, (entries, blocks)) in [(one, 1), (ordered, 3), (around, 4), (stale, 2)]
        .into_iter()
        .enumerate()
    {
        let path = dir.path().join(format!("{number}.vhdx"));
        std::fs::write(&path, logged(&entries)).unwrap();
        let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
        assert_eq!(
            disk.facts().log,
            LogState::Replayed { entries: blocks },
            "log {number}"
        );
        let bytes = content(&mut disk);
        // QEMU 10 begins at the first entry that it finds, not at the tail: it cannot be asked about this one.
        if number == AROUND {
            let data = noise(5, 2 << 20);
            let all = [&vec![0; 1 << 20], &data[1 << 20..], &data[..1 << 20]].concat();
            assert!(bytes[..3 << 20] == all && bytes[3 << 20..].iter().all(|byte| *byte == 0));
        } else {
            assert!(bytes == qemu_replays(&path), "log {number}");
        }
    }
}

/// The newest entry counts only when all of it is there.
#[test]
fn a_torn_entry_is_no_entry() {
    let set = |places: &[u64]| Change::Data(TABLE_AT, table(places));
    let entries = [
        entered(5, 0, 0, vec![set(&[4])]),
        entered(6, 2, 0, vec![set(&[4, 5])]),
    ];
    let mut disk = Vhdx::open(logged(&entries)).unwrap();
    assert_eq!(
        (disk.map().count(), disk.facts().log),
        (2, LogState::Replayed { entries: 2 })
    );
    for byte in [
        2 * SECTOR + 5,
        2 * SECTOR + 70,
        3 * SECTOR,
        3 * SECTOR + 2000,
        4 * SECTOR - 1,
    ] {
        let mut file = logged(&entries);
        file[LOG_AT + byte] ^= 1;
        let disk = Vhdx::open(file).unwrap();
        assert_eq!(
            disk.facts().log,
            LogState::Replayed { entries: 1 },
            "byte {byte}"
        );
    }
    let mut file = logged(&entries);
    file[LOG_AT + 100] ^= 1;
    let (id, broken) = (ID, Vhdx::open(file).unwrap_err());
    assert_eq!(broken, Failure::Refused(VhdxError::LogBroken { id }));
}

#[test]
fn logs_that_no_writer_makes_are_refused() {
    let at = |at, len| vec![entered(1, 0, 0, vec![Change::Zero(at, len)])];
    let grown = |flushed, last| {
        vec![Entered {
            flushed,
            last,
            ..entered(1, 0, 0, vec![])
        }]
    };
    let target = |at, len| VhdxError::LogTarget { at, len };
    let len = (1 << 47) + 4096;
    for (entries, error) in [
        (at(0, 4096), target(0, 4096)),
        (at(64 << 10, 4096), target(64 << 10, 4096)),
        (at(1 << 20, 4096), target(1 << 20, 4096)),
        (at(512 << 10, 1 << 20), target(512 << 10, 1 << 20)),
        (at(6 << 20, 4096), target(6 << 20, 4096)),
        (at(4 << 20, !4095), target(4 << 20, !4095)),
        (
            grown(7 << 20, 7 << 20),
            VhdxError::LogTruncated {
                flushed: 7 << 20,
                len: 6 << 20,
            },
        ),
        (grown(0, len), VhdxError::TooLong { len }),
    ] {
        let refused = Vhdx::open(logged(&entries)).unwrap_err();
        assert_eq!(refused, Failure::Refused(error));
    }
    // The file was longer when the log was written: what is missing is zero.
    let mut disk = Vhdx::open(logged(&grown(0, 9 << 20))).unwrap();
    assert_eq!(disk.facts().file_len, 9 << 20);
    assert_eq!(disk.file.bytes(8 << 20, 100).unwrap(), [0; 100]);
    // A log that is longer than what is held in memory is refused only where it has to be replayed.
    let mut file = logged(&[]);
    file.resize(80 << 20, 0);
    for (log, open) in [(ID, false), (Guid([0; 16]), true)] {
        let place = (65 << 20, 7 << 20);
        let header = Header::new(Guid([1; 16]), Guid([2; 16]), 10);
        let header = Header {
            log,
            log_len: place.0,
            log_at: place.1,
            ..header
        };
        file.write_at(HEADERS_AT[0], &header.encode()).unwrap();
        assert_eq!(Vhdx::open(file.clone()).is_ok(), open);
    }
}

/// One descriptor more than are replayed: 2 MiB of them, in a log of 3 MiB at 6 MiB.
#[test]
fn a_log_of_too_many_descriptors_is_refused() {
    for (count, open) in [(65_536, true), (65_537, false)] {
        let mut file = logged(&[]);
        let log_at = file.len() as u64;
        file.resize(file.len() + (3 << 20), 0);
        let changes = vec![Change::Zero(TABLE_AT, 4096); count];
        let entry = Entered {
            last: 0,
            ..entered(1, 0, 0, changes)
        };
        file.write_at(log_at, &entry.encode()).unwrap();
        let header = Header::new(Guid([1; 16]), Guid([2; 16]), 10);
        let header = Header {
            log: ID,
            log_len: 3 << 20,
            log_at,
            ..header
        };
        file.write_at(HEADERS_AT[0], &header.encode()).unwrap();
        match Vhdx::open(file) {
            Ok(_) => assert!(open),
            Err(why) => assert_eq!(
                (why, open),
                (Failure::Refused(VhdxError::LogDescriptors), false)
            ),
        }
    }
}

/// Entries that claim each other's sectors: the work stays in proportion to the log.
#[test]
fn a_tangled_log_costs_no_time() {
    let mut file = logged(&[]);
    for sector in 0..LOG_SECTORS {
        let entry = entered(1, sector, 0, vec![]);
        let mut bytes = entry.encode();
        bytes[8..12].copy_from_slice(&u32::try_from(LOG_SECTORS * SECTOR).unwrap().to_le_bytes());
        let at = LOG_AT + sector * SECTOR;
        file[at..at + SECTOR].copy_from_slice(&bytes);
    }
    let refused = Vhdx::open(file).unwrap_err();
    assert_eq!(refused, Failure::Refused(VhdxError::LogTangled));
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let data = (0u64..32, any::<u64>()).prop_map(|(sector, seed)| {
        Change::Data(TABLE_AT + (1 << 20) + sector * 4096, noise(seed, SECTOR))
    });
    let zero = (0u64..32, 0u64..9)
        .prop_map(|(sector, len)| Change::Zero(TABLE_AT + (1 << 20) + sector * 4096, len * 4096));
    proptest::collection::vec(prop_oneof![data, zero], 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The same as applying every entry from the tail on, wherever in the log the entries begin, and the last torn.
    #[test]
    fn replay_is_what_the_entries_say(
        all in proptest::collection::vec(changes(), 1..12),
        begin in 0usize..LOG_SECTORS, tail in 0usize..12, torn: bool, byte in 0usize..64,
    ) {
        let (mut at, mut places, mut entries) = (begin, Vec::new(), Vec::new());
        for (sequence, changes) in (100u64..).zip(&all) {
            places.push(at);
            // A writer moves its tail on when it has written everything before it.
            let tail = places[tail.min(places.len() - 1)];
            let entry = entered(sequence, at, tail, changes.clone());
            at = (at + entry.encode().len() / SECTOR) % LOG_SECTORS;
            entries.push(entry);
        }
        let mut file = logged(&entries);
        let mut model = logged(&[]);
        if torn {
            let at = LOG_AT + places[places.len() - 1] * SECTOR + byte;
            file[at] ^= 0x10;
            entries.pop();
        }
        let from = entries.last().map(|last| last.tail);
        let first = entries.iter().position(|entry| Some(entry.at) == from).unwrap_or(0);
        for change in entries[first..].iter().flat_map(|entry| &entry.changes) {
            match change {
                Change::Data(at, bytes) => model.write_at(*at, bytes).unwrap(),
                Change::Zero(at, len) => {
                    let at = usize::try_from(*at).unwrap();
                    model[at..at + usize::try_from(*len).unwrap()].fill(0);
                }
            }
        }
        match Vhdx::open(file) {
            Ok(mut disk) => {
                let read = disk.file.bytes(TABLE_AT, 3 << 20).unwrap();
                prop_assert!(read[..] == model[usize::try_from(TABLE_AT).unwrap()..]);
            }
            Err(why) => {
                prop_assert!(entries.is_empty());
                prop_assert_eq!(why, Failure::Refused(VhdxError::LogBroken { id: ID }));
            }
        }
    }
}

#[test]
fn a_header_is_as_long_as_its_checksum_reaches() {
    assert_eq!(Header::new(ID, ID, 1).encode().len(), HEADER_LEN);
    assert_eq!(logged(&[]).len(), 6 << 20);
}

/// Puts a log of two entries into a file of 4 MiB or more; the id that its header has to name.
pub(super) fn short_log(file: &mut [u8]) -> Guid {
    let last = file.len() as u64;
    let at = TABLE_AT + 8192;
    let entries = [
        entered(3, 0, 0, vec![Change::Zero(at, 4096)]),
        entered(4, 1, 0, vec![Change::Data(at, noise(1, SECTOR))]),
    ];
    for entry in entries {
        Entered {
            flushed: last,
            last,
            ..entry
        }
        .write(file);
    }
    ID
}
