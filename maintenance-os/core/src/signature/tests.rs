// SPDX-License-Identifier: Apache-2.0
//! Recognition against images that others made, and that tools here make.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn of(bytes: &[u8]) -> Vec<Recognised> {
    let mut read = |at: u64, length: usize| {
        let at = usize::try_from(at).unwrap();
        Ok::<_, ()>(bytes[at..at + length].to_vec())
    };
    recognise(&mut Window::new(bytes.len() as u64, 512, &mut read)).unwrap()
}

/// The captures; `None` where they are absent, which only CI forbids.
fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or(root, PathBuf::from);
    let root = root.join("disk-images/util-linux-blkid");
    if root.is_dir() {
        return Some(root);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is absent in CI",
        root.display()
    );
    eprintln!("skipped: no captures at {}", root.display());
    None
}

fn unpacked(path: &Path) -> Vec<u8> {
    let output = Command::new("xz").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success(), "xz -dc {}", path.display());
    output.stdout
}

/// blkid's names for what we name differently.
fn ours(blkid: &str) -> &str {
    match blkid {
        "crypto_LUKS" => "LUKS2",
        other => other,
    }
}

#[test]
fn what_blkid_recognises_is_recognised() {
    let Some(root) = corpus() else { return };
    let mut checked = 0;
    for entry in fs::read_dir(root.join("expected")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let image = name.trim_start_matches("low-probe-");
        let text = fs::read_to_string(&path).unwrap();
        let expected: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let found = of(&unpacked(&root.join(format!("images-fs/{image}.img.xz"))));
        let what = ours(expected["ID_FS_TYPE"]);
        let one = found.iter().find(|one| one.what == what);
        let one = one.unwrap_or_else(|| panic!("{image}: {what} not in {found:?}"));
        if matches!(
            what,
            "ext4" | "vfat" | "xfs" | "erofs" | "LUKS2" | "reiser4" | "cramfs"
        ) {
            let label = one.label.as_ref().map(|label| label.replace(' ', "_"));
            assert_eq!(
                label.as_deref(),
                expected.get("ID_FS_LABEL").copied(),
                "{image}: label"
            );
        }
        if matches!(what, "vfat" | "xfs" | "erofs" | "LUKS2" | "reiser4") {
            assert_eq!(
                one.uuid.as_deref(),
                expected.get("ID_FS_UUID").copied(),
                "{image}: UUID"
            );
        }
        checked += 1;
    }
    assert!(checked >= 16, "only {checked} captures");
}

#[test]
fn every_captured_image_holds_something() {
    let Some(root) = corpus() else { return };
    for folder in ["images-fs", "images-pt"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = unpacked(&path);
            let found = of(&bytes);
            let name = path.file_name().unwrap().to_str().unwrap();
            if name == "gpt.img.xz" {
                assert_eq!(found[0].what, "gpt", "{name}: {found:?}");
            }
            assert!(!found.is_empty(), "{name} would be called empty");
        }
    }
}

#[test]
fn the_captured_table_is_read() {
    let Some(root) = corpus() else { return };
    let mut bytes = unpacked(&root.join("images-pt/gpt.img.xz"));
    let table = |bytes: &[u8]| {
        let mut read = |at: u64, length: usize| {
            let at = usize::try_from(at).unwrap();
            Ok::<_, ()>(bytes[at..at + length].to_vec())
        };
        read_gpt(&mut Window::new(bytes.len() as u64, 512, &mut read)).unwrap()
    };
    let primary = table(&bytes).unwrap();
    assert!(!primary.partitions.is_empty());
    bytes[512] ^= 1;
    assert_eq!(table(&bytes), Some(primary), "the backup tells the same");
    let header = bytes.len() - 512;
    bytes[header] ^= 1;
    assert_eq!(table(&bytes), None);
}

#[test]
fn what_the_tools_here_make_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("disk");
    for (command, what, label) in [
        ("mke2fs -q -F -t ext2 -L old", "ext2", Some("old")),
        ("mke2fs -q -F -t ext3 -L old", "ext3", Some("old")),
        ("mke2fs -q -F -t ext4 -L old", "ext4", Some("old")),
        ("mkfs.vfat -n OLD", "vfat", Some("OLD")),
        ("mkswap -q -L old", "swap", Some("old")),
    ] {
        fs::File::create(&file).unwrap().set_len(64 << 20).unwrap();
        let (program, arguments) = command.split_once(' ').unwrap();
        let path = format!("{}:/sbin:/usr/sbin", std::env::var("PATH").unwrap());
        let status = Command::new(program)
            .env("PATH", path)
            .args(arguments.split(' '))
            .arg(&file)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{command}");
        let found = of(&fs::read(&file).unwrap());
        assert_eq!(found.len(), 1, "{command}: {found:?}");
        assert_eq!(
            (found[0].what.as_str(), found[0].label.as_deref()),
            (what, label)
        );
        assert!(found[0].uuid.is_some(), "{command}");
    }
}

/// Members whose makers are not installed here: the magic at its place, as the formats' documents give it.
#[test]
fn members_are_recognised_at_both_ends() {
    const SIZE: usize = 8 << 20;
    let md = 0xa92b_4efcu32.to_le_bytes();
    let cases: &[(&str, usize, &[u8])] = &[
        ("linux_raid", 0, &md),
        ("linux_raid", 4_096, &md),
        ("linux_raid", SIZE - 8_192, &md),
        ("linux_raid", SIZE - 65_536, &md),
        ("zfs", 131_072 + 5 * 1_024, &0x00ba_b10cu64.to_le_bytes()),
        ("zfs", SIZE - 131_072, &0x00ba_b10cu64.to_be_bytes()),
        ("drbd", SIZE - 4_096 + 60, &0x8374_026bu32.to_be_bytes()),
        ("LUKS2", 16_384, b"SKUL\xba\xbe\0\x02"),
        ("LUKS1", 0, b"LUKS\xba\xbe\0\x01"),
        ("ddf_raid_member", SIZE - 512, b"\xde\x11\xde\x11"),
        ("isw_raid_member", SIZE - 1_024, b"Intel Raid ISM Cfg Sig. "),
        ("VMFS_volume_member", 0x10_0000, b"\x0d\xd0\x01\xc0"),
        ("btrfs", 65_600, b"_BHRfS_M"),
        ("ntfs", 3, b"NTFS    "),
        ("unknown data", 700_000, b"x"),
        ("unknown data", SIZE - 1, b"x"),
    ];
    for (what, at, magic) in cases {
        let mut bytes = vec![0; SIZE];
        bytes[*at..at + magic.len()].copy_from_slice(magic);
        let found = of(&bytes);
        assert!(
            found.iter().any(|one| one.what == *what),
            "{what} at {at}: {found:?}"
        );
    }
    let mut lvm = vec![0; SIZE];
    lvm[512..520].copy_from_slice(b"LABELONE");
    lvm[536..544].copy_from_slice(b"LVM2 001");
    assert_eq!(of(&lvm)[0].what, "LVM2 PV");
    assert_eq!(of(&vec![0; SIZE]), []);
    assert_eq!(of(&vec![0xff; SIZE]), []);
}

#[test]
fn a_read_error_is_not_an_empty_disk() {
    let mut read = |_: u64, _: usize| Err("I/O error");
    assert_eq!(
        recognise(&mut Window::new(1 << 30, 512, &mut read)),
        Err("I/O error")
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0usize..70_000, bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut disk = vec![0u8; 200_000];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[512..520].copy_from_slice(b"EFI PART");
        disk[at..at + bytes.len()].copy_from_slice(&bytes);
        let _ = of(&disk);
    }
}
