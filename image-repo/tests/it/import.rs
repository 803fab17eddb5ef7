// SPDX-License-Identifier: Apache-2.0
//! Import, and what lies in the store afterwards.

use crate::{Bench, noise};
use groundstate_api::{Bytes, Digest, ReasonCode};
use image_repo::{RawFile, RepoError, Repository};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path);
        }
    }
    all
}

/// The image put together from the store by the zstd command.
fn assembled(bench: &Bench, repository: &Repository, manifest: &Digest) -> Vec<u8> {
    let manifest = repository.manifest(manifest).unwrap();
    let mut image = vec![0; usize::try_from(manifest.size.0).unwrap()];
    for chunk in &manifest.chunks {
        let path = bench.stored("chunks", &chunk.digest.hex());
        let out = Command::new("zstd")
            .arg("-dcq")
            .arg("--")
            .arg(&path)
            .output();
        let out = out.unwrap();
        // The zstd command wants a known ending; it reads its standard input without one.
        let plain = if out.status.success() {
            out.stdout
        } else {
            let input = std::fs::File::open(&path).unwrap();
            Command::new("zstd")
                .arg("-dcq")
                .stdin(input)
                .output()
                .unwrap()
                .stdout
        };
        assert_eq!(Digest::of(&plain), chunk.digest);
        let at = usize::try_from(chunk.offset.0).unwrap();
        image[at..at + plain.len()].copy_from_slice(&plain);
    }
    image
}

#[test]
fn an_image_is_stored_whole_and_only_once() {
    let bench = Bench::new();
    let repository = bench.repository();
    let image = bench.import("1", |_| {}).unwrap();
    assert_eq!(image.size, Bytes(38 << 20));
    assert!(
        assembled(&bench, &repository, &image.manifest) == std::fs::read(&bench.root_fs).unwrap()
    );
    repository.verify(&image).unwrap();
    let manifest = repository.manifest(&image.manifest).unwrap();
    assert!(
        image_core::manifest::data(&manifest) < manifest.size,
        "zeros are not stored"
    );
    let kernel =
        std::fs::read(bench.stored("blobs", &manifest.boot_files().unwrap().kernel.digest.hex()))
            .unwrap();
    assert!(kernel == std::fs::read(&bench.kernel).unwrap());

    let dir = bench.dir.path().join("repository");
    let before = files(&dir);
    assert!(!before.iter().any(|path| path.starts_with(dir.join("tmp"))));
    // The same bytes under another version are another manifest and another name, and nothing else.
    let again = bench.import("2", |_| {}).unwrap();
    let after = files(&dir);
    let new: Vec<_> = after.difference(&before).collect();
    assert_eq!(new.len(), 2, "{new:?}");
    assert_ne!(again.manifest, image.manifest);
}

#[test]
fn the_newest_is_the_last_import_whatever_its_number() {
    let bench = Bench::new();
    let repository = bench.repository();
    assert_eq!(repository.list().unwrap(), []);
    assert_eq!(repository.newest("debian-host").unwrap(), None);
    let two = bench.import("2", |_| {}).unwrap();
    let one = bench.import("10", |_| {}).unwrap();
    assert_eq!(repository.newest("debian-host").unwrap(), Some(one.clone()));
    // The same again is the newest again, and its identity is the same.
    assert_eq!(bench.import("2", |_| {}).unwrap(), two);
    assert_eq!(repository.newest("debian-host").unwrap(), Some(two.clone()));
    let other = bench
        .import("1", |request| request.name = "another")
        .unwrap();
    assert_eq!(repository.newest("debian-host").unwrap(), Some(two.clone()));
    assert_eq!(repository.list().unwrap(), [other, one, two]);
    assert!(repository.newest("../names").is_err());
}

#[test]
fn progress_rises_to_the_end() {
    let bench = Bench::new();
    let mut seen = Vec::new();
    let size = Bytes(38 << 20);
    // One of the packers tells; of 600 chunks it has more than a few, however slow its thread is.
    let mut request = bench.request("1");
    request.chunk_size = Some(Bytes(64 << 10));
    bench
        .repository()
        .import(
            &request,
            &mut RawFile::open(&bench.root_fs).unwrap(),
            &mut |done, total| {
                assert_eq!(total, Some(size));
                seen.push(done);
            },
        )
        .unwrap();
    assert!(
        seen.is_sorted() && seen.last() == Some(&size) && seen.len() > 3,
        "{seen:?}"
    );
}

#[test]
fn what_makes_no_image_is_refused_and_leaves_none() {
    let other = TempDir::new().unwrap();
    let noise_file = other.path().join("noise");
    std::fs::write(&noise_file, noise(9, 1 << 20)).unwrap();
    let cut = other.path().join("cut.ext4");
    let gone = other.path().join("gone");
    let bench = Bench::new();
    std::fs::write(&cut, &std::fs::read(&bench.root_fs).unwrap()[..20 << 20]).unwrap();
    let empty = other.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    let field = |result: Result<_, RepoError>| match result {
        Err(RepoError::Manifest(error)) => error.field(),
        other => panic!("{other:?}"),
    };
    assert_eq!(field(bench.import("../1", |_| {})), "version");
    assert_eq!(field(bench.import("1", |r| r.name = ".git")), "name");
    assert_eq!(
        field(bench.import("1", |r| r.boot.as_mut().unwrap().cmdline = "root=/dev/sda1")),
        "boot.cmdline"
    );
    assert_eq!(
        field(bench.import("1", |r| r.sector_size = 520)),
        "sector_size"
    );
    let wrong = |result: Result<_, RepoError>| match result {
        Err(error @ (RepoError::BootFile { .. } | RepoError::BootMachines { .. })) => {
            error.to_string()
        }
        other => panic!("{other:?}"),
    };
    let said = wrong(bench.import("1", |r| r.boot.as_mut().unwrap().initrd = &empty));
    assert!(
        said.contains("empty: it is no initial RAM file system: it is empty"),
        "{said}"
    );
    // Two that were mixed up, and a text.
    let (kernel, initrd) = (&bench.kernel, &bench.initrd);
    let said = wrong(bench.import("1", |r| r.boot.as_mut().unwrap().initrd = kernel));
    assert!(said.contains("it is a Linux kernel"), "{said}");
    let said = wrong(bench.import("1", |r| r.boot.as_mut().unwrap().kernel = initrd));
    assert!(said.contains("it is a cpio archive"), "{said}");
    let said = wrong(bench.import("1", |r| r.boot.as_mut().unwrap().boot_loader = &noise_file));
    assert!(said.contains("no mark that is known"), "{said}");
    let arm = other.path().join("arm.efi");
    let mut bytes = std::fs::read(&bench.boot_loader).unwrap();
    bytes[0x84..0x86].copy_from_slice(&[0x64, 0xaa]);
    std::fs::write(&arm, bytes).unwrap();
    let said = wrong(bench.import("1", |r| r.boot.as_mut().unwrap().boot_loader = &arm));
    assert!(
        said.contains("for aarch64") && said.contains("is for x86_64"),
        "{said}"
    );
    assert!(matches!(
        bench.import_of(&noise_file),
        Err(RepoError::NotExt4 { .. })
    ));
    assert!(matches!(
        bench.import_of(&empty),
        Err(RepoError::NotExt4 { .. })
    ));
    assert!(matches!(
        bench.import_of(&cut),
        Err(RepoError::CutOff { .. })
    ));
    let error = bench
        .import("1", |r| r.boot.as_mut().unwrap().kernel = &gone)
        .unwrap_err();
    assert!(
        error.to_string().contains("gone could not be opened"),
        "{error}"
    );
    assert_eq!(bench.repository().list().unwrap(), []);
}

#[test]
fn damage_is_found_by_verify_and_healed_by_the_next_import() {
    let bench = Bench::new();
    let repository = bench.repository();
    let image = bench.import("1", |_| {}).unwrap();
    let manifest = repository.manifest(&image.manifest).unwrap();
    let chunk = bench.stored("chunks", &manifest.chunks[1].digest.hex());
    let blob = bench.stored("blobs", &manifest.boot_files().unwrap().initrd.digest.hex());
    for path in [&chunk, &blob] {
        let good = std::fs::read(path).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bad in [&flipped[..], &good[1..], &[&good[..], b"x"].concat(), b""] {
            std::fs::write(path, bad).unwrap();
            let reason = repository.verify(&image).unwrap_err();
            assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
            let text = reason.to_string();
            assert!(
                text.contains(path.to_str().unwrap()) && text.contains("debian-host 1"),
                "{text}"
            );
        }
        assert_eq!(bench.import("1", |_| {}).unwrap(), image);
        repository.verify(&image).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(
            repository.verify(&image).unwrap_err().code,
            ReasonCode::ImageMissing
        );
        std::fs::write(path, good).unwrap();
    }
    let path = bench.stored("manifests", &image.manifest.hex());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("quiet", "noisy")).unwrap();
    assert_eq!(
        repository.verify(&image).unwrap_err().code,
        ReasonCode::ChunkCorrupt
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        repository.verify(&image).unwrap_err().code,
        ReasonCode::ImageMissing
    );
}

#[test]
fn what_a_killed_import_left_is_cleared() {
    let bench = Bench::new();
    drop(bench.repository());
    let left = bench.dir.path().join("repository/tmp/1-1");
    std::fs::write(&left, b"half a chunk").unwrap();
    let folder = bench.dir.path().join("repository/tmp/1-2");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("1-3"), b"half a chunk").unwrap();
    bench.import("1", |_| {}).unwrap();
    assert!(!left.exists() && !folder.exists());
    // Nor does the import that went well leave anything.
    let tmp = bench.dir.path().join("repository/tmp");
    assert_eq!(std::fs::read_dir(tmp).unwrap().count(), 0);
}
