// SPDX-License-Identifier: Apache-2.0
//! Files that are not as they should be: each cause has its refusal, and no bytes cost more than their share.

use std::cell::Cell;

use expect_test::{Expect, expect};

use super::{new_disk, write_out};
use crate::guid::Guid;
use crate::random_access::ReadAt;
use crate::vhdx::crc32c::Crc32c;
use crate::vhdx::header::Header;
use crate::vhdx::{CopyFault, Failure, Fault, Layout, LogState, NewKind, Vhdx, VhdxError};

const LOG: u64 = 1 << 20;
const METADATA: u64 = 2 << 20;
const ITEMS: u64 = METADATA + (64 << 10);
const TABLE: u64 = 3 << 20;
const PAYLOAD: u64 = 4 << 20;
const KIB: u64 = 1 << 10;

/// A file with some bytes replaced, which counts what is read of it.
#[derive(Clone, Debug)]
pub(super) struct Patched<'a> {
    pub(super) base: &'a [u8],
    pub(super) patches: Vec<(u64, Vec<u8>)>,
    pub(super) len: u64,
    pub(super) read: &'a Cell<u64>,
    pub(super) largest: &'a Cell<usize>,
}

impl Patched<'_> {
    pub(super) fn patch(&mut self, at: u64, bytes: &[u8]) {
        self.patches.push((at, bytes.to_vec()));
    }

    /// Makes the checksum of a header or a region table right again.
    fn seal(&mut self, at: u64, len: usize) {
        let mut bytes = vec![0; len];
        self.read_at(at, &mut bytes).unwrap();
        self.patch(at + 4, &Crc32c::without_field(&bytes, 4).to_le_bytes());
    }

    /// Makes every checksum right that a patch has made wrong.
    pub(super) fn seal_all(&mut self) {
        for (at, len) in [(64, 4096), (128, 4096), (192, 65_536), (256, 65_536)] {
            let (begin, end) = (at * KIB, at * KIB + len);
            let touched =
                |(at, bytes): &(u64, Vec<u8>)| *at < end && *at + bytes.len() as u64 > begin;
            if self.patches.iter().any(touched) {
                self.seal(begin, usize::try_from(len).unwrap());
            }
        }
    }
}

impl ReadAt for Patched<'_> {
    type Error = String;
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), String> {
        let end = at + into.len() as u64;
        assert!(end <= self.len, "{at} to {end} of {}", self.len);
        self.read.set(self.read.get() + into.len() as u64);
        self.largest.set(self.largest.get().max(into.len()));
        into.fill(0);
        let start = usize::try_from(at).unwrap();
        let there = self.base.get(start..).unwrap_or_default();
        let there = &there[..there.len().min(into.len())];
        into[..there.len()].copy_from_slice(there);
        for (place, bytes) in &self.patches {
            for (place, byte) in (*place..).zip(bytes) {
                if (at..end).contains(&place) {
                    into[usize::try_from(place - at).unwrap()] = *byte;
                }
            }
        }
        Ok(())
    }
}

/// Eight blocks of 1 MiB, all in the file.
fn whole() -> Vec<u8> {
    let layout = Layout::new(&new_disk(8 << 20, Some(1 << 20), NewKind::DynamicFull)).unwrap();
    let mut file = Vec::new();
    write_out(&layout, &mut file);
    file
}

/// Bytes to write at offsets, then every checksum is made right.
type Patches<'a> = &'a [(u64, &'a [u8])];

fn opened(patches: Patches<'_>) -> Result<Vhdx<Patched<'static>>, VhdxError> {
    static BASE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(whole);
    let base = BASE.as_slice();
    let counters: &'static (Cell<u64>, Cell<usize>) = Box::leak(Box::default());
    let len = base.len() as u64;
    let mut file = Patched {
        base,
        patches: vec![],
        len,
        read: &counters.0,
        largest: &counters.1,
    };
    for (at, bytes) in patches {
        file.patch(*at, bytes);
    }
    file.seal_all();
    Vhdx::open(file).map_err(|why| match why {
        Failure::Refused(why) => why,
        other @ (Failure::Read { .. } | Failure::Write { .. } | Failure::Flush { .. }) => {
            panic!("{other}")
        }
    })
}

/// Both region tables.
fn regions(at: u64, bytes: &[u8]) -> Vec<(u64, &[u8])> {
    vec![(192 * KIB + at, bytes), (256 * KIB + at, bytes)]
}

/// The reasons for which the files with these bytes changed are refused, or `read`, a line for each.
fn check(changes: &[(u64, Vec<u8>)], both_tables: bool, expected: Expect) {
    let mut text = String::new();
    for (at, bytes) in changes {
        let patches = if both_tables {
            regions(*at, bytes)
        } else {
            vec![(*at, &bytes[..])]
        };
        let line = opened(&patches).map_or_else(|why| why.to_string(), |_| "read".into());
        text += &format!("{line}\n");
    }
    expected.assert_eq(&text);
}

fn id(text: &str) -> Vec<u8> {
    Guid::parse(text).unwrap().to_gpt().to_vec()
}

fn word(word: u32) -> Vec<u8> {
    word.to_le_bytes().to_vec()
}

fn long(long: u64) -> Vec<u8> {
    long.to_le_bytes().to_vec()
}

const UNKNOWN: &str = "eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee";

#[test]
fn region_tables_that_cannot_be_are_refused() {
    let changes = [
        (8, word(2048)),
        (8, word(1)),
        (8, word(0)),
        (16, id(UNKNOWN)),
        (16, id("8b7ca206-4790-4b9a-b8fe-575f050f886e")),
        (32, long(TABLE + 4096)),
        (32, long(0)),
        (32, long(12 << 20)),
        (32, long(!0xf_ffff)),
        (32, long(METADATA)),
        (32, long(LOG)),
        (40, word(0)),
        (40, word(4096)),
        (40, word(0xfff0_0000)),
    ];
    check(
        &changes,
        true,
        expect![[r#"
        2048 regions are more than 2,047
        there is no metadata region
        there is no block table region
        region eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee must be understood and is not known
        region 8b7ca206-4790-4b9a-b8fe-575f050f886e is listed twice
        region 2dc27766-f623-4200-9d64-115e9bfd4a08 of 1048576 bytes at 3149824 is not within the file in steps of 1 MiB, after the headers
        region 2dc27766-f623-4200-9d64-115e9bfd4a08 of 1048576 bytes at 0 is not within the file in steps of 1 MiB, after the headers
        region 2dc27766-f623-4200-9d64-115e9bfd4a08 of 1048576 bytes at 12582912 is not within the file in steps of 1 MiB, after the headers
        region 2dc27766-f623-4200-9d64-115e9bfd4a08 of 1048576 bytes at 18446744073708503040 is not within the file in steps of 1 MiB, after the headers
        two regions, or a region and the log, overlap at 2097152
        two regions, or a region and the log, overlap at 1048576
        region 2dc27766-f623-4200-9d64-115e9bfd4a08 of 0 bytes at 3145728 is not within the file in steps of 1 MiB, after the headers
        region 2dc27766-f623-4200-9d64-115e9bfd4a08 of 4096 bytes at 3145728 is not within the file in steps of 1 MiB, after the headers
        region 2dc27766-f623-4200-9d64-115e9bfd4a08 of 4293918720 bytes at 3145728 is not within the file in steps of 1 MiB, after the headers
    "#]],
    );
}

/// A region that need not be understood is let be, and no block may lie upon it.
#[test]
fn an_unknown_region_is_refused_only_where_it_must_be_understood() {
    let id = Guid([0xee; 16]);
    let (block, at) = (7, 11u64 << 20);
    let mib = (1u32 << 20).to_le_bytes();
    for required in [1, 0] {
        let flags = [required, 0, 0, 0];
        let third = [&id.to_gpt()[..], &at.to_le_bytes(), &mib, &flags].concat();
        let count = word(3);
        let patches = [regions(8, &count), regions(80, &third)].concat();
        let faults = opened(&patches).map(|mut disk| disk.check().unwrap());
        let expected = match required {
            1 => Err(VhdxError::RegionUnknown { id }),
            _ => Ok(vec![Fault::BlockPlace { block, at }]),
        };
        assert_eq!(faults, expected);
    }
}

#[test]
fn metadata_tables_that_cannot_be_are_refused() {
    let first = METADATA + 32;
    let changes = [
        (METADATA, vec![0]),
        (METADATA + 10, vec![0, 8]),
        (METADATA + 10, vec![1, 0]),
        (METADATA + 10, vec![4, 0]),
        (first, id(UNKNOWN)),
        (first, id("2fa54224-cd1b-4876-b211-5dbed83bf4b8")),
        (first + 16, word(65_535)),
        (first + 16, word(u32::MAX)),
        (first + 16, word((1 << 20) - 4)),
        (first + 16, word(65_536 + 12)),
        (first + 20, word(1)),
        (first + 20, word(u32::MAX)),
        // A user's item is not ours, whatever its id; it must be understood, or not.
        (first + 24, word(5)),
        (first + 24, word(1)),
    ];
    check(
        &changes,
        false,
        expect![[r#"
        no `metadata` at the start of the metadata region
        2048 metadata items are more than 2,047
        there is no disk size among the metadata
        there is no physical sector size among the metadata
        metadata item eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee must be understood and is not known
        metadata item 2fa54224-cd1b-4876-b211-5dbed83bf4b8 is listed twice
        metadata item caa16737-fa36-4d43-b3b6-33f0aa44e76b of 8 bytes at 65535 is not within the metadata region, after its table
        metadata item caa16737-fa36-4d43-b3b6-33f0aa44e76b of 8 bytes at 4294967295 is not within the metadata region, after its table
        metadata item caa16737-fa36-4d43-b3b6-33f0aa44e76b of 8 bytes at 1048572 is not within the metadata region, after its table
        two metadata items overlap at 65548 in the metadata region
        the block size has 1 bytes instead of 8
        metadata item caa16737-fa36-4d43-b3b6-33f0aa44e76b of 4294967295 bytes at 65536 is not within the metadata region, after its table
        metadata item caa16737-fa36-4d43-b3b6-33f0aa44e76b must be understood and is not known
        there is no block size among the metadata
    "#]],
    );
}

#[test]
fn values_that_cannot_be_are_refused() {
    let changes = [
        (ITEMS, word(1 << 19)),
        (ITEMS, word(3 << 20)),
        (ITEMS, word(1 << 29)),
        (ITEMS, word(0)),
        (ITEMS + 4, word(2)),
        (ITEMS + 8, long(0)),
        (ITEMS + 8, long(511)),
        (ITEMS + 8, long((64 << 40) + 512)),
        (ITEMS + 8, long(64 << 40)),
        (ITEMS + 32, word(520)),
        (ITEMS + 36, word(0)),
        // Another disk id, another size that the table is long enough for.
        (ITEMS + 16, word(9)),
        (ITEMS + 8, long(100 << 30)),
    ];
    check(
        &changes,
        false,
        expect![[r#"
            a block of 524288 bytes is not a power of two from 1 MiB to 256 MiB
            a block of 3145728 bytes is not a power of two from 1 MiB to 256 MiB
            a block of 536870912 bytes is not a power of two from 1 MiB to 256 MiB
            a block of 0 bytes is not a power of two from 1 MiB to 256 MiB
            there is no parent locator among the metadata
            a disk of 0 bytes is not a multiple of its sectors of 512 bytes, from one sector to 64 TiB
            a disk of 511 bytes is not a multiple of its sectors of 512 bytes, from one sector to 64 TiB
            a disk of 70368744178176 bytes is not a multiple of its sectors of 512 bytes, from one sector to 64 TiB
            a block table of 1048576 bytes is too short for 67125247 entries
            a sector of 520 bytes is neither 512 nor 4096
            a sector of 0 bytes is neither 512 nor 4096
            read
            read
        "#]],
    );
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let header = |change: fn(&mut Header)| {
        let mut header = Header::new(Guid([1; 16]), Guid([2; 16]), 9);
        change(&mut header);
        opened(&[(64 * KIB, &header.encode())]).map(|disk| disk.facts().log)
    };
    let log = |at, len| Err(VhdxError::LogPlace { at, len });
    assert_eq!(header(|_| {}), Ok(LogState::Empty));
    assert_eq!(
        header(|h| h.version = 2),
        Err(VhdxError::Version { version: 2 })
    );
    assert_eq!(
        header(|h| (h.log, h.log_version) = (Guid([1; 16]), 1)),
        Err(VhdxError::LogVersion { version: 1 })
    );
    assert_eq!(header(|h| h.log_at = 0), log(0, 1 << 20));
    assert_eq!(header(|h| h.log_at = 4096), log(4096, 1 << 20));
    assert_eq!(header(|h| h.log_at = !0xf_ffff), log(!0xf_ffff, 1 << 20));
    assert_eq!(header(|h| h.log_len = 4096), log(1 << 20, 4096));
    assert_eq!(
        header(|h| h.log_len = 0xfff0_0000),
        log(1 << 20, 0xfff0_0000)
    );
    assert_eq!(
        header(|h| h.log_len = 2 << 20),
        Err(VhdxError::RegionsOverlap { at: METADATA })
    );
    let id = Guid([1; 16]);
    assert_eq!(
        header(|h| h.log = Guid([1; 16])),
        Err(VhdxError::LogBroken { id })
    );
}

/// One copy of each pair may be lost; the check says which.
#[test]
fn the_other_copy_serves() {
    let copy = |bytes: Vec<u8>| Vhdx::open(bytes).map(|mut disk| disk.check().unwrap());
    for (at, fault) in [
        (64, "header 1 of 2 "),
        (128, "header 2 of 2 "),
        (192, "region table 1 of 2 "),
        (256, "region table 2 of 2 "),
    ] {
        let at = at * 1024;
        let mut file = whole();
        file[at + 20] ^= 1;
        let faults = copy(file).unwrap();
        let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(text.len() == 1 && text[0].starts_with(fault), "{text:?}");
        assert!(faults.iter().all(Fault::is_harmless));
    }
    let first = CopyFault::Signature;
    let mut file = whole();
    file[64 * 1024] = 0;
    file[128 * 1024] = 0;
    let refused = Err(Failure::Refused(VhdxError::NoHeader {
        first,
        second: first,
    }));
    assert_eq!(copy(file), refused);
    let mut file = whole();
    file[192 * 1024] = 0;
    file[256 * 1024] = 0;
    let refused = Err(Failure::Refused(VhdxError::NoRegionTable {
        first,
        second: first,
    }));
    assert_eq!(copy(file), refused);
}

#[test]
fn what_is_too_short_or_something_else_is_named() {
    let file = whole();
    let refused = |bytes: &[u8]| Vhdx::open(bytes.to_vec()).map(|_| ()).unwrap_err();
    assert_eq!(refused(&[]), Failure::Refused(VhdxError::NotVhdx));
    assert_eq!(refused(&file[1..]), Failure::Refused(VhdxError::NotVhdx));
    for len in [8, 600, 70_000, (1 << 20) - 1] {
        let short = VhdxError::TooShort { len: len as u64 };
        assert_eq!(refused(&file[..len]), Failure::Refused(short));
    }
    assert!(matches!(
        refused(&file[..3 << 20]),
        Failure::Refused(VhdxError::RegionPlace { .. })
    ));
    // The last block is cut off: everything before it is read.
    let mut disk = Vhdx::open(file[..(11 << 20) + 512].to_vec()).unwrap();
    let (block, at) = (7, 11 << 20);
    assert_eq!(disk.check().unwrap(), [Fault::BlockPlace { block, at }]);
    assert_eq!(disk.read_at(0, &mut vec![0; 7 << 20]), Ok(()));
    let cut = disk.read_at((7 << 20) - 1, &mut [0; 2]);
    assert_eq!(
        cut,
        Err(Failure::Refused(VhdxError::BlockPlace { block, at }))
    );
    let (at, len, size) = (8 << 20, 1, 8 << 20);
    let beyond = disk.read_at(at, &mut [0]);
    assert_eq!(
        beyond,
        Err(Failure::Refused(VhdxError::BeyondDisk { at, len, size }))
    );
    let pieces: Vec<_> = disk
        .map()
        .map(|piece| piece.map(|piece| piece.len))
        .collect();
    let cut = Err(Failure::Refused(VhdxError::BlockPlace {
        block,
        at: 11 << 20,
    }));
    assert_eq!(pieces, [Ok(7 << 20), cut]);
}

#[test]
fn entries_that_cannot_be_are_named() {
    let block = 2;
    let entry = |value: u64| (TABLE + block * 8, value.to_le_bytes());
    for (value, fault) in [
        (4, Fault::BlockState { block, state: 4 }),
        (LOG | 6, Fault::BlockPlace { block, at: LOG }),
        (6, Fault::BlockPlace { block, at: 0 }),
        (TABLE | 6, Fault::BlockPlace { block, at: TABLE }),
        (
            !0xf_ffff | 6,
            Fault::BlockPlace {
                block,
                at: !0xf_ffff,
            },
        ),
        (
            (12 << 20) | 6,
            Fault::BlockPlace {
                block,
                at: 12 << 20,
            },
        ),
        (PAYLOAD | 6, Fault::BlockOverlap { block, at: PAYLOAD }),
        (PAYLOAD | 7, Fault::PartialWithoutParent { block }),
        (
            2 | 0x10,
            Fault::ReservedBits {
                entry: block,
                bits: 0x10,
            },
        ),
    ] {
        let (at, bytes) = entry(value);
        let mut disk = opened(&[(at, &bytes)]).unwrap();
        assert_eq!(disk.check().unwrap(), std::slice::from_ref(&fault));
        let read = disk.read_at(block << 20, &mut [0; 512]);
        let readable = fault.is_harmless() || matches!(fault, Fault::BlockOverlap { .. });
        assert_eq!(read.is_ok(), readable, "{fault}");
    }
    // A list has an end.
    let layout = Layout::new(&new_disk(8 << 30, Some(1 << 20), NewKind::Dynamic)).unwrap();
    let mut file = Vec::new();
    write_out(&layout, &mut file);
    file[usize::try_from(TABLE).unwrap()..][..16_384].fill(4);
    let faults = Vhdx::open(file).unwrap().check().unwrap();
    assert_eq!((faults.len(), faults.last()), (1001, Some(&Fault::More)));
}
