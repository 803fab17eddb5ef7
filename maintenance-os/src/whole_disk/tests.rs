// SPDX-License-Identifier: Apache-2.0
//! Disks made by sgdisk and mtools, written to a larger one, fitted, and judged by sgdisk, mtools and the boot loader's own
//! words.

mod fitting;

use super::*;
use groundstate_api::image::{
    BootEntry, Chunk, ImageFormat, ImageKind, MANIFEST_SCHEMA, Manifest, RequiredFirmware,
};
use groundstate_api::{Bytes, Digest};
use image_core::merkle;
use mos_core::guid::Guid;
use mos_core::whole_disk::{Identity, Refusal, Table, Wishes};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const MIB: u64 = 1 << 20;
const CHUNK: u64 = 256 * 1024;
const SEED: Digest = Digest([9; 32]);

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An ESP with a loader entry that names the second partition, and a second partition.
fn image(dir: &Path) -> (PathBuf, Vec<Guid>) {
    let path = dir.join("image.raw");
    File::create(&path).unwrap().set_len(72 * MIB).unwrap();
    run(
        "sgdisk",
        &[
            "-n1:2048:+40M",
            "-t1:ef00",
            "-n2:0:0",
            "-c2:root",
            text(&path),
        ],
    );
    let gpt = match look_at_disk(&path, 512).unwrap() {
        Table::Gpt(gpt) => gpt,
        other @ (Table::None | Table::Mbr) => panic!("{other:?}"),
    };
    let guids: Vec<Guid> = gpt.partitions().iter().map(|one| one.guid).collect();
    let entry = dir.join("host.conf");
    let words = format!(
        "title host\noptions root=PARTUUID={} quiet\n",
        guids[1].lower()
    );
    fs::write(&entry, words).unwrap();
    let at = format!("{}@@1M", text(&path));
    let made = ["-i", &at, "-F", "-T", "81920", "::"];
    run("mformat", &made);
    run("mmd", &["-i", &at, "::loader", "::loader/entries"]);
    run(
        "mcopy",
        &["-i", &at, text(&entry), "::loader/entries/host.conf"],
    );
    (path, guids)
}

/// The manifest of these bytes, without what stores them.
fn manifest(bytes: &[u8], sector_size: u32) -> Manifest {
    let chunks: Vec<Chunk> = bytes
        .chunks(usize::try_from(CHUNK).unwrap())
        .zip(0u64..)
        .filter(|(bytes, _)| bytes.iter().any(|byte| *byte != 0))
        .map(|(bytes, index)| Chunk {
            offset: Bytes(index * CHUNK),
            length: Bytes(bytes.len() as u64),
            digest: Digest::of(bytes),
            stored_length: Bytes(1),
            stored_digest: Digest([0; 32]),
        })
        .collect();
    Manifest {
        schema: MANIFEST_SCHEMA,
        name: "disk".to_owned(),
        version: "1".to_owned(),
        kind: ImageKind::WholeDisk,
        format: ImageFormat::Raw,
        architecture: None,
        firmware: RequiredFirmware::Any,
        boot: BootEntry::None,
        size: Bytes(bytes.len() as u64),
        sector_size,
        minimum_size: Bytes(bytes.len() as u64),
        chunk_size: Bytes(CHUNK),
        merkle_root: merkle::root(&chunks),
        chunks,
    }
}

fn on_a_larger_disk(dir: &Path, image: &[u8], size: u64) -> PathBuf {
    let path = dir.join("disk.raw");
    fs::write(&path, image).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(size)
        .unwrap();
    path
}

const NEW: Option<Identity<'static>> = Some(Identity {
    seed: &SEED,
    serial: "S1",
});

fn guids(disk: &Path) -> Vec<Guid> {
    match look_at_disk(disk, 512).unwrap() {
        Table::Gpt(gpt) => gpt.partitions().iter().map(|one| one.guid).collect(),
        other @ (Table::None | Table::Mbr) => panic!("{other:?}"),
    }
}

fn entry(disk: &Path) -> String {
    let at = format!("{}@@1M", text(disk));
    run("mtype", &["-i", &at, "::loader/entries/host.conf"])
}

#[test]
fn a_written_disk_is_whole_and_its_loader_entry_names_the_new_root() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (path, old) = image(dir);
    let bytes = fs::read(&path).unwrap();
    let manifest = manifest(&bytes, 512);
    let disk = on_a_larger_disk(dir, &bytes, 100 * MIB);
    look_at_image(&mut Vec2(bytes), "disk 1", Bytes(100 * MIB), 512).unwrap();
    let fit = fit(&disk, &manifest, 512, NEW, &mut |done, total| {
        assert!(done <= total);
    })
    .unwrap();
    assert!(run("sgdisk", &["-v", text(&disk)]).contains("No problems found"));
    let new = guids(&disk);
    assert!(new.iter().all(|one| !old.contains(one)), "{new:?}");
    let entry = entry(&disk);
    assert!(entry.contains(&new[1].lower()), "{entry}");
    assert!(!entry.contains(&old[1].lower()), "{entry}");
    assert!(fit.facts[1].starts_with("1 names"), "{:?}", fit.facts);
    // The same once more changes nothing more than it must: the disk is right and stays right.
    super::fit(&disk, &manifest, 512, NEW, &mut |_, _| {}).unwrap();
    assert!(run("sgdisk", &["-v", text(&disk)]).contains("No problems found"));
}

/// A vector that is read as an image.
struct Vec2(Vec<u8>);

impl mos_core::random_access::ReadAt for Vec2 {
    type Error = std::io::Error;
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), std::io::Error> {
        let at = usize::try_from(at).unwrap();
        into.copy_from_slice(&self.0[at..at + into.len()]);
        Ok(())
    }
}

#[test]
fn a_root_that_names_itself_keeps_its_guid_and_so_says_the_fact() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (path, old) = image(dir);
    let mut bytes = fs::read(&path).unwrap();
    // A file system table in the second partition, across the border of two pieces that are read.
    let name = old[1].upper();
    let at = usize::try_from(44 * MIB).unwrap() - 17;
    bytes[at..at + 36].copy_from_slice(name.as_bytes());
    let manifest = manifest(&bytes, 512);
    let disk = on_a_larger_disk(dir, &bytes, 100 * MIB);
    let fit = fit(&disk, &manifest, 512, NEW, &mut |_, _| {}).unwrap();
    let new = guids(&disk);
    assert_eq!(new[1], old[1]);
    assert_ne!(new[0], old[0]);
    assert!(entry(&disk).contains(&old[1].lower()));
    assert!(run("sgdisk", &["-v", text(&disk)]).contains("No problems found"));
    let said = fit.facts.last().unwrap();
    assert!(said.contains("of partition 2 stays"), "{said}");
    assert!(said.contains("2 times"), "{said}");
    // What is shut is no disk that boots.
    shut(&disk, 512).unwrap();
    assert_eq!(look_at_disk(&disk, 512).unwrap(), Table::None);
    // Asked to keep all, it keeps all.
    let disk = on_a_larger_disk(dir, &bytes, 80 * MIB);
    super::fit(&disk, &manifest, 512, Wishes::default(), &mut |_, _| {}).unwrap();
    assert_eq!(guids(&disk), old);
    assert!(run("sgdisk", &["-v", text(&disk)]).contains("No problems found"));
}

#[test]
fn what_has_no_guid_table_stays_as_it_is_and_other_sectors_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let bytes = vec![7u8; usize::try_from(MIB).unwrap()];
    let disk = on_a_larger_disk(dir, &bytes, 2 * MIB);
    let before = fs::read(&disk).unwrap();
    let fit = fit(&disk, &manifest(&bytes, 512), 512, NEW, &mut |_, _| {}).unwrap();
    assert!(fit.fix_up.is_none());
    assert_eq!(fs::read(&disk).unwrap(), before);
    let refused = super::fit(&disk, &manifest(&bytes, 512), 4_096, NEW, &mut |_, _| {});
    let refused = refused.unwrap_err();
    assert!(matches!(
        refused,
        FitError::Refused(Refusal::SectorSize {
            table: 512,
            disk: 4_096
        })
    ));
    let said = refused.reason("disk 1").to_string();
    assert!(said.contains("sectors of 4096"), "{said}");
}

/// A loop device of such sectors over a file; needs root, and says where it was not tried.
struct Loop(String);

impl Loop {
    fn new(file: &Path, sector: u32) -> Option<Self> {
        let sector = sector.to_string();
        let output = Command::new("losetup")
            .args(["--find", "--show", "--sector-size", &sector, text(file)])
            .output()
            .ok()?;
        if !output.status.success() {
            eprintln!("not tried on a loop device: {output:?}");
            return None;
        }
        Some(Self(
            String::from_utf8(output.stdout).unwrap().trim().to_owned(),
        ))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn disks_of_both_sector_sizes_are_fitted() {
    for sector in [512u32, 4_096] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let small = dir.join("small");
        File::create(&small).unwrap().set_len(48 * MIB).unwrap();
        let Some(device) = Loop::new(&small, sector) else {
            return;
        };
        run("sgdisk", &["-n1:0:+8M", "-t1:ef00", "-n2:0:0", &device.0]);
        drop(device);
        let bytes = fs::read(&small).unwrap();
        let large = on_a_larger_disk(dir, &bytes, 96 * MIB);
        let Some(device) = Loop::new(&large, sector) else {
            return;
        };
        let path = PathBuf::from(&device.0);
        let fit = fit(&path, &manifest(&bytes, sector), 512, NEW, &mut |_, _| {}).unwrap();
        assert_eq!(fit.fix_up.unwrap().renamed.len(), 3);
        assert!(run("sgdisk", &["-v", &device.0]).contains("No problems found"));
    }
}
