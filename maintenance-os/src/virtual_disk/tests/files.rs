// SPDX-License-Identifier: Apache-2.0
//! What happens to files: what is made, what is left alone, and what is refused.

use super::*;
use mos_core::random_access::WriteAt as _;
use mos_core::vhd::Refusal;
use std::fs;
use std::os::unix::fs::FileExt as _;

const SIZE: u64 = 9 << 20;

fn write_into(path: &Path, at: u64, bytes: &[u8]) {
    let mut vhd = open_to_write(path);
    vhd.write_at(at, bytes).unwrap();
    vhd.flush().unwrap();
}

fn read(disk: &mut Disk, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    disk.read_at(at, &mut bytes).unwrap();
    bytes
}

#[test]
fn no_existing_file_is_replaced_unasked_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vhd");
    fs::write(&path, b"precious").unwrap();
    let mut wish = Create {
        path: path.clone(),
        format: Format::Vhd,
        size: Some(Bytes(SIZE)),
        contents: Contents::Fixed,
        preallocate: false,
        force: false,
    };
    assert!(matches!(
        create(&wish),
        Err(VirtualDiskError::Exists { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    // A failure after the file was begun leaves nothing, and keeps the old one even where it may be replaced.
    wish.force = true;
    wish.size = Some(Bytes(1 << 41));
    let error = create(&wish).unwrap_err().to_string();
    assert!(error.contains("use VHDX or several VHDs"), "{error}");
    wish.size = Some(Bytes::gib(2_039));
    assert!(matches!(
        create(&wish),
        Err(VirtualDiskError::Reserve {
            why: ReserveError::Full { .. },
            ..
        })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    wish.size = Some(Bytes(SIZE));
    create(&wish).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), SIZE + 512);
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a.vhd"]);
}

#[test]
fn a_file_without_a_mark_is_never_taken_for_a_vhd() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("disk.vhd");
    raw_disk(&raw, SIZE);
    for error in [
        info(&raw, None).unwrap_err(),
        map(&raw, None).unwrap_err(),
        check(&raw, None, &Parents::default()).unwrap_err(),
    ] {
        assert!(
            matches!(error, VirtualDiskError::NotRecognised { .. }),
            "{error}"
        );
    }
    // Stated to be one, it is refused as one.
    let error = info(&raw, Some(Format::Vhd)).unwrap_err();
    assert!(
        matches!(
            error,
            VirtualDiskError::Vhd {
                why: Refusal::NoFooter,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(info(&raw, Some(Format::Raw)).unwrap().size, SIZE);
    let vhd = dir.path().join("a.vhd");
    make(&vhd, SIZE, Contents::Dynamic, false);
    let error = info(&vhd, Some(Format::Vhdx)).unwrap_err();
    assert!(
        matches!(error, VirtualDiskError::OtherFormat { .. }),
        "{error}"
    );
    let notes = info(&vhd, Some(Format::Raw)).unwrap().notes;
    assert!(notes[0].contains("bears the mark of a vhd"), "{notes:?}");
    // A pipe is not waited for.
    let pipe = dir.path().join("pipe");
    passes("mkfifo", &[text(&pipe)]);
    assert!(matches!(
        info(&pipe, None),
        Err(VirtualDiskError::NotAFile { .. })
    ));
}

#[test]
fn children_read_through_their_parents() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("golden")).unwrap();
    let base = dir.path().join("golden/base.vhd");
    make(&base, SIZE, Contents::Dynamic, false);
    write_into(&base, 1_000, b"of the base");
    for (name, preallocate) in [("grows.vhd", false), ("full.vhd", true)] {
        let child = dir.path().join(name);
        let created = make(&child, 0, Contents::Differencing(base.clone()), preallocate);
        assert_eq!(created.size, SIZE);
        write_into(&child, 5 << 20, b"of the child");
        let mut disk = Disk::open(&child, None, &Parents::default(), false).unwrap();
        assert_eq!(read(&mut disk, 1_000, 11), b"of the base");
        assert_eq!(read(&mut disk, 5 << 20, 12), b"of the child");
        let grandchild = dir.path().join(format!("golden/of-{name}"));
        make(&grandchild, 0, Contents::Differencing(child.clone()), false);
        let whole = dir.path().join(format!("whole-{name}"));
        copy(&grandchild, None, &whole, Target::Dynamic);
        let mut disk = Disk::open(&whole, None, &Parents::default(), true).unwrap();
        assert_eq!(read(&mut disk, 1_000, 11), b"of the base");
        assert_eq!(read(&mut disk, 5 << 20, 12), b"of the child");
        let found = info(&child, None).unwrap().parent.unwrap();
        assert_eq!(found.paths[0], ".\\golden\\base.vhd");
        assert_eq!(found.found, Some(base.clone()));
        let held = map(&child, None).unwrap();
        let of_child = held
            .ranges
            .iter()
            .find(|range| range.holds == Holds::Data)
            .unwrap();
        assert_eq!(
            (of_child.offset, held.ranges[0].holds),
            (5 << 20, Holds::Parent)
        );
    }
    // Both moved together: the relative path still holds.
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(dir.path().join("golden"), elsewhere.join("golden")).unwrap();
    fs::rename(dir.path().join("grows.vhd"), elsewhere.join("grows.vhd")).unwrap();
    let moved = elsewhere.join("grows.vhd");
    let faults = check(&moved, None, &Parents::default()).unwrap().faults;
    assert_eq!(faults, []);
}

#[test]
fn a_missing_changed_or_wrong_parent_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (base, child) = (dir.path().join("base.vhd"), dir.path().join("child.vhd"));
    make(&base, SIZE, Contents::Fixed, false);
    make(&child, 0, Contents::Differencing(base.clone()), false);
    let open = |parents: &Parents| Disk::open(&child, None, parents, false);
    open(&Parents::default()).unwrap();
    // Changed since: by its time.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::options()
        .write(true)
        .open(&base)
        .unwrap()
        .set_modified(later)
        .unwrap();
    let error = open(&Parents::default()).unwrap_err().to_string();
    assert!(error.contains("--any-parent-time"), "{error}");
    open(&Parents {
        first: None,
        any_time: true,
    })
    .unwrap();
    // Away, and named.
    let away = dir.path().join("away.vhd");
    fs::rename(&base, &away).unwrap();
    let checked = check(&child, None, &Parents::default()).unwrap();
    assert_eq!(checked.faults[0].code, "parent");
    assert!(checked.faults[0].what.contains("base.vhd"), "{checked:?}");
    open(&Parents {
        first: Some(away),
        any_time: true,
    })
    .unwrap();
    // Another disk in its place.
    make(&base, SIZE, Contents::Fixed, false);
    let error = open(&Parents::default()).unwrap_err();
    assert!(
        matches!(
            error,
            VirtualDiskError::WrongParent {
                why: Refusal::ParentId { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn nobody_is_its_own_parent() {
    let dir = tempfile::tempdir().unwrap();
    let (base, child) = (dir.path().join("base.vhd"), dir.path().join("child.vhd"));
    make(&base, SIZE, Contents::Fixed, false);
    make(&child, 0, Contents::Differencing(base.clone()), false);
    let replaced = create(&Create {
        path: base.clone(),
        format: Format::Vhd,
        size: None,
        contents: Contents::Differencing(base),
        preallocate: false,
        force: true,
    });
    assert!(matches!(
        replaced,
        Err(VirtualDiskError::ReplacesItsSource { .. })
    ));
    // A header that names its own file and id.
    let bytes = fs::read(&child).unwrap();
    let mut header = bytes[512..1_536].to_vec();
    header[40..56].copy_from_slice(&bytes[68..84]);
    let name: Vec<u8> = "child.vhd"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    header[64..64 + name.len()].copy_from_slice(&name);
    header[576..768].fill(0);
    header[36..40].fill(0);
    let sum = !header.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    header[36..40].copy_from_slice(&sum.to_be_bytes());
    let file = fs::File::options().write(true).open(&child).unwrap();
    file.write_all_at(&header, 512).unwrap();
    let error = Disk::open(&child, None, &Parents::default(), false).unwrap_err();
    assert!(
        matches!(
            error,
            VirtualDiskError::Vhd {
                why: Refusal::ParentLoop(_),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn children_of_vhdx_read_through_their_parents() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, base) = (dir.path().join("raw"), dir.path().join("base.vhdx"));
    raw_disk(&raw, SIZE);
    copy(&raw, Some(Format::Raw), &base, Target::Dynamic);
    let mut wish = Create {
        path: dir.path().join("child.vhdx"),
        format: Format::Vhdx,
        size: None,
        contents: Contents::Differencing(base),
        preallocate: false,
        force: false,
    };
    create(&wish).unwrap();
    let back = dir.path().join("back");
    copy(&wish.path, None, &back, Target::Raw);
    same(&back, "raw", &raw, "raw");
    wish.preallocate = true;
    assert!(matches!(create(&wish), Err(VirtualDiskError::Usage { .. })));
}

#[test]
fn the_map_is_the_whole_disk_and_tells_reserved_space_from_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vhd");
    let created = make(&path, SIZE, Contents::Fixed, false);
    let before = map(&path, None).unwrap();
    if created.reserved == Some(How::Unwritten) {
        // All but the pages that reading the ends has brought into memory: the kernel counts these as data.
        let zeros = before
            .ranges
            .iter()
            .filter(|range| range.holds == Holds::Zero);
        let zeros: u64 = zeros.map(|range| range.length).sum();
        assert!(zeros >= SIZE - (1 << 20), "{before:?}");
    }
    assert_eq!(before.ranges[0].file_offset, Some(0));
    let physical = before.physical.unwrap();
    assert!(
        physical.bytes >= SIZE && physical.extents >= 1,
        "{physical:?}"
    );
    write_into(&path, 1 << 20, &[1; 4_096]);
    let after = map(&path, None).unwrap();
    let data: Vec<_> = after
        .ranges
        .iter()
        .filter(|range| range.holds == Holds::Data)
        .collect();
    assert!(
        data.iter()
            .any(|range| range.offset <= 1 << 20 && range.offset + range.length > 1 << 20)
    );
    let mut end = 0;
    for range in &after.ranges {
        assert_eq!(range.offset, end);
        end += range.length;
    }
    assert_eq!(end, SIZE);
}
