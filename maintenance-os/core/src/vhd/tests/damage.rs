// SPDX-License-Identifier: Apache-2.0
//! Damaged and hostile files are refused by name or read; none makes the reader panic or take memory.

use super::*;
use crate::random_access::ReadAt as _;
use crate::vhd::big_endian::{checksum, put};

const SIZE: u64 = 6 << 20;

/// A dynamic VHD with its second block written.
fn sample() -> Vec<u8> {
    let mut vhd = Vhd::open(new(
        SIZE,
        ID,
        Shape::Dynamic {
            preallocated: false,
        },
    ))
    .unwrap();
    vhd.write_at(BLOCK_SIZE + 700, b"here").unwrap();
    vhd.write_at(2 * BLOCK_SIZE, b"and here").unwrap();
    vhd.flush().unwrap();
    vhd.into_source()
}

fn refused(file: Vec<u8>) -> Refusal {
    match Vhd::open(file) {
        Err(VhdError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Changes a field of the dynamic header and makes the sum right again.
fn header_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = sample();
    put(&mut file, 512 + at, bytes);
    let sum = checksum(&file[512..1_536], 36).to_be_bytes();
    put(&mut file, 512 + 36, &sum);
    file
}

fn entry_with(block: usize, sector: u32) -> Vec<u8> {
    let mut file = sample();
    put(&mut file, 4_096 + block * 4, &sector.to_be_bytes());
    file
}

#[test]
fn footers_that_are_torn_missing_or_elsewhere() {
    let file = sample();
    let end = file.len();
    assert_eq!(refused(vec![0; 511]), Refusal::TooShort(511));
    assert_eq!(refused(vec![0; 4_096]), Refusal::NoFooter);
    // Torn at the end: the copy serves, and check says so.
    let mut torn = file.clone();
    torn[end - 300..].fill(9);
    assert!(matches!(
        check(torn.clone()).unwrap()[..],
        [Fault::TrailingFooter { .. }]
    ));
    let mut bytes = [0; 4];
    Vhd::open(torn)
        .unwrap()
        .read_at(BLOCK_SIZE + 700, &mut bytes)
        .unwrap();
    assert_eq!(&bytes, b"here");
    // The copy torn: it is read, but not written.
    let mut torn = file.clone();
    torn[100..200].fill(9);
    assert!(matches!(
        check(torn.clone()).unwrap()[..],
        [Fault::FooterCopy { .. }]
    ));
    let mut vhd = Vhd::open(torn).unwrap();
    vhd.read_at(BLOCK_SIZE + 700, &mut bytes).unwrap();
    assert_eq!(&bytes, b"here");
    assert_eq!(vhd.write_at(0, &[1]).unwrap_err(), Refusal::NoCopy.into());
    // Both torn.
    let mut torn = file;
    torn[100] ^= 1;
    torn[end - 400] ^= 1;
    let broken = refused(torn);
    assert!(
        matches!(broken, Refusal::Footer(FooterError::Checksum { .. })),
        "{broken}"
    );
    // A fixed one, cut, appended to, and with a footer of 511 bytes.
    let fixed = new(SIZE, ID, Shape::Fixed);
    let mut longer = fixed.clone();
    longer.resize(fixed.len() + 1_024, 0);
    assert_eq!(refused(longer), Refusal::FooterInTheMiddle { at: SIZE });
    let mut cut = fixed.clone();
    cut.drain(..4_096);
    let (needs, has) = (SIZE, SIZE - 4_096);
    assert_eq!(refused(cut), Refusal::Truncated { needs, has });
    let mut short = fixed;
    short.pop();
    assert_eq!(refused(short), Refusal::ShortFooter);
    let mut surplus = vec![0; 512];
    surplus.extend(new(SIZE, ID, Shape::Fixed));
    assert_eq!(check(surplus).unwrap(), [Fault::Surplus { bytes: 512 }]);
}

#[test]
fn copies_that_name_different_disks() {
    let other = Footer::of_kind(Kind::Dynamic, Bytes(SIZE), [8; 16], 5).unwrap();
    let mut file = sample();
    put(&mut file, 0, &other.encode());
    let what = "the disk's id";
    assert_eq!(refused(file), Refusal::CopiesDiffer { what });
    // Programs would differ in what a fixed VHD is whose disk begins like a dynamic one.
    let mut file = new(SIZE, ID, Shape::Fixed);
    put(&mut file, 0, &other.encode());
    let what = "their kind";
    assert_eq!(refused(file), Refusal::CopiesDiffer { what });
    let mut file = sample();
    let later = Footer {
        timestamp: 6,
        ..Footer::decode(&file[..512]).unwrap()
    };
    put(&mut file, 0, &later.encode());
    assert!(matches!(
        check(file).unwrap()[..],
        [Fault::CopiesDiffer { .. }]
    ));
}

#[test]
fn headers_that_do_not_hold_together() {
    let mut file = sample();
    file[520] ^= 1;
    let broken = refused(file);
    assert!(
        matches!(broken, Refusal::Header(HeaderError::Checksum { .. })),
        "{broken}"
    );
    for (at, bytes, says) in [
        (0, b"cxsparsf".to_vec(), "no `cxsparse`"),
        (24, vec![0, 2, 0, 0], "version 00020000"),
        (32, vec![0, 3, 0, 0], "not a power of two"),
        (32, vec![0, 0, 0, 0], "not a power of two"),
        (28, vec![0, 0, 0, 2], "too small for a disk that needs 3"),
        (28, vec![0xff; 4], "lies outside the file"),
        (16, vec![0xff; 8], "lies outside the file"),
        (16, vec![0, 0, 0, 0, 0, 0, 2, 0], "lies outside the file of"),
    ] {
        let said = refused(header_with(at, &bytes)).to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn blocks_in_the_wrong_place() {
    let file = sample().len() as u64;
    let second = {
        let mut vhd = Vhd::open(sample()).unwrap();
        let Place::Data { at } = vhd.extent(BLOCK_SIZE).unwrap().place else {
            panic!("the second block is not there");
        };
        u32::try_from(at / 512 - 1).unwrap()
    };
    for (sector, code) in [
        (u32::MAX - 1, "block-outside"),
        (second + 9_000, "block-outside"),
        (second, "blocks-overlap"),
        (second + 100, "blocks-overlap"),
        (0, "block-over-structure"),
        (2, "block-over-structure"),
        (8, "block-over-structure"),
    ] {
        let damaged = entry_with(0, sector);
        let faults = check(damaged.clone()).unwrap();
        assert_eq!(faults[0].code(), code, "{sector}: {faults:?}");
        let said = refused(damaged);
        assert!(
            matches!(said, Refusal::Damaged(ref fault) if *fault == faults[0]),
            "{said}"
        );
    }
    let footer = u32::try_from(file / 512 - 3).unwrap();
    assert_eq!(
        check(entry_with(0, footer)).unwrap()[0].code(),
        "block-outside"
    );
}

#[test]
fn bytes_under_a_bit_that_is_not_set_are_told() {
    let mut file = sample();
    let mut vhd = Vhd::open(file.clone()).unwrap();
    let Place::Data { at } = vhd.extent(BLOCK_SIZE).unwrap().place else {
        panic!("the second block is not there");
    };
    let at = usize::try_from(at).unwrap();
    file[at - 512] = 0b1011_1111;
    assert_eq!(
        check(file.clone()).unwrap(),
        [Fault::HiddenData {
            block: 1,
            sector: 1
        }]
    );
    let mut bytes = [1; 4];
    Vhd::open(file)
        .unwrap()
        .read_at(BLOCK_SIZE + 700, &mut bytes)
        .unwrap();
    assert_eq!(bytes, [0; 4]);
}

#[test]
fn only_what_bears_the_mark_is_recognised() {
    assert_eq!(recognise(&mut sample()), Ok(true));
    assert_eq!(recognise(&mut new(SIZE, ID, Shape::Fixed)), Ok(true));
    assert_eq!(recognise(&mut vec![0u8; 100]), Ok(false));
    assert_eq!(recognise(&mut vec![7u8; 100_000]), Ok(false));
    let mut broken = new(SIZE, ID, Shape::Fixed);
    let at = broken.len() - 500;
    broken[at] ^= 1;
    assert_eq!(recognise(&mut broken), Ok(true));
}

/// The most memory that this process had, in KiB, where the kernel tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// 20,000 files with one to four fields of footer, header, table or bitmap changed; half of them with sums made right.
#[test]
fn no_damage_makes_it_panic_or_take_memory() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut base = Vhd::open(new(SIZE, ID, child_of([1; 16], false))).unwrap();
    base.write_at(BLOCK_SIZE, &[1; 512]).unwrap();
    base.flush().unwrap();
    let base = base.into_source();
    let (mut opened, mut not) = (0, 0);
    let end = base.len();
    let mut file = base.clone();
    for _ in 0..20_000 {
        let mut touched = Vec::new();
        for _ in 0..=random() % 4 {
            let at = match random() % 4 {
                0 => random() as usize % 512,
                1 => 512 + random() as usize % 1_024,
                2 => 4_096 + random() as usize % 1_024,
                _ => end - 1 - random() as usize % 512,
            };
            let value = [0, 0xff, 0x7f, random() as u8][random() as usize % 4];
            touched.push(at);
            file[at] = value;
        }
        if random() % 2 == 0 {
            for (begin, length, own) in [(0, 512, 64), (512, 1_024, 36), (end - 512, 512, 64)] {
                let sum = checksum(&file[begin..begin + length], own).to_be_bytes();
                put(&mut file, begin + own, &sum);
                touched.extend(begin + own..begin + own + 4);
            }
        }
        match examine_all(file) {
            (true, back) => {
                opened += 1;
                file = back;
            }
            (false, back) => {
                not += 1;
                file = back;
            }
        }
        for at in touched {
            file[at] = base[at];
        }
        for (begin, length) in [(0, 4_096), (end - 512, 512)] {
            file[begin..begin + length].copy_from_slice(&base[begin..begin + length]);
        }
    }
    assert!(
        opened > 1_000 && not > 1_000,
        "{opened} opened, {not} refused"
    );
    if let Some(peak) = peak() {
        assert!(peak < 400 << 10, "{peak} KiB");
    }
}

/// Opens, checks and reads, and gives the bytes back with whether it opened.
fn examine_all(file: Vec<u8>) -> (bool, Vec<u8>) {
    struct Lent<'a>(&'a mut Vec<u8>);
    impl crate::random_access::ReadAt for Lent<'_> {
        type Error = alloc::string::String;
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
            self.0.read_at(at, into)
        }
    }
    let mut file = file;
    let faults = check(Lent(&mut file)).map_or(0, |faults| faults.len());
    assert!(faults <= FAULTS_MAX);
    let Ok(mut vhd) = Vhd::open(Lent(&mut file)) else {
        return (false, file);
    };
    let size = vhd.size().0;
    for at in [0, BLOCK_SIZE, size / 2, size - 512] {
        let mut bytes = [0; 512];
        let _whatever = vhd.read_at(at.min(size - 512), &mut bytes);
        let _whatever = vhd.extent(at.min(size - 1));
    }
    let _whatever = vhd.locators();
    drop(vhd);
    (true, file)
}
