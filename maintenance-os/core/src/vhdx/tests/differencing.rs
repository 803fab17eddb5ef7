// SPDX-License-Identifier: Apache-2.0
//! Differencing disks: no tool here writes them, so the tests do, and hold the reader against a model.

use proptest::prelude::*;

use super::{new_disk, noise, write_out};
use crate::guid::Guid;
use crate::random_access::WriteAt as _;
use crate::vhdx::table::Entry;
use crate::vhdx::{
    Builder, Failure, Fault, Kind, Layout, NewDisk, NewKind, ParentLocator, Place, Vhdx, VhdxError,
};

const MIB: usize = 1 << 20;
const PARENT: Guid = Guid([2; 16]);

/// What a block of the child is.
#[derive(Clone, Debug)]
enum Block {
    Parent,
    Zero,
    Full,
    /// Every sector whose bit is set is the child's.
    Partial(Vec<u8>),
}

fn locator(linkage: Guid) -> ParentLocator {
    let paths = vec![("relative_path".into(), ".\\base.vhdx".into())];
    ParentLocator {
        linkage,
        linkage2: None,
        paths,
    }
}

fn child_of(linkage: Guid, size: u64) -> NewDisk {
    let mut disk = new_disk(size, Some(1 << 20), NewKind::Differencing(locator(linkage)));
    disk.ids.data_write = Guid([9; 16]);
    disk
}

/// A child of `size` bytes whose own bytes are `own`.
fn child(size: u64, blocks: &[Block], own: &[u8]) -> Vec<u8> {
    let layout = Layout::new(&child_of(PARENT, size)).unwrap();
    let mut file = Vec::new();
    write_out(&layout, &mut file);
    let bitmap = file.len();
    file.resize(bitmap + MIB, 0);
    let put = |file: &mut Vec<u8>, entry: u64, value: u64| {
        file.write_at(layout.table.start + entry * 8, &value.to_le_bytes())
            .unwrap();
    };
    let bitmap_entry = layout.shape.chunk_entry(0);
    put(&mut file, bitmap_entry, Entry::full(bitmap as u64).0);
    for (number, block) in blocks.iter().enumerate() {
        let at = file.len() as u64;
        let value = match block {
            Block::Parent => 0,
            Block::Zero => 2,
            Block::Full => Entry::full(at).0,
            Block::Partial(bits) => {
                let at = bitmap + number * 256;
                file[at..at + 256].copy_from_slice(bits);
                Entry::full(file.len() as u64).0 | 7
            }
        };
        put(&mut file, number as u64, value);
        if value > 7 {
            let own = own.chunks(MIB).nth(number).unwrap();
            file.extend(own);
            file.resize(file.len().next_multiple_of(MIB), 0);
        }
    }
    file
}

/// A dynamic disk with this content.
fn parent(content: &[u8]) -> Vhdx<Vec<u8>> {
    let layout = Layout::new(&new_disk(
        content.len() as u64,
        Some(1 << 20),
        NewKind::Dynamic,
    ));
    let mut builder = Builder::new(Vec::new(), layout.unwrap());
    builder.write(0, content).unwrap();
    Vhdx::open(builder.finish().unwrap()).unwrap()
}

fn block() -> impl Strategy<Value = Block> {
    let bits = prop_oneof![Just(0u8), Just(0xff), any::<u8>()];
    prop_oneof![
        Just(Block::Parent),
        Just(Block::Zero),
        Just(Block::Full),
        proptest::collection::vec(bits, 256).prop_map(Block::Partial),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_child_reads_its_own_sectors_and_its_parents(
        blocks in proptest::collection::vec(block(), 4), sectors in 1usize..2048, seed: u64,
        at in 0usize..3 * MIB, len in 0usize..MIB, shorter in 0usize..3,
    ) {
        let size = 3 * MIB + sectors * 512;
        let base = noise(seed, size - shorter * MIB);
        let own = noise(!seed, size);
        let mut model = base.clone();
        model.resize(size, 0);
        for (sector, bytes) in model.chunks_mut(512).enumerate() {
            let range = sector * 512..sector * 512 + 512;
            match &blocks[sector / 2048] {
                Block::Parent => {}
                Block::Zero => bytes.fill(0),
                Block::Full => bytes.copy_from_slice(&own[range]),
                Block::Partial(bits) => {
                    let bit = sector % 2048;
                    if bits[bit / 8] >> (bit % 8) & 1 == 1 {
                        bytes.copy_from_slice(&own[range]);
                    }
                }
            }
        }
        let mut disk = Vhdx::open(child(size as u64, &blocks, &own)).unwrap();
        prop_assert_eq!(disk.facts().kind, Kind::Differencing);
        prop_assert_eq!(disk.check().unwrap(), vec![]);
        disk.attach_parent(parent(&base)).unwrap();
        let mut read = vec![0xaa; size];
        disk.read_at(0, &mut read).unwrap();
        prop_assert!(read == model);
        let mut read = vec![0xaa; len.min(size - at)];
        disk.read_at(at as u64, &mut read).unwrap();
        prop_assert!(read[..] == model[at..at + read.len()]);
        // The map says the same.
        let mut end = 0;
        let pieces: Vec<_> = disk.map().map(Result::unwrap).collect();
        for piece in pieces {
            prop_assert_eq!(piece.at, end);
            end += piece.len;
            let range = usize::try_from(piece.at).unwrap()..usize::try_from(end).unwrap();
            match piece.place {
                Place::File(from) => {
                    let bytes = disk.file.bytes(from, range.len()).unwrap();
                    prop_assert!(bytes[..] == model[range]);
                }
                Place::Parent => {
                    let there = range.end.min(base.len()).max(range.start);
                    prop_assert!(model[range.start..there] == base[range.start.min(base.len())..there.min(base.len())]);
                }
                Place::Zero | Place::Unmapped => prop_assert!(model[range].iter().all(|byte| *byte == 0)),
            }
        }
        prop_assert_eq!(end, size as u64);
    }
}

/// A child of a child: the middle one has nothing of its own.
#[test]
fn a_chain_is_read_through() {
    let base = noise(3, 2 * MIB);
    let mut middle = Vhdx::open(child(2 << 20, &[], &[])).unwrap();
    middle.attach_parent(parent(&base)).unwrap();
    let layout = Layout::new(&child_of(Guid([9; 16]), 2 << 20)).unwrap();
    let mut builder = Builder::new(Vec::new(), layout);
    builder.write(1 << 20, &noise(4, MIB)).unwrap();
    let mut disk = Vhdx::open(builder.finish().unwrap()).unwrap();
    let at = 1000;
    let alone = disk.read_at(at, &mut [0; 10]);
    assert_eq!(alone, Err(Failure::Refused(VhdxError::ParentAbsent { at })));
    disk.attach_parent(middle).unwrap();
    let mut read = vec![0; 2 * MIB];
    disk.read_at(0, &mut read).unwrap();
    assert!(read == [&base[..MIB], &noise(4, MIB)[..]].concat());
    assert_eq!(disk.facts().parent, Some(locator(Guid([9; 16]))));
    assert_eq!(
        disk.facts().parent.as_ref().unwrap().path("relative_path"),
        Some(".\\base.vhdx")
    );
}

#[test]
fn only_its_own_parent_is_attached() {
    let base = noise(3, MIB);
    let open = |linkage| {
        let mut file = Vec::new();
        write_out(
            &Layout::new(&child_of(linkage, 1 << 20)).unwrap(),
            &mut file,
        );
        Vhdx::open(file).unwrap()
    };
    let (wanted, found) = (Guid([8; 16]), PARENT);
    let other = open(wanted).attach_parent(parent(&base));
    assert_eq!(other, Err(VhdxError::ParentOther { wanted, found }));
    let mut second = child_of(wanted, 1 << 20);
    second.kind = NewKind::Differencing(ParentLocator {
        linkage2: Some(PARENT),
        ..locator(wanted)
    });
    let mut file = Vec::new();
    write_out(&Layout::new(&second).unwrap(), &mut file);
    assert_eq!(
        Vhdx::open(file).unwrap().attach_parent(parent(&base)),
        Ok(())
    );
    let none = parent(&base).attach_parent(parent(&base));
    assert_eq!(none, Err(VhdxError::ParentNotWanted));
    let mut large = new_disk(1 << 20, None, NewKind::Dynamic);
    large.logical_sector = 4096;
    let mut file = Vec::new();
    write_out(&Layout::new(&large).unwrap(), &mut file);
    let large = open(PARENT).attach_parent(Vhdx::open(file).unwrap());
    assert_eq!(
        large,
        Err(VhdxError::ParentSector {
            disk: 512,
            parent: 4096
        })
    );
    let mut chain = parent(&base);
    let mut depth = 1;
    let refused = loop {
        let linkage = chain.facts().data_write;
        let mut next = open(linkage);
        if let Err(why) = next.attach_parent(chain) {
            break why;
        }
        (chain, depth) = (next, depth + 1);
    };
    assert_eq!((refused, depth), (VhdxError::ChainTooLong, 32));
}

/// Bitmaps and blocks that are not where they are said to be.
#[test]
fn faults_of_bitmaps_are_named() {
    let blocks = [Block::Partial(vec![1; 256]), Block::Full];
    let whole = child(2 << 20, &blocks, &noise(1, 2 * MIB));
    let layout = Layout::new(&child_of(PARENT, 2 << 20)).unwrap();
    let entry = |number: u64| layout.table.start + number * 8;
    let bitmap = entry(layout.shape.chunk_entry(0));
    let (block, chunk, at) = (0, 0, 1 << 20);
    let at_log = Entry::full(at).0;
    let second = Entry::full(layout.table.end + (2 << 20)).0;
    let overlap = layout.table.end + (2 << 20);
    for (place, value, fault) in [
        (bitmap, 0, Fault::BitmapMissing { block, chunk }),
        (bitmap, at_log, Fault::BitmapPlace { chunk, at }),
        (bitmap, 7, Fault::BitmapState { chunk, state: 7 }),
        (entry(0), at_log | 7, Fault::BlockPlace { block, at }),
        (
            entry(0),
            second | 7,
            Fault::BlockOverlap {
                block: 1,
                at: overlap,
            },
        ),
        (entry(0), 4, Fault::BlockState { block, state: 4 }),
        (
            bitmap,
            second,
            Fault::BlockOverlap {
                block: 1,
                at: overlap,
            },
        ),
    ] {
        let mut file = whole.clone();
        file.write_at(place, &u64::to_le_bytes(value)).unwrap();
        let mut disk = Vhdx::open(file).unwrap();
        assert_eq!(disk.check().unwrap(), std::slice::from_ref(&fault));
        assert!(!fault.is_harmless());
        let read = disk.read_at(0, &mut [0; 512]);
        let refused = matches!(read, Err(Failure::Refused(_)));
        assert_eq!(
            refused,
            !matches!(fault, Fault::BlockOverlap { .. }),
            "{fault}"
        );
    }
}
