// SPDX-License-Identifier: Apache-2.0
//! Hostile bytes: whatever an image says, its facts come within the allowance and without a panic.

use super::{ImageFacts, ReadAt, ReadError, TableKind, facts};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

pub(super) struct Image(pub(super) Vec<u8>);

impl ReadAt for Image {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let at = usize::try_from(at).unwrap();
        buffer.copy_from_slice(&self.0[at..at + buffer.len()]);
        Ok(())
    }
}

fn of(bytes: Vec<u8>) -> ImageFacts {
    facts(&mut Image(bytes)).unwrap()
}

/// A DOS table whose extended partition leads to itself.
#[test]
fn a_chain_that_leads_to_itself_ends() {
    let mut image = vec![0u8; 64 * 512];
    image[446 + 4] = 0x05;
    image[446 + 8] = 1;
    image[446 + 12] = 60;
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    let table = image[446..512].to_vec();
    image[512 + 446..1024].copy_from_slice(&table);
    image[512 + 446 + 16 + 4] = 0x83;
    image[512 + 446 + 16 + 8] = 2;
    image[512 + 446 + 16 + 12] = 200;
    let facts = of(image);
    assert_eq!(facts.table, TableKind::Mbr);
    let numbers: Vec<u32> = facts.partitions.iter().map(|one| one.number).collect();
    assert!(
        numbers.len() < 70 && numbers.starts_with(&[1, 5]),
        "{numbers:?}"
    );
    assert!(facts.notes.iter().any(|note| note.contains("cut off")));
}

#[test]
fn nothing_and_nearly_nothing_have_facts() {
    for length in [0, 1, 511, 512, 1024, 4096, 5000] {
        let facts = of(vec![0xff; length]);
        assert_eq!(
            (facts.table, facts.size.0),
            (TableKind::None, length as u64)
        );
        assert!(!facts.text(80, true).is_empty());
    }
}

/// The head of an ext4 file system of 4 MiB with one folder, as far as the reader looks: enough to be mutated.
fn ext_like() -> Vec<u8> {
    let mut image = vec![0u8; 256 * 1024];
    let word = |image: &mut Vec<u8>, at: usize, value: u32| {
        image[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    word(&mut image, 1024, 64);
    word(&mut image, 1024 + 4, 256);
    word(&mut image, 1024 + 20, 1);
    word(&mut image, 1024 + 32, 8192);
    word(&mut image, 1024 + 40, 64);
    image[1024 + 56..1024 + 58].copy_from_slice(&0xef53u16.to_le_bytes());
    word(&mut image, 1024 + 96, 0x40);
    // The descriptor of group 0: its inodes begin with block 5.
    word(&mut image, 2048 + 8, 5);
    // The root: a folder whose extent is block 20.
    let root = 5 * 1024 + 128;
    image[root..root + 2].copy_from_slice(&0o040_755u16.to_le_bytes());
    word(&mut image, root + 4, 1024);
    word(&mut image, root + 32, 0x8_0000);
    word(&mut image, root + 40, 0x0001_f30a);
    image[root + 40 + 12 + 4] = 1;
    word(&mut image, root + 40 + 12 + 8, 20);
    // A folder named etc that is the root itself.
    let entry = 20 * 1024;
    word(&mut image, entry, 2);
    image[entry + 4..entry + 8].copy_from_slice(&[0, 4, 3, 2]);
    image[entry + 8..entry + 11].copy_from_slice(b"etc");
    image
}

#[test]
fn the_small_tree_is_read_before_it_is_mutated() {
    let facts = of(ext_like());
    assert_eq!(facts.file_system.unwrap().kind, "ext4");
    assert_eq!(facts.notes, Vec::<alloc::string::String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn mutated_file_systems_never_panic(
        changes in prop::collection::vec((0usize..24 * 1024, any::<u8>()), 1..12),
    ) {
        let mut image = ext_like();
        for (at, value) in changes {
            image[at] = value;
        }
        prop_assert!(!of(image).text(80, false).is_empty());
    }

    #[test]
    fn arbitrary_sectors_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..9000),
        boot in any::<bool>(),
    ) {
        if boot && bytes.len() >= 512 {
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            bytes[446] = 0;
            bytes[462] = 0x80;
            bytes[478] = 0;
            bytes[494] = 0;
            bytes[54..57].copy_from_slice(b"FAT");
        }
        prop_assert!(!of(bytes).text(80, false).is_empty());
    }
}
