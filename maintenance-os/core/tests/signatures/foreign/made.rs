// SPDX-License-Identifier: Apache-2.0
//! What the makers of file systems, volumes and tables make in files.

use super::{Foreign, command, skipped};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A maker: its command, in which `@` is the file, `%` the folder that it packs and `<` comes before what it is told,
/// the file's size in MiB (0 where the maker decides), and what we must call it where blkid does not.
struct Maker(&'static str, u64, Option<&'static str>);

const MAKERS: &[Maker] = &[
    Maker("mke2fs -q -F -t ext2 @", 8, None),
    Maker("mke2fs -q -F -t ext3 @", 16, None),
    Maker("mke2fs -q -F -t ext4 -L old @", 16, None),
    Maker("mke2fs -q -F -O journal_dev @", 16, None),
    Maker("mkfs.vfat -F 12 @", 4, None),
    Maker("mkfs.vfat -F 16 @", 16, None),
    Maker("mkfs.vfat -F 32 -n OLD @", 64, None),
    Maker("mkswap @", 4, None),
    Maker("mkswap -p 8192 @", 4, None),
    Maker("mkswap -p 16384 @", 4, None),
    Maker("mkswap -p 32768 @", 4, None),
    Maker("mkswap -p 65536 @", 4, None),
    Maker("mkfs.xfs -q -f @", 320, None),
    Maker("mkfs.xfs -q -f -l logdev=@.log,size=16384b @", 320, None),
    Maker("mkfs.btrfs -q @", 128, None),
    Maker("mkfs.btrfs -q -d raid1 -m raid1 @ @.second", 128, None),
    Maker("mkfs.f2fs -q @", 64, None),
    Maker("mkfs.exfat @", 16, None),
    Maker("mkntfs -F -Q @", 16, None),
    Maker("mkfs.jfs -q @", 16, None),
    Maker("mkreiserfs -ff -q @", 40, None),
    Maker("mkfs.reiser4 -f -f -y @", 16, None),
    Maker("hformat @", 4, None),
    Maker("mkfs.nilfs2 -q -f @", 130, None),
    Maker("mkfs.minix -1 @", 4, None),
    Maker("mkfs.minix -2 @", 4, None),
    Maker("mkfs.minix -3 @", 4, None),
    Maker("mkfs.bfs @", 1, None),
    Maker("mkfs.cramfs % @", 0, None),
    Maker("genromfs -f @ -d %", 0, None),
    Maker("mksquashfs % @ -quiet -noappend", 0, None),
    Maker("mkfs.erofs @ %", 0, None),
    Maker("genisoimage -quiet -o @ %", 0, None),
    Maker("genisoimage -quiet -udf -J -r -o @ %", 0, None),
    Maker("mkudffs @", 16, None),
    Maker("mkudffs -b 4096 @", 16, None),
    Maker("mkfs.ocfs2 -q -F -x -M local -N 1 @", 64, None),
    Maker("makefs -t ffs -s 4m @ %", 0, None),
    Maker("makefs -t ffs -o version=2 -s 4m @ %", 0, None),
    Maker(
        "cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 @ %/key",
        8,
        None,
    ),
    Maker(
        "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 @ %/key",
        32,
        None,
    ),
    Maker("veritysetup format %/data @", 4, None),
    Maker("make-bcache -B @", 16, None),
    Maker("make-bcache -C @", 64, None),
    Maker("sgdisk -o -n 1:2048:4095 @", 4, None),
    Maker("sfdisk -q @ < label:dos", 4, None),
    Maker("sfdisk -q @ < label:gpt", 4, None),
    Maker("sfdisk -q @ < label:sun", 4, None),
    Maker("sfdisk -q @ < label:sgi", 4, None),
    Maker("parted -s @ mklabel mac", 4, None),
    Maker("parted -s @ mklabel pc98", 4, None),
    Maker("parted -s @ mklabel dvh", 4, None),
    Maker("parted -s @ mklabel bsd", 4, Some("bsd")),
    Maker("parted -s @ mklabel amiga", 4, Some("amiga")),
    Maker("parted -s @ mklabel atari", 4, Some("unknown data")),
];

pub(super) fn all(dir: &Path) -> Vec<Foreign> {
    let packed = dir.join("packed");
    fs::create_dir(&packed).expect("a folder");
    fs::write(packed.join("key"), "secret").expect("a file");
    fs::write(packed.join("data"), vec![7; 1 << 20]).expect("a file");
    let mut all = Vec::new();
    for (maker, number) in MAKERS.iter().zip(0..) {
        let path = dir.join(format!("made-{number}"));
        if let Some(files) = make(maker, &path, &packed) {
            all.extend(files.into_iter().map(|path| Foreign {
                origin: maker.0.to_owned(),
                path,
                expected: maker.2,
            }));
        }
    }
    all.extend(pvcreate(dir));
    all
}

/// Runs a maker; every file that its command names is a disk.
fn make(maker: &Maker, path: &Path, packed: &Path) -> Option<Vec<PathBuf>> {
    let (line, told) = maker.0.split_once(" < ").unwrap_or((maker.0, ""));
    let mut words = line.split(' ');
    let program = words.next()?;
    let mut files = Vec::new();
    let mut arguments = Vec::new();
    for word in words {
        let word = word.replace('%', &packed.to_string_lossy());
        if let Some((before, after)) = word.split_once('@') {
            let suffix: String = after.chars().take_while(|c| *c != ',').collect();
            files.push(PathBuf::from(format!("{}{suffix}", path.display())));
            arguments.push(format!("{before}{}{after}", path.display()));
        } else {
            arguments.push(word);
        }
    }
    for file in files.iter().filter(|_| maker.1 > 0) {
        let file = File::create(file).expect("a file");
        file.set_len(maker.1 << 20).expect("its size");
    }
    let started = command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        skipped(&format!("no program {program}"));
        return None;
    };
    if let Some(mut input) = child.stdin.take() {
        // Most makers are told nothing and do not listen.
        let _ = input.write_all(told.as_bytes());
    }
    let output = child.wait_with_output().expect("a maker ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", maker.0);
    Some(files)
}

/// pvcreate takes block devices only: it needs a loop device and the rights for one.
fn pvcreate(dir: &Path) -> Option<Foreign> {
    let path = dir.join("made-pv");
    File::create(&path)
        .and_then(|file| file.set_len(32 << 20))
        .expect("a file");
    let output = command("losetup")
        .args(["--find", "--show"])
        .arg(&path)
        .output()
        .ok()?;
    if !output.status.success() {
        // `written` has the same label by LVM's own document, so that nothing is lost but the maker.
        eprintln!("skipped: pvcreate, because there is no loop device");
        return None;
    }
    let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let made = command("pvcreate").args(["-ff", "-y", &device]).output();
    let detached = command("losetup").args(["-d", &device]).status();
    assert!(
        detached.is_ok_and(|status| status.success()),
        "losetup -d {device}"
    );
    let Ok(made) = made else {
        skipped("no program pvcreate");
        return None;
    };
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "pvcreate {device}: {said}");
    Some(Foreign {
        origin: "pvcreate".to_owned(),
        path,
        expected: None,
    })
}
