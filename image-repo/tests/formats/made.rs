// SPDX-License-Identifier: Apache-2.0
//! What `qemu-img` makes, with every option that changes the file: read by us and by QEMU, byte for byte the same.

use crate::{assert_same, disks, qemu_raw, read_file, read_pipe, run, text};
use groundstate_api::image::ImageFormat;
use tempfile::TempDir;

/// Converts each disk with these options, and compares; through a pipe as well where the format is in one file.
fn same_as_qemu(format: ImageFormat, qemu: &str, arguments: &[&str], pipe: bool) {
    let dir = TempDir::new().unwrap();
    for (name, raw) in disks(dir.path()) {
        let file = dir.path().join(format!("{name}.{qemu}"));
        let mut all = vec!["convert", "-f", "raw", "-O", qemu];
        all.extend_from_slice(arguments);
        all.extend([text(&raw), text(&file)]);
        run("qemu-img", &all);
        let what = format!("{name} {arguments:?}");
        let theirs = qemu_raw(qemu, &file);
        let ours = read_file(format, &file);
        let (ours, _) = ours.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_same(&what, &ours, &theirs);
        if pipe {
            let (piped, _) = read_pipe(format, &file).unwrap();
            assert_same(&format!("{what} through a pipe"), &piped, &theirs);
        }
    }
}

fn qcow2(options: &[&str]) {
    for arguments in options {
        let arguments: Vec<_> = arguments
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect();
        same_as_qemu(ImageFormat::Qcow2, "qcow2", &arguments, false);
    }
}

#[test]
fn qcow2_of_both_versions() {
    qcow2(&[
        "-o compat=0.10",
        "-o compat=1.1",
        "-o compat=1.1,lazy_refcounts=on",
        "-o refcount_bits=1",
        "-o refcount_bits=64",
    ]);
    same_as_qemu(ImageFormat::Qcow2, "qcow2", &[], true);
}

#[test]
fn qcow2_of_every_cluster_size() {
    qcow2(&[
        "-o cluster_size=512",
        "-o cluster_size=1k,compat=0.10",
        "-o cluster_size=4k",
        "-o cluster_size=32k",
        "-o cluster_size=1M",
        "-o cluster_size=2M",
    ]);
}

#[test]
fn qcow2_with_subclusters() {
    qcow2(&[
        "-o extended_l2=on,cluster_size=16k",
        "-o extended_l2=on",
        "-o extended_l2=on,cluster_size=128k,lazy_refcounts=on",
        "-o extended_l2=on,cluster_size=2M",
    ]);
}

#[test]
fn qcow2_compressed_by_zlib() {
    qcow2(&[
        "-c",
        "-c -o compat=0.10",
        "-c -o cluster_size=512",
        "-c -o cluster_size=4k,compression_type=zlib",
        "-c -o cluster_size=2M",
        "-c -o extended_l2=on,cluster_size=32k",
    ]);
}

#[test]
fn qcow2_compressed_by_zstd() {
    qcow2(&[
        "-c -o compression_type=zstd",
        "-c -o compression_type=zstd,cluster_size=512",
        "-c -o compression_type=zstd,cluster_size=2M",
        "-c -o compression_type=zstd,extended_l2=on",
        "-o compression_type=zstd",
    ]);
}

#[test]
fn qcow2_preallocated() {
    qcow2(&[
        "-o preallocation=metadata",
        "-o preallocation=falloc",
        "-o preallocation=full",
        "-o preallocation=metadata,extended_l2=on",
        "-o preallocation=metadata,cluster_size=2M",
    ]);
}

#[test]
fn vmdk_in_one_file() {
    for options in [
        "subformat=monolithicSparse",
        "subformat=monolithicSparse,adapter_type=lsilogic,hwversion=8",
        "subformat=monolithicSparse,adapter_type=buslogic,compat6=on",
        "subformat=monolithicSparse,adapter_type=legacyESX,zeroed_grain=on",
        "subformat=streamOptimized",
        "subformat=streamOptimized,adapter_type=lsilogic",
    ] {
        same_as_qemu(ImageFormat::Vmdk, "vmdk", &["-o", options], true);
    }
}

/// QEMU writes `CID` of a new number over the text; one file in 256 keeps the end of the longer text behind its zero.
#[test]
fn vmdk_with_the_end_of_a_longer_text_behind_its_own() {
    let dir = TempDir::new().unwrap();
    let (raw, file) = (dir.path().join("a.raw"), dir.path().join("a.vmdk"));
    crate::sparse(&raw, 1 << 20, &[(0, b"groundstate")]);
    let all = [
        "convert",
        "-f",
        "raw",
        "-O",
        "vmdk",
        text(&raw),
        text(&file),
    ];
    run("qemu-img", &all);
    let whole = std::fs::read(&file).unwrap();
    let at = |bytes: &[u8], mark: &[u8]| bytes.windows(mark.len()).position(|here| here == mark);
    let cid = at(&whole, b"\nCID=").unwrap() + 5;
    let line = cid + at(&whole[cid..], b"\n").unwrap();
    let end = cid + at(&whole[cid..], b"\0").unwrap();
    let mut shorter = b"7".to_vec();
    shorter.extend_from_slice(&whole[line..=end]);
    let mut left = whole.clone();
    left[cid..cid + shorter.len()].copy_from_slice(&shorter);
    assert!(left[cid + shorter.len()..end].iter().any(|byte| *byte != 0));
    std::fs::write(&file, &left).unwrap();
    let theirs = qemu_raw("vmdk", &file);
    let (ours, _) = read_file(ImageFormat::Vmdk, &file).unwrap();
    assert_same("with what was left", &ours, &theirs);
    left[end - 1] = b'x';
    std::fs::write(&file, &left).unwrap();
    let refused = read_file(ImageFormat::Vmdk, &file).unwrap_err();
    assert!(refused.to_string().contains("not text"), "{refused}");
}

#[test]
fn vmdk_in_several_files() {
    for options in [
        "subformat=monolithicFlat",
        "subformat=twoGbMaxExtentSparse",
        "subformat=twoGbMaxExtentFlat,adapter_type=lsilogic",
        "subformat=twoGbMaxExtentSparse,zeroed_grain=on",
    ] {
        same_as_qemu(ImageFormat::Vmdk, "vmdk", &["-o", options], false);
    }
}

#[test]
fn vhd() {
    for options in [
        "subformat=dynamic",
        "subformat=dynamic,force_size=on",
        "subformat=fixed",
        "subformat=fixed,force_size=on",
    ] {
        same_as_qemu(ImageFormat::Vhd, "vpc", &["-o", options], true);
    }
}

#[test]
fn vhdx() {
    for options in [
        "subformat=dynamic",
        "subformat=dynamic,block_size=1M",
        "subformat=dynamic,block_size=8M,block_state_zero=off",
        "subformat=dynamic,block_size=256M,log_size=2M",
        "subformat=fixed",
        "subformat=fixed,block_size=1M",
    ] {
        let pipe = options == "subformat=dynamic";
        same_as_qemu(ImageFormat::Vhdx, "vhdx", &["-o", options], pipe);
    }
}

/// A disk of 5 GiB in three files, with data on both sides of each border.
#[test]
fn vmdk_goes_on_in_the_next_file() {
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("disk.raw");
    let data = crate::noise(7, 300_000);
    let gib = 1 << 30;
    crate::sparse(
        &raw,
        5 * gib,
        &[
            (100, &data),
            (2 * gib - 150_000, &data),
            (4 * gib - 511, &data),
        ],
    );
    for kind in ["twoGbMaxExtentSparse", "twoGbMaxExtentFlat"] {
        let file = dir.path().join(format!("{kind}.vmdk"));
        let option = format!("subformat={kind}");
        run(
            "qemu-img",
            &[
                "convert",
                "-f",
                "raw",
                "-O",
                "vmdk",
                "-o",
                &option,
                text(&raw),
                text(&file),
            ],
        );
        let terms = crate::terms(dir.path());
        let opened = image_repo::formats::open(
            ImageFormat::Vmdk,
            image_repo::formats::Input::File(file),
            &terms,
        );
        let mut content = opened.unwrap().content;
        let data_bytes = crate::assert_same_file(kind, &mut *content, &raw);
        assert!(
            (900_000..2 << 20).contains(&data_bytes),
            "{kind}: {data_bytes}"
        );
    }
}

/// As VMware writes a stream: the directory's place is only known at the end, in a footer between two markers.
#[test]
fn a_stream_whose_directory_is_told_in_its_footer() {
    let dir = TempDir::new().unwrap();
    let (_, raw) = disks(dir.path()).swap_remove(1);
    let file = dir.path().join("stream.vmdk");
    let option = "subformat=streamOptimized";
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            "raw",
            "-O",
            "vmdk",
            "-o",
            option,
            text(&raw),
            text(&file),
        ],
    );
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    let footer = bytes[..512].to_vec();
    bytes[56..64].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut marker = [0; 512];
    marker[0] = 1;
    marker[12] = 3;
    bytes.extend([&marker[..], &footer, &[0; 512]].concat());
    std::fs::write(&file, &bytes).unwrap();
    let theirs = qemu_raw("vmdk", &file);
    let (ours, _) = read_file(ImageFormat::Vmdk, &file).unwrap();
    assert_same("with a footer", &ours, &theirs);
    for (cut, reason) in [
        (512, "has no footer"),
        (1, "has no footer"),
        (0, "differ in capacity"),
    ] {
        let mut bytes = bytes[..bytes.len() - cut].to_vec();
        if cut == 0 {
            let at = bytes.len() - 1024 + 12;
            bytes[at] ^= 0x80;
        }
        std::fs::write(&file, bytes).unwrap();
        let error = read_file(ImageFormat::Vmdk, &file).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
