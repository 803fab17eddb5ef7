// SPDX-License-Identifier: Apache-2.0
//! What was imported comes out again, byte for byte, in each format; judged by qemu-img and zstd.

use crate::disk::{CHUNK, chunk_files, disk, folder, import};
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageRef};
use image_repo::{ExportRequest, Exported, RepoError, Repository};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

const SEEDS: [u64; 40] = {
    let mut seeds = [0; 40];
    seeds[0] = 1;
    seeds[1] = 2;
    seeds[30] = 3;
    seeds[38] = 4;
    seeds
};

fn export(
    repository: &Repository,
    image: &ImageRef,
    output: &Path,
    format: ImageFormat,
) -> Result<Exported, RepoError> {
    let request = ExportRequest {
        image,
        output,
        format,
        force: false,
        device: false,
    };
    let mut last = (Bytes(0), Bytes(1));
    let done = repository.export(&request, &mut |done, total| last = (done, total))?;
    assert_eq!(last, (image.size, image.size));
    Ok(done)
}

#[test]
fn every_format_gives_the_bytes_back() {
    let dir = folder();
    let repository = Repository::open(&dir.path().join("r")).unwrap();
    let bytes = disk(&SEEDS);
    let image = import(&repository, "1", &bytes).image;
    let raw = dir.path().join("disk.raw");
    let done = export(&repository, &image, &raw, ImageFormat::Raw).unwrap();
    assert_eq!((done.length, done.chunks), (image.size, 4));
    assert!(fs::read(&raw).unwrap() == bytes);
    let found = fs::metadata(&raw).unwrap();
    assert!(found.blocks() * 512 <= 5 * CHUNK as u64, "holes stay holes");

    let packed = dir.path().join("disk.zst");
    export(&repository, &image, &packed, ImageFormat::RawZstd).unwrap();
    let plain = Command::new("zstd").arg("-dcq").arg(&packed).output();
    assert!(plain.unwrap().stdout == bytes);

    for (format, name) in [(ImageFormat::Vhd, "vpc"), (ImageFormat::Vhdx, "vhdx")] {
        let made = dir.path().join(name);
        let done = export(&repository, &image, &made, format).unwrap();
        assert_eq!(done.length.0, fs::metadata(&made).unwrap().len());
        let same = Command::new("qemu-img")
            .args(["compare", "-f", "raw", "-F", name])
            .args([&raw, &made])
            .output()
            .unwrap();
        assert!(same.status.success(), "{name}: {same:?}");
    }
    for format in [ImageFormat::Qcow2, ImageFormat::Tar, ImageFormat::RawXz] {
        let error = export(&repository, &image, &dir.path().join("x"), format).unwrap_err();
        assert!(matches!(error, RepoError::ExportFormat { .. }), "{error}");
    }
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 5, "no draft is left");
}

#[test]
fn nothing_is_written_over_and_nothing_damaged_comes_out() {
    let dir = folder();
    let repository = Repository::open(&dir.path().join("r")).unwrap();
    let image = import(&repository, "1", &disk(&[1, 0, 2])).image;
    let output = dir.path().join("there");
    fs::write(&output, b"mine").unwrap();
    let error = export(&repository, &image, &output, ImageFormat::Raw).unwrap_err();
    assert!(error.to_string().contains("is there already"), "{error}");
    let error = export(&repository, &image, dir.path(), ImageFormat::Raw).unwrap_err();
    assert!(error.to_string().contains("neither a file"), "{error}");
    let error = export(
        &repository,
        &image,
        Path::new("/dev/null"),
        ImageFormat::Raw,
    )
    .unwrap_err();
    assert!(error.to_string().contains("neither a file"), "{error}");
    let path = dir
        .path()
        .join("r")
        .join(&chunk_files(&dir.path().join("r"))[0]);
    let mut stored = fs::read(&path).unwrap();
    *stored.last_mut().unwrap() ^= 1;
    fs::write(&path, stored).unwrap();
    for format in [
        ImageFormat::Raw,
        ImageFormat::RawZstd,
        ImageFormat::Vhd,
        ImageFormat::Vhdx,
    ] {
        let request = ExportRequest {
            image: &image,
            output: &output,
            format,
            force: true,
            device: false,
        };
        let error = repository.export(&request, &mut |_, _| {}).unwrap_err();
        assert!(matches!(error, RepoError::ChunkDamaged { .. }), "{error}");
        assert_eq!(fs::read(&output).unwrap(), b"mine");
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "no draft is left"
    );
}
