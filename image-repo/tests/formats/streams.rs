// SPDX-License-Identifier: Apache-2.0
//! Compressed streams as `zstd`, `gzip` and `xz` make them, from a file and through a pipe, with everything that their
//! formats allow to follow each other.

use crate::{assert_same, disks, noise, read_file, read_pipe, run, terms, text};
use groundstate_api::image::ImageFormat::{self, Qcow2, Raw, RawGzip, RawXz, RawZstd};
use image_repo::Piece;
use image_repo::formats::{self, Input, Note, propose};
use std::path::Path;
use tempfile::TempDir;

const PROGRAMS: [(ImageFormat, &str, &[&str]); 7] = [
    (RawZstd, "zstd", &["-q", "-c"]),
    (RawZstd, "zstd", &["-q", "-c", "-T2", "-19", "--check"]),
    (RawZstd, "zstd", &["-q", "-c", "--long=27", "--no-check"]),
    (RawGzip, "gzip", &["-c"]),
    (RawGzip, "gzip", &["-c", "-9", "-n"]),
    (RawXz, "xz", &["-c", "-T1"]),
    (
        RawXz,
        "xz",
        &["-c", "-9", "-T2", "--block-size=1MiB", "--check=sha256"],
    ),
];

/// What the image is: the file, and zeros up to a whole sector.
fn wanted(raw: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(raw).unwrap();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn what_the_programs_make_is_read_from_a_file_and_through_a_pipe() {
    let dir = TempDir::new().unwrap();
    for (name, raw) in disks(dir.path()) {
        let wanted = wanted(&raw);
        for (number, (format, program, arguments)) in PROGRAMS.iter().enumerate() {
            let what = format!("{name} {program} {arguments:?}");
            let mut all = arguments.to_vec();
            all.push(text(&raw));
            let file = dir.path().join(format!("{name}.{number}"));
            std::fs::write(&file, run(program, &all)).unwrap();
            assert_eq!(propose(&file).unwrap().0, *format, "{what}");
            for read in [read_file, read_pipe] {
                let (ours, notes) = read(*format, &file).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_same(&what, &ours, &wanted);
                let from = raw.metadata().unwrap().len();
                let to = wanted.len() as u64;
                let padded = Note::Padded { from, to };
                let told = if from == to { vec![] } else { vec![padded] };
                assert_eq!(notes, told, "{what}");
            }
        }
        for read in [read_file, read_pipe] {
            let (ours, _) = read(Raw, &raw).unwrap();
            assert_same(&format!("{name} raw"), &ours, &wanted);
        }
    }
}

#[test]
fn frames_members_and_streams_may_follow_each_other() {
    let dir = TempDir::new().unwrap();
    let parts = [noise(1, 100_000), vec![0; 300_000], noise(2, 70_001)];
    let wanted: Vec<u8> = parts.concat();
    let plain = dir.path().join("part");
    for (format, program) in [(RawZstd, "zstd"), (RawGzip, "gzip"), (RawXz, "xz")] {
        let mut packed = Vec::new();
        for part in &parts {
            std::fs::write(&plain, part).unwrap();
            packed.extend(run(program, &["-c", "-q", text(&plain)]));
            match format {
                // A skippable frame of five bytes.
                RawZstd => packed.extend(b"\x5a\x2a\x4d\x18\x05\0\0\0notes"),
                // Padding is a multiple of four bytes.
                RawXz => packed.extend([0; 8]),
                _ => {}
            }
        }
        let file = dir.path().join(program);
        std::fs::write(&file, &packed).unwrap();
        let (ours, _) = read_file(format, &file).unwrap();
        let mut wanted = wanted.clone();
        wanted.resize(wanted.len().next_multiple_of(512), 0);
        assert_same(program, &ours, &wanted);
    }
    let mut first = b"\x50\x2a\x4d\x18\x02\0\0\0hi".to_vec();
    std::fs::write(&plain, &parts[0]).unwrap();
    first.extend(run("zstd", &["-c", "-q", text(&plain)]));
    let file = dir.path().join("skippable");
    std::fs::write(&file, first).unwrap();
    assert_eq!(propose(&file).unwrap().0, RawZstd);
    assert!(read_file(RawZstd, &file).is_ok());
}

/// Zeros are told and not stored, and a disk that begins with something may have any number of them.
#[test]
fn a_thin_disk_is_taken_however_small_it_is_packed() {
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("thin.raw");
    let data = noise(9, 70_000);
    let size = 300 << 20;
    crate::sparse(&raw, size, &[(0, &data), (size - 70_000, &data)]);
    for (format, program) in [(RawZstd, "zstd"), (RawGzip, "gzip")] {
        let file = dir.path().join(program);
        std::fs::write(&file, run(program, &["-c", "-q", text(&raw)])).unwrap();
        let mut opened = formats::open(format, Input::File(file), &terms(dir.path())).unwrap();
        assert_eq!(opened.content.size(), None);
        let data = crate::assert_same_file(program, &mut *opened.content, &raw);
        assert!(data < 1 << 20, "{program}: {data} bytes of data");
        let (done, all) = opened.content.consumed().unwrap();
        assert_eq!(done, all);
    }
}

#[test]
fn a_disk_through_a_pipe_is_spooled_and_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let (raw, file) = (dir.path().join("raw"), dir.path().join("disk"));
    std::fs::write(&raw, noise(3, 3 << 20)).unwrap();
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            "raw",
            "-O",
            "qcow2",
            text(&raw),
            text(&file),
        ],
    );
    let spool = TempDir::new().unwrap();
    let stream = Input::Stream(Box::new(std::fs::File::open(&file).unwrap()));
    let opened = formats::open(Qcow2, stream, &terms(spool.path())).unwrap();
    let bytes = file.metadata().unwrap().len();
    assert_eq!(opened.notes.take(), [Note::Spooled { bytes }]);
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0);
    let mut content = opened.content;
    crate::assert_same_file("spooled", &mut *content, &raw);
    assert_eq!(content.next(&mut [0; 65_536]).unwrap(), Piece::End);
}

#[test]
fn a_proposal_says_what_it_saw_and_nothing_is_taken_by_it() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("noise"), noise(1, 10_000)).unwrap();
    assert_eq!(propose(&at("noise")), None);
    assert_eq!(propose(&at("absent")), None);
    std::fs::create_dir(at("oci")).unwrap();
    assert_eq!(propose(&at("oci")), None);
    std::fs::write(at("oci/oci-layout"), "{}").unwrap();
    assert_eq!(propose(&at("oci")).unwrap().0, ImageFormat::Oci);
    run(
        "tar",
        &["-cf", text(&at("a.tar")), "-C", text(dir.path()), "noise"],
    );
    assert_eq!(propose(&at("a.tar")).unwrap().0, ImageFormat::Tar);
    run(
        "tar",
        &["-czf", text(&at("a.tgz")), "-C", text(dir.path()), "noise"],
    );
    let (format, evidence) = propose(&at("a.tgz")).unwrap();
    assert_eq!(format, ImageFormat::Tar);
    assert!(
        evidence.contains("gzip") && evidence.contains("tar"),
        "{evidence}"
    );
    run(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", text(&at("q")), "9M"],
    );
    run("gzip", &["-k", "-S", ".z", text(&at("q"))]);
    let (format, evidence) = propose(&at("q.z")).unwrap();
    assert_eq!(format, RawGzip);
    assert!(
        evidence.contains("qcow2; unpack it first") || evidence.contains("as qcow2"),
        "{evidence}"
    );
    let mut disk = vec![0; 4096];
    disk[512..520].copy_from_slice(b"EFI PART");
    std::fs::write(at("gpt"), disk).unwrap();
    let (format, evidence) = propose(&at("gpt")).unwrap();
    assert_eq!(format, Raw);
    assert!(evidence.contains("GUID partition table"), "{evidence}");
}
