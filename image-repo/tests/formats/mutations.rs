// SPDX-License-Identifier: Apache-2.0
//! Thousands of damaged files: whatever the bytes say, there is an image or a refusal, in bounded memory, and nothing is
//! read outside the file.

use crate::{Seed, noise, run, terms, text};
use groundstate_api::Bytes;
use groundstate_api::image::ImageFormat::{self, Qcow2, RawGzip, RawXz, RawZstd, Vhd, Vhdx, Vmdk};
use image_core::disk_file::{DiskFile, ReadError};
use image_core::{qcow2, vmdk};
use image_repo::formats::{self, Input};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use tempfile::TempDir;

/// What the tests may take, in bytes of address space: the readers' own limits are far below.
const MEMORY_MAX: u64 = 3 << 30;
/// The largest disk that a damaged file may claim.
const SIZE_MAX: u64 = 32 << 20;

/// From here on an allocation beyond reason ends the process.
fn bound_memory() {
    let current = Some(MEMORY_MAX);
    let maximum = getrlimit(Resource::As).maximum;
    setrlimit(Resource::As, Rlimit { current, maximum }).unwrap();
}

/// A file in memory that fails the test where it is asked for what it does not have.
struct Strict<'a>(&'a [u8]);

impl DiskFile for Strict<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadError> {
        let at = usize::try_from(at).unwrap();
        into.copy_from_slice(&self.0[at..at + into.len()]);
        Ok(())
    }
}

/// A small disk in a format.
fn image(format: &str, arguments: &[&str]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let (raw, file) = (dir.path().join("raw"), dir.path().join("disk"));
    let (few, text_) = (noise(1, 3_000), b"words ".repeat(3_000));
    crate::sparse(
        &raw,
        2 << 20,
        &[(0, &few), (300_000, &text_), ((2 << 20) - 3_000, &few)],
    );
    let mut all = vec!["convert", "-f", "raw", "-O", format];
    all.extend_from_slice(arguments);
    all.extend([text(&raw), text(&file)]);
    run("qemu-img", &all);
    std::fs::read(file).unwrap()
}

/// Places that a reader follows: everything in the first KiB, and every byte in the file near one that is not zero, but
/// fewer of those that lie among many others, which are data.
fn places(bytes: &[u8]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..1024.min(bytes.len())).collect();
    for (number, block) in bytes.chunks(512).enumerate() {
        let set = block.iter().filter(|byte| **byte != 0).count();
        if set > 0 && set < 256 {
            let near = |at: usize| {
                block[at.saturating_sub(8)..(at + 8).min(block.len())]
                    .iter()
                    .any(|byte| *byte != 0)
            };
            places.extend(
                (0..block.len())
                    .filter(|at| near(*at))
                    .map(|at| number * 512 + at),
            );
        }
    }
    places
}

/// Damages some bytes: one bit, another value, all ones, zero, or a whole number.
fn damage(bytes: &mut [u8], places: &[usize], seed: &mut Seed) {
    for _ in 0..1 + seed.below(3) {
        let at = places[seed.below(places.len())];
        match seed.below(5) {
            0 => bytes[at] ^= 1 << seed.below(8),
            1 => bytes[at] = u8::try_from(seed.below(256)).unwrap(),
            2 => bytes[at] = 0xff,
            3 => bytes[at] = 0,
            _ => {
                let end = (at + 8).min(bytes.len());
                let value = seed.next().to_be_bytes();
                let count = 1 + seed.below(end - at);
                bytes[at..at + count].copy_from_slice(&value[..count]);
            }
        }
    }
}

#[test]
fn tables_of_qcow2_lead_nowhere_outside_the_file() {
    bound_memory();
    let mut taken = 0;
    for (number, options) in [
        "compat=0.10",
        "cluster_size=512",
        "extended_l2=on,cluster_size=16k",
        "cluster_size=4k",
        "",
    ]
    .iter()
    .enumerate()
    {
        let mut arguments = vec![];
        if !options.is_empty() {
            arguments.extend(["-o", *options]);
        }
        if number % 2 == 1 {
            arguments.push("-c");
        }
        let whole = image("qcow2", &arguments);
        let places = places(&whole);
        let mut seed = Seed(number as u64);
        for _ in 0..1_500 {
            let mut bytes = whole.clone();
            damage(&mut bytes, &places, &mut seed);
            if seed.below(8) == 0 {
                bytes.truncate(seed.below(whole.len()));
            }
            let len = bytes.len() as u64;
            let mut file = Strict(&bytes);
            let Ok(mut disk) = qcow2::Qcow2::open(&mut file) else {
                continue;
            };
            taken += 1;
            let (mut at, end) = (0, disk.header().size.min(SIZE_MAX));
            while at < end {
                let extent = disk.extent(&mut file, at).unwrap();
                assert!(extent.length > 0);
                match extent.place {
                    qcow2::Place::Zero => {}
                    qcow2::Place::Data { at } => {
                        assert!(at + extent.length <= len.next_multiple_of(512));
                    }
                    qcow2::Place::Packed { at, length, .. } => assert!(at + length <= len),
                }
                at += extent.length;
            }
        }
    }
    assert!(taken > 500, "{taken} were taken");
}

#[test]
fn tables_of_vmdk_lead_nowhere_outside_the_file() {
    bound_memory();
    let mut taken = 0;
    for (number, options) in ["subformat=monolithicSparse", "subformat=streamOptimized"]
        .iter()
        .enumerate()
    {
        let whole = image("vmdk", &["-o", options]);
        let places = places(&whole);
        let mut seed = Seed(100 + number as u64);
        for _ in 0..2_500 {
            let mut bytes = whole.clone();
            damage(&mut bytes, &places, &mut seed);
            let len = bytes.len() as u64;
            let mut file = Strict(&bytes);
            let Ok(mut disk) = vmdk::Sparse::open(&mut file) else {
                continue;
            };
            taken += 1;
            let _named = disk.descriptor(&mut file).and_then(|text| text.files());
            let (mut at, end) = (0, disk.header().size().min(SIZE_MAX));
            while at < end {
                let extent = disk.extent(&mut file, at).unwrap();
                assert!(extent.length > 0);
                match extent.place {
                    vmdk::Place::Zero => {}
                    vmdk::Place::Data { at } => assert!(at + extent.length <= len),
                    vmdk::Place::Packed { guest, at } => {
                        if let Ok(length) = disk.packed_len(&mut file, at, guest) {
                            assert!(at + 12 + length <= len);
                        }
                    }
                }
                at += extent.length;
            }
        }
    }
    assert!(taken > 500, "{taken} were taken");
}

/// Opens and reads; it may be refused, at any time. Gives whether it was taken.
fn survives(format: ImageFormat, path: &Path) -> bool {
    let mut terms = terms(path.parent().unwrap());
    terms.max_size = Some(Bytes(SIZE_MAX));
    let Ok(mut opened) = formats::open(format, Input::File(path.to_path_buf()), &terms) else {
        return false;
    };
    let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
    loop {
        match opened.content.next(&mut buffer) {
            Ok(image_repo::Piece::Data(count)) => all += count as u64,
            Ok(image_repo::Piece::Zeros(count)) => all += count,
            Ok(image_repo::Piece::End) => break,
            Err(_) => return false,
        }
        assert!(all <= SIZE_MAX);
    }
    true
}

fn mutated(format: ImageFormat, whole: &[u8], rounds: u32) {
    bound_memory();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("damaged");
    std::fs::write(&path, whole).unwrap();
    assert!(survives(format, &path));
    let places = places(whole);
    let mut seed = Seed(whole.len() as u64);
    let mut refused = 0;
    for _ in 0..rounds {
        let mut bytes = whole.to_vec();
        damage(&mut bytes, &places, &mut seed);
        if seed.below(10) == 0 {
            bytes.truncate(seed.below(whole.len()));
        }
        std::fs::write(&path, bytes).unwrap();
        refused += u32::from(!survives(format, &path));
    }
    assert!(refused > rounds / 20, "{refused} of {rounds} were refused");
}

#[test]
fn damaged_qcow2_is_read_or_refused() {
    mutated(
        Qcow2,
        &image("qcow2", &["-c", "-o", "cluster_size=4k"]),
        500,
    );
    let options = "cluster_size=16k,extended_l2=on,compression_type=zstd";
    mutated(Qcow2, &image("qcow2", &["-c", "-o", options]), 500);
}

#[test]
fn damaged_vmdk_is_read_or_refused() {
    mutated(Vmdk, &image("vmdk", &[]), 500);
    mutated(
        Vmdk,
        &image("vmdk", &["-o", "subformat=streamOptimized"]),
        500,
    );
}

#[test]
fn damaged_vhd_and_vhdx_are_read_or_refused() {
    mutated(Vhd, &image("vpc", &[]), 500);
    mutated(Vhdx, &image("vhdx", &["-o", "block_size=1M"]), 80);
}

#[test]
fn damaged_streams_are_refused() {
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("raw");
    let (few, words) = (noise(1, 2_000), b"words and words ".repeat(1_000));
    crate::sparse(&raw, 300_000, &[(0, &few), (100_000, &words)]);
    for (format, program) in [(RawZstd, "zstd"), (RawGzip, "gzip"), (RawXz, "xz")] {
        let whole = run(program, &["-c", "-q", text(&raw)]);
        mutated(format, &whole, 150);
        // Every bit counts: one flipped, and the sum does not agree, or it was none that the bytes hang on.
        let path = dir.path().join("flipped");
        let mut plain = std::fs::read(&raw).unwrap();
        plain.resize(plain.len().next_multiple_of(512), 0);
        let mut refused = 0;
        for at in (0..whole.len()).step_by(11) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
            match crate::read_file(format, &path) {
                Ok((ours, _)) => assert!(ours == plain, "{program}: bit in byte {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > whole.len() / 11 - 10, "{program}: {refused}");
    }
}
