// SPDX-License-Identifier: Apache-2.0
//! Real files that other programs wrote: the test data of QEMU and dfvfs.

use crate::{assert_same_file, run, text};
use groundstate_api::image::ImageFormat;
use image_repo::formats::{self, Input, propose};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The corpus, or `None` where it is absent; with `CI` set it must be there.
fn corpus(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no corpus at {}",
        path.display()
    );
    eprintln!("skipped: no corpus at {}", path.display());
    None
}

/// Every file in the folder that unpacks to a disk image, unpacked, with its format by its name.
fn unpacked(folder: &Path, into: &Path) -> Vec<(ImageFormat, &'static str, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let program = match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => "gzip",
            Some("bz2") => "bzip2",
            _ => continue,
        };
        let plain = into.join(path.file_stem().unwrap());
        let (format, qemu) = match plain.extension().and_then(|ending| ending.to_str()) {
            Some("qcow2") => (ImageFormat::Qcow2, "qcow2"),
            Some("vhd") => (ImageFormat::Vhd, "vpc"),
            Some("vhdx") => (ImageFormat::Vhdx, "vhdx"),
            Some("vmdk") => (ImageFormat::Vmdk, "vmdk"),
            _ => continue,
        };
        std::fs::write(&plain, run(program, &["-dc", text(&path)])).unwrap();
        found.push((format, qemu, plain));
    }
    found
}

#[test]
fn files_that_others_wrote_are_read_as_qemu_reads_them() {
    let Some(folder) = corpus("disk-images") else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let mut count = 0;
    for part in ["dfvfs", "qemu-iotests"] {
        for (format, qemu, path) in unpacked(&folder.join(part), dir.path()) {
            let what = path.display().to_string();
            assert_eq!(propose(&path).map(|(format, _)| format), Some(format));
            let input = Input::File(path.clone());
            let opened = formats::open(format, input, &crate::terms(dir.path()));
            let mut opened = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
            let raw = path.with_extension("raw");
            run(
                "qemu-img",
                &["convert", "-f", qemu, "-O", "raw", text(&path), text(&raw)],
            );
            let data = assert_same_file(&what, &mut *opened.content, &raw);
            eprintln!("{what}: {data} bytes of data, {:?}", opened.notes.take());
            count += 1;
        }
    }
    assert!(count >= 4, "{count} images");
}
