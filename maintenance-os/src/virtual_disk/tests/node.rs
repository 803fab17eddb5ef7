// SPDX-License-Identifier: Apache-2.0
//! The node's own way to its VHDs reserves as everybody's does.

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
