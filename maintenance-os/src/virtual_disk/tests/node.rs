// SPDX-License-Identifier: Apache-2.0
//! The node's own way to its VHDs reserves as everybody's does.

use super::super::fiemap::gaps;
use super::*;

#[test]
fn what_holds_something_keeps_it_when_space_is_reserved() {
    use std::os::unix::fs::FileExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(dir.path().join("a"))
        .unwrap();
    file.write_all_at(b"precious", 4_096).unwrap();
    file.sync_all().unwrap();
    assert_eq!(reserve(&file, 1 << 20).unwrap(), How::Unwritten);
    let mut back = [0; 8];
    file.read_exact_at(&mut back, 4_096).unwrap();
    assert_eq!(&back, b"precious");
    let found = physical(&file).unwrap();
    assert!(found.is_none_or(|found| found.bytes >= 1 << 20 && found.unwritten < found.bytes));
}

#[test]
fn only_what_a_file_lacks_is_reserved() {
    use std::os::unix::fs::FileExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(dir.path().join("a"))
        .unwrap();
    // Two islands, not yet on the device, and a hole at either end and between them.
    for at in [1 << 20, 3 << 20] {
        file.write_all_at(&[7; 4_096], at).unwrap();
    }
    if let Some(lacks) = gaps(&file, 4 << 20).unwrap() {
        let wanted = [
            0..1 << 20,
            (1 << 20) + 4_096..3 << 20,
            (3 << 20) + 4_096..4 << 20,
        ];
        assert_eq!(lacks, wanted);
    }
    reserve(&file, 4 << 20).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4 << 20);
    let lacks = gaps(&file, 4 << 20).unwrap();
    assert!(lacks.is_none_or(|lacks| lacks.is_empty()));
    assert!(
        physical(&file)
            .unwrap()
            .is_none_or(|found| found.bytes >= 4 << 20)
    );
    let mut back = [0; 4_096];
    file.read_exact_at(&mut back, 3 << 20).unwrap();
    assert_eq!(back, [7; 4_096]);
}
