// SPDX-License-Identifier: Apache-2.0
//! What is written is read, whatever is written where, in every kind of VHD and after it is opened again.

use super::*;
use crate::random_access::ReadAt as _;
use proptest::prelude::*;

const SIZE: u64 = 5 * (1 << 20) + 512;

fn whole(vhd: &mut Vhd<Vec<u8>>) -> Vec<u8> {
    let mut bytes = vec![0xee; usize::try_from(vhd.size().0).unwrap()];
    vhd.read_at(0, &mut bytes).unwrap();
    bytes
}

/// The disk by its extents instead of by reading it.
fn by_extents(vhd: &mut Vhd<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < vhd.size().0 {
        let at = bytes.len() as u64;
        let (extent, depth) = vhd.resolved(at).unwrap();
        assert!(extent.length > 0);
        let length = usize::try_from(extent.length).unwrap();
        match extent.place {
            Place::Zero => bytes.resize(bytes.len() + length, 0),
            Place::Data { at } => {
                let mut piece = vec![0; length];
                let file = vhd.ancestor(depth).unwrap().source();
                file.read_at(at, &mut piece).unwrap();
                bytes.extend(piece);
            }
            Place::Parent => panic!("resolved, and still the parent's"),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_is_read(
        writes in prop::collection::vec((0u64..SIZE, 1usize..70_000, any::<bool>(), any::<u8>()), 1..16),
    ) {
        for mut vhd in every_kind(SIZE) {
            let mut model = whole(&mut vhd);
            for (at, length, aligned, byte) in &writes {
                let at = if *aligned { at - at % 4_096 } else { *at };
                let length = (*length).min(usize::try_from(SIZE - at).unwrap());
                let bytes: Vec<u8> = (0..length).map(|n| byte.wrapping_add(n as u8)).collect();
                vhd.write_at(at, &bytes).unwrap();
                let at = usize::try_from(at).unwrap();
                model[at..at + length].copy_from_slice(&bytes);
            }
            prop_assert!(whole(&mut vhd) == model, "before the flush");
            prop_assert!(by_extents(&mut vhd) == model, "by extents");
            vhd.flush().unwrap();
            let parent = vhd.parent.take();
            let file = vhd.into_source();
            prop_assert_eq!(check(file.clone()).unwrap(), vec![]);
            let mut again = Vhd::open(file).unwrap();
            if let Some(parent) = parent {
                again.attach(*parent, ParentTime::Modified(9)).unwrap();
            }
            prop_assert!(whole(&mut again) == model, "opened again");
        }
    }
}

#[test]
fn new_files_have_every_block_aligned_and_in_order() {
    let file = new(SIZE, ID, Shape::Dynamic { preallocated: true });
    let mut vhd = Vhd::open(file).unwrap();
    assert_eq!(vhd.block_count(), Some((3, 3)));
    assert!(vhd.in_order());
    let mut last = 0;
    for block in 0..3 {
        let Place::Data { at } = vhd.extent(block * BLOCK_SIZE).unwrap().place else {
            panic!("block {block} is not there");
        };
        assert!(at.is_multiple_of(ALIGNMENT) && at > last, "{at}");
        assert!(last == 0 || at - last == BLOCK_SIZE + ALIGNMENT);
        last = at;
    }
    let length = vhd.source().len();
    assert!((length as u64).is_multiple_of(ALIGNMENT));
    // A differencing one has all its blocks and none of their sectors.
    let mut vhd = Vhd::open(new(SIZE, ID, child_of([1; 16], true))).unwrap();
    assert_eq!(vhd.block_count(), Some((3, 3)));
    assert_eq!(vhd.extent(0).unwrap().place, Place::Parent);
}

#[test]
fn the_largest_disk_is_laid_out_and_one_sector_more_is_not() {
    for preallocated in [false, true] {
        let mut new = New {
            size: SIZE_MAX,
            id: ID,
            timestamp: 0,
            shape: Shape::Dynamic { preallocated },
        };
        let layout = Layout::of(&new).unwrap();
        assert!(layout.length() / 512 < u64::from(u32::MAX));
        new.size = Bytes(SIZE_MAX.0 + 512);
        let refused = Layout::of(&new).unwrap_err();
        assert!(refused.to_string().contains("use VHDX or several VHDs"));
    }
}

#[test]
fn nothing_beyond_the_disk_is_read_or_written() {
    for mut vhd in every_kind(SIZE) {
        for (at, length) in [(SIZE, 1), (SIZE - 1, 2), (u64::MAX, 1)] {
            let refused = Refusal::BeyondEnd {
                at,
                length,
                size: SIZE,
            };
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            let read = vhd.read_at(at, &mut bytes).unwrap_err();
            assert_eq!(read, refused.clone().into());
            assert_eq!(vhd.write_at(at, &bytes).unwrap_err(), refused.into());
        }
    }
}
