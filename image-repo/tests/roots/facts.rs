// SPDX-License-Identifier: Apache-2.0
//! Facts of images that other tools made.

use crate::{PROGRAM, folder, has, linux, sh, text};
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, BootEntry, RequiredFirmware};
use image_core::facts::{BackupTable, FactsError, ImageFacts, Machine, Stated, TableKind};
use image_repo::facts::of_file;
use std::path::{Path, PathBuf};

/// A disk with an EFI system partition and a root file system, put together by sgdisk, mtools and mkfs.ext4.
fn disk(at: &Path) -> PathBuf {
    let tree = text(linux(at));
    let (disk, esp, root) = ("disk.raw", "esp.fat", "root.ext4");
    let d = text(at);
    sh(&format!(
        "cd {d}
        truncate -s 64M {esp}; mformat -i {esp} -F -v ESP ::
        mmd -i {esp} ::EFI ::EFI/BOOT ::EFI/debian ::loader ::loader/entries
        mcopy -i {esp} {PROGRAM} ::EFI/BOOT/BOOTX64.EFI
        mcopy -i {esp} {PROGRAM} ::EFI/debian/shimx64.efi
        echo x > a-long-name-of-an-entry.conf; mcopy -i {esp} a-long-name-of-an-entry.conf ::loader/entries/
        truncate -s 100M {root}; mkfs.ext4 -q -F -L system -d {tree} {root}
        truncate -s 200M {disk}
        sgdisk -n 1:2048:+64M -t 1:EF00 -c 1:boot -n 2:0:+100M -t 2:8304 -c 2:root {disk} >/dev/null
        dd if={esp} of={disk} bs=1M seek=1 conv=notrunc,sparse status=none
        dd if={root} of={disk} bs=1M seek=65 conv=notrunc,sparse status=none"
    ));
    at.join(disk)
}

fn facts_of(path: &Path) -> ImageFacts {
    let facts = of_file(path).unwrap();
    assert!(!facts.text(80, false).contains('\x1b'));
    facts
}

#[test]
#[allow(clippy::too_many_lines)] // One disk, and everything that it tells.
fn a_disk_tells_partitions_system_kernel_loader_and_smallest_disk() {
    let at = folder();
    let path = disk(at.path());
    let facts = facts_of(&path);
    println!("{}", facts.text(80, false));
    assert_eq!(facts.table, TableKind::Gpt);
    assert_eq!(facts.backup, Some(BackupTable::Right));
    assert_eq!(facts.sector_size, Some(512));
    assert_eq!(facts.notes, Vec::<String>::new());
    let kinds: Vec<_> = facts
        .partitions
        .iter()
        .map(|one| one.kind.as_str())
        .collect();
    assert_eq!(kinds, ["EFI system", "Linux root (x86-64)"]);
    let holds: Vec<_> = facts
        .partitions
        .iter()
        .map(|one| one.file_system.as_ref().unwrap())
        .map(|one| (one.kind.as_str(), one.label.as_deref()))
        .collect();
    assert_eq!(holds, [("vfat", Some("ESP")), ("ext4", Some("system"))]);
    let os = facts.os.clone().unwrap();
    assert_eq!(
        (os.id.as_str(), os.version.as_str(), os.partition),
        ("debian", "12", 2)
    );
    let kernels: Vec<_> = facts
        .kernels
        .iter()
        .map(|one| one.version.as_str())
        .collect();
    assert_eq!(kernels, ["6.1.0-9-amd64", "6.1.0-44-amd64"]);
    assert_eq!(facts.machine, Some(Machine::X86_64));
    let loaders: Vec<_> = facts.loaders.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        loaders,
        [r"\EFI\BOOT\BOOTX64.EFI", r"\EFI\debian\shimx64.efi"]
    );
    assert_eq!(
        facts.loader_entries,
        ["/loader/entries/a-long-name-of-an-entry.conf"]
    );
    // 165 MiB of partitions and their start, and 33 sectors of backup.
    assert_eq!(facts.minimum_size, Bytes(165 * (1 << 20) + 33 * 512));
    let fields = facts.manifest_fields();
    assert_eq!(fields.architecture, Some(Architecture::X86_64));
    assert_eq!(fields.firmware, RequiredFirmware::Uefi);
    assert_eq!(fields.minimum_size, Bytes::mib(200));
    let BootEntry::Loader(loader) = fields.boot else {
        panic!("{:?}", fields.boot);
    };
    assert_eq!(
        (loader.partition, loader.path.as_str()),
        (1, r"\EFI\BOOT\BOOTX64.EFI")
    );
    let stated = |sector_size, architecture| Stated {
        sector_size,
        architecture,
    };
    facts
        .check(&stated(Some(512), Some(Architecture::X86_64)))
        .unwrap();
    assert!(matches!(
        facts.check(&stated(Some(4096), None)),
        Err(FactsError::SectorSize { found: 512, .. })
    ));
    assert!(matches!(
        facts.check(&stated(None, Some(Architecture::Aarch64))),
        Err(FactsError::Architecture { .. })
    ));
    // The smallest disk is small enough, and one less is not.
    let d = text(&path);
    sh(&format!(
        "truncate -s {} {d}; sgdisk -e {d} >/dev/null; sgdisk -v {d} | grep 'No problems'",
        facts.minimum_size.0
    ));
}

#[test]
fn a_damaged_or_cut_off_table_is_told() {
    let at = folder();
    let path = disk(at.path());
    let d = text(&path);
    sh(&format!(
        "dd if=/dev/zero of={d} bs=512 seek=1 count=1 conv=notrunc status=none"
    ));
    let facts = facts_of(&path);
    assert_eq!(facts.backup, Some(BackupTable::Alone));
    assert_eq!(facts.partitions.len(), 2);
    assert!(facts.os.is_some());
    sh(&format!("truncate -s -512 {d}"));
    let facts = facts_of(&path);
    assert_eq!(
        (facts.table, facts.partitions.len()),
        (TableKind::DamagedGpt, 0)
    );

    let other = folder();
    let path = disk(other.path());
    let d = text(&path);
    sh(&format!("truncate -s 120M {d}"));
    let facts = facts_of(&path);
    assert_eq!(facts.backup, Some(BackupTable::Missing));
    assert!(
        facts.notes.iter().any(|note| note.contains("cut off")),
        "{:?}",
        facts.notes
    );
    assert!(facts.manifest_fields().minimum_size > facts.size);
}

#[test]
fn a_table_for_4096_byte_sectors_is_found_where_it_is() {
    if !has("fdisk") {
        return;
    }
    let at = folder();
    let path = at.path().join("disk");
    let d = text(&path);
    sh(&format!(
        "truncate -s 128M {d}; printf 'g\\nn\\n\\n\\n+32M\\nt\\n1\\nn\\n\\n\\n+64M\\nw\\n' | fdisk -b 4096 {d}"
    ));
    let facts = facts_of(&path);
    println!("{}", facts.text(80, false));
    assert_eq!(facts.sector_size, Some(4096));
    assert_eq!(facts.table, TableKind::Gpt);
    assert_eq!(facts.partitions[0].start, Bytes::mib(1));
    assert_eq!(facts.partitions[1].length, Bytes::mib(64));
    assert_eq!(facts.minimum_size.0, 97 * (1 << 20) + 5 * 4096);
    let stated = Stated {
        sector_size: Some(512),
        architecture: None,
    };
    let refused = facts.check(&stated).unwrap_err().to_string();
    assert!(
        refused.contains("4096") && refused.contains("512"),
        "{refused}"
    );
}

#[test]
fn a_dos_table_with_logical_partitions_is_read_as_sfdisk_reads_it() {
    if !has("sfdisk") {
        return;
    }
    let at = folder();
    let path = at.path().join("disk");
    let d = text(&path);
    sh(&format!(
        "truncate -s 300M {d}
        printf 'label: dos\\nsize=20M,type=c,bootable\\nsize=100M,type=5\\nsize=30M,type=82\\nsize=40M,type=83\\nsize=20M,type=83\\n' | sfdisk -q {d}
        mkfs.vfat -C {d}.fat 20480 >/dev/null; dd if={d}.fat of={d} bs=1M seek=1 conv=notrunc status=none"
    ));
    let facts = facts_of(&path);
    assert_eq!(facts.table, TableKind::Mbr);
    assert_eq!(facts.sector_size, Some(512));
    let ours: Vec<_> = facts
        .partitions
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one.number,
                one.start.0 / 512,
                one.length.0 / 512
            )
        })
        .collect();
    let theirs = sh(&format!(
        "sfdisk -d {d} | sed -n 's/.*disk\\([0-9]\\) : start= *\\([0-9]*\\), size= *\\([0-9]*\\),.*/\\1 \\2 \\3/p'"
    ));
    let theirs: Vec<_> = theirs.lines().collect();
    assert_eq!(ours, theirs);
    assert_eq!(
        facts.partitions[0].file_system.as_ref().unwrap().kind,
        "vfat"
    );
    assert_eq!(facts.boot_code, None);
    // What GRUB puts there is recognised.
    sh(&format!(
        "printf '\\xeb\\x63\\x90GRUB ' | dd of={d} conv=notrunc status=none"
    ));
    let facts = facts_of(&path);
    assert_eq!(facts.boot_code.as_deref(), Some("GRUB"));
    assert_eq!(facts.manifest_fields().boot, BootEntry::BootCode);
    assert_eq!(facts.manifest_fields().firmware, RequiredFirmware::Bios);
}

#[test]
fn a_file_system_without_a_table_and_another_kind_are_named() {
    let at = folder();
    let tree = text(linux(at.path()));
    for (kind, make) in [
        ("ext4", "mkfs.ext4 -q -F -b 1024 -d"),
        (
            "ext4",
            "mkfs.ext4 -q -F -O ^64bit,^metadata_csum,^extent,huge_file -d",
        ),
        ("ext3", "mkfs.ext3 -q -F -d"),
        ("ext2", "mkfs.ext2 -q -F -d"),
        ("ext4", "mkfs.ext4 -q -F -O meta_bg,^resize_inode -d"),
    ] {
        let path = at.path().join("fs");
        let p = text(&path);
        sh(&format!(
            "rm -f {p}; truncate -s 80M {p}; {make} {tree} {p} 2>/dev/null"
        ));
        let facts = facts_of(&path);
        let file_system = facts.file_system.clone().unwrap();
        assert_eq!(file_system.kind, kind, "{make}");
        assert_eq!(
            facts.os.as_ref().map(|os| os.id.as_str()),
            Some("debian"),
            "{make}: {:?}",
            facts.notes
        );
        assert_eq!(facts.minimum_size, Bytes::mib(80));
        assert_eq!(
            (facts.machine, facts.sector_size),
            (Some(Machine::X86_64), None)
        );
        let uuid = sh(&format!("blkid -p -s UUID -o value {p}"));
        assert_eq!(file_system.uuid.as_deref(), Some(uuid.trim()));
    }
    if has("mkfs.xfs") {
        let path = at.path().join("xfs");
        let p = text(&path);
        sh(&format!("truncate -s 320M {p}; mkfs.xfs -q -L data {p}"));
        assert_eq!(facts_of(&path).file_system.unwrap().kind, "xfs");
    }
    for (bits, size) in [(12, "2M"), (16, "32M"), (32, "64M")] {
        let path = at.path().join(format!("fat{bits}"));
        let p = text(&path);
        sh(&format!(
            "truncate -s {size} {p}; mkfs.vfat -F {bits} {p} >/dev/null; mmd -i {p} ::EFI ::EFI/BOOT; mcopy -i {p} {PROGRAM} ::EFI/BOOT/bootx64.efi"
        ));
        let facts = facts_of(&path);
        assert_eq!(facts.loaders.len(), 1, "FAT{bits}: {:?}", facts.notes);
        assert_eq!(facts.manifest_fields().boot, BootEntry::None);
        assert_eq!(facts.boot_code, None);
    }
}

#[test]
fn the_host_image_tells_what_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/groundstate/host/root.ext4");
    if !path.exists() {
        println!("skipped: there is no host image at {}", path.display());
        return;
    }
    let facts = facts_of(&path);
    println!("{}", facts.text(100, false));
    let p = text(&path);
    let release = sh(&format!(
        "debugfs -R 'cat /usr/lib/os-release' {p} 2>/dev/null"
    ));
    let id = facts.os.clone().unwrap().id;
    assert!(release.contains(&format!("ID={id}")), "{release}");
    assert!(!facts.kernels.is_empty());
    let modules = sh(&format!(
        "debugfs -R 'ls -p /usr/lib/modules' {p} 2>/dev/null"
    ));
    assert!(
        facts
            .kernels
            .iter()
            .all(|one| modules.contains(&one.version))
    );
    assert_eq!(facts.machine, Some(Machine::X86_64));
}
