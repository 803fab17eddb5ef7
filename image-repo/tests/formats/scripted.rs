// SPDX-License-Identifier: Apache-2.0
//! Images that were written to by `qemu-io` in ways that `qemu-img convert` never does: zero writes, discards, overwrites,
//! compressed clusters among others, snapshots.

use crate::{Seed, assert_same, qemu_raw, read_file, run, text};
use groundstate_api::image::ImageFormat;
use image_repo::formats::Note;
use std::path::Path;
use tempfile::TempDir;

const SIZE: usize = 6 << 20;

/// Writes at random places, one after the other.
fn scribble(format: &str, file: &Path, seed: u64, compressed: bool) {
    let mut seed = Seed(seed);
    let mut commands = Vec::new();
    for number in 0..40 {
        let at = seed.below(SIZE / 512 - 400) * 512;
        let length = (1 + seed.below(400)) * 512;
        commands.push("-c".to_owned());
        commands.push(match seed.below(if compressed { 6 } else { 5 }) {
            0 | 1 => format!("write -P {} {at} {length}", number + 1),
            2 => format!("write -z {at} {length}"),
            3 => format!("write -zu {at} {length}"),
            4 => format!("discard {at} {length}"),
            _ => format!("write -c -P {} {} 65536", number + 1, at / 65_536 * 65_536),
        });
    }
    let mut all = vec!["-f", format];
    all.extend(commands.iter().map(String::as_str));
    // A cluster that is there already cannot be written compressed; that one command then fails, and the rest does not.
    let out = std::process::Command::new("qemu-io")
        .args(&all)
        .arg(file)
        .output();
    out.unwrap();
}

fn same_after_scribbling(format: ImageFormat, qemu: &str, options: &str, compressed: bool) {
    for seed in 0..3 {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("disk");
        let size = SIZE.to_string();
        let mut all = vec!["create", "-q", "-f", qemu];
        if !options.is_empty() {
            all.extend(["-o", options]);
        }
        all.extend([text(&file), &size]);
        run("qemu-img", &all);
        scribble(qemu, &file, seed, compressed);
        let what = format!("{qemu} {options} {seed}");
        let ours = read_file(format, &file);
        let (ours, _) = ours.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_same(&what, &ours, &qemu_raw(qemu, &file));
    }
}

#[test]
fn qcow2_that_was_used() {
    for options in [
        "",
        "compat=0.10",
        "extended_l2=on",
        "preallocation=metadata",
    ] {
        same_after_scribbling(ImageFormat::Qcow2, "qcow2", options, options.is_empty());
    }
    same_after_scribbling(ImageFormat::Qcow2, "qcow2", "cluster_size=512", false);
    same_after_scribbling(ImageFormat::Qcow2, "qcow2", "compression_type=zstd", true);
    let extended = "extended_l2=on,compression_type=zstd";
    same_after_scribbling(ImageFormat::Qcow2, "qcow2", extended, true);
}

#[test]
fn vmdk_vhd_and_vhdx_that_were_used() {
    same_after_scribbling(ImageFormat::Vmdk, "vmdk", "", false);
    same_after_scribbling(ImageFormat::Vmdk, "vmdk", "zeroed_grain=on", false);
    same_after_scribbling(ImageFormat::Vhd, "vpc", "force_size=on", false);
    same_after_scribbling(ImageFormat::Vhdx, "vhdx", "block_size=1M", false);
}

#[test]
fn snapshots_are_left_out_and_the_disk_is_as_it_is_now() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("disk.qcow2");
    run(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", text(&file), "6M"],
    );
    scribble("qcow2", &file, 11, true);
    run("qemu-img", &["snapshot", "-c", "one", text(&file)]);
    scribble("qcow2", &file, 12, true);
    run("qemu-img", &["snapshot", "-c", "two", text(&file)]);
    scribble("qcow2", &file, 13, true);
    let (ours, notes) = read_file(ImageFormat::Qcow2, &file).unwrap();
    assert_same("with snapshots", &ours, &qemu_raw("qcow2", &file));
    assert_eq!(notes, [Note::Snapshots { count: 2 }]);
}

#[test]
fn an_image_that_was_not_closed_is_read_and_told() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("disk.qcow2");
    let options = "lazy_refcounts=on";
    run(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            options,
            text(&file),
            "6M",
        ],
    );
    // It kills itself while the counts are stale.
    let out = std::process::Command::new("qemu-io")
        .args([
            "-f",
            "qcow2",
            "-c",
            "write -P 9 100k 200k",
            "-c",
            "flush",
            "-c",
            "sigraise 9",
        ])
        .arg(&file)
        .output();
    assert!(!out.unwrap().status.success());
    let (ours, notes) = read_file(ImageFormat::Qcow2, &file).unwrap();
    assert_eq!(notes, [Note::Dirty]);
    assert_same("dirty", &ours, &qemu_raw("qcow2", &file));
    assert!(ours[100 << 10..300 << 10].iter().all(|byte| *byte == 9));
}
