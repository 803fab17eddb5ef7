// SPDX-License-Identifier: Apache-2.0
//! Every format against QEMU, xz, gzip and zstd, against real files, and against files that were made to deceive.
#![allow(clippy::unwrap_used)]

mod bombs;
mod children;
mod corpus;
mod made;
mod mutations;
mod nothing_else;
mod refused;
mod scripted;
mod streams;

use groundstate_api::image::ImageFormat;
use image_repo::formats::{self, Input, Note, Terms};
use image_repo::{Content, GRAIN, Piece, RepoError};
use rustix::fs::{SeekFrom, seek};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is expected of any file: nothing is stated.
fn terms(spool: &Path) -> Terms {
    Terms {
        really: false,
        max_size: None,
        spool: spool.to_path_buf(),
    }
}

/// Reads an image whole, holds the pieces against their contract, and gives the bytes and what was noted.
fn read_all(
    format: ImageFormat,
    input: Input,
    terms: &Terms,
) -> Result<(Vec<u8>, Vec<Note>), RepoError> {
    let mut opened = formats::open(format, input, terms)?;
    let said = opened.content.size();
    let mut bytes = Vec::new();
    let mut buffer = vec![0xa5; 4 * usize::try_from(GRAIN).unwrap()];
    let (mut short, mut zeros_must_follow) = (false, false);
    loop {
        let piece = opened.content.next(&mut buffer)?;
        assert!(
            !short || piece == Piece::End,
            "{piece:?} after the last one"
        );
        assert!(!zeros_must_follow || !matches!(piece, Piece::Data(_)));
        zeros_must_follow = false;
        match piece {
            Piece::Data(count) => {
                assert!(count > 0);
                bytes.extend_from_slice(&buffer[..count]);
                short = !(count as u64).is_multiple_of(GRAIN);
                zeros_must_follow = !short && count < buffer.len();
            }
            Piece::Zeros(count) => {
                assert!(count > 0);
                bytes.resize(bytes.len() + usize::try_from(count).unwrap(), 0);
                short = !count.is_multiple_of(GRAIN);
            }
            Piece::End => break,
        }
    }
    if let Some(said) = said {
        assert_eq!(said.0, bytes.len() as u64);
    }
    assert!(bytes.len().is_multiple_of(512));
    Ok((bytes, opened.notes.take()))
}

/// The same of a file.
fn read_file(format: ImageFormat, path: &Path) -> Result<(Vec<u8>, Vec<Note>), RepoError> {
    let spool = path.parent().unwrap();
    read_all(format, Input::File(path.to_path_buf()), &terms(spool))
}

/// The same of a pipe that the file comes through.
fn read_pipe(format: ImageFormat, path: &Path) -> Result<(Vec<u8>, Vec<Note>), RepoError> {
    let stream = Input::Stream(Box::new(File::open(path).unwrap()));
    read_all(format, stream, &terms(path.parent().unwrap()))
}

/// The first place where two images differ.
fn assert_same(what: &str, ours: &[u8], theirs: &[u8]) {
    assert_eq!(ours.len(), theirs.len(), "{what}: length");
    if ours == theirs {
        return;
    }
    let differs = ours
        .iter()
        .zip(theirs)
        .position(|(one, other)| one != other);
    assert_eq!(differs, None, "{what}: the first byte that differs");
}

/// Runs a command, which succeeds, and gives what it printed.
fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let out = Command::new(program).args(arguments).output();
    let out = out.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        out.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What QEMU reads.
fn qemu_raw(format: &str, path: &Path) -> Vec<u8> {
    let raw = path.with_extension("qemu-raw");
    run(
        "qemu-img",
        &["convert", "-f", format, "-O", "raw", text(path), text(&raw)],
    );
    let bytes = std::fs::read(&raw).unwrap();
    std::fs::remove_file(raw).unwrap();
    bytes
}

/// Reads an image and holds it against a raw file, without having either in memory. Gives how many bytes were data.
fn assert_same_file(what: &str, content: &mut dyn Content, raw: &Path) -> u64 {
    let file = File::open(raw).unwrap();
    let size = file.metadata().unwrap().len();
    let (mut at, mut data) = (0u64, 0);
    let (mut buffer, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        match content.next(&mut buffer).unwrap() {
            Piece::Data(count) => {
                file.read_exact_at(&mut theirs[..count], at).unwrap();
                assert_same(
                    &format!("{what} at {at}"),
                    &buffer[..count],
                    &theirs[..count],
                );
                (at, data) = (at + count as u64, data + count as u64);
            }
            Piece::Zeros(count) => {
                let end = at + count;
                while let Ok(next) = seek(&file, SeekFrom::Data(at))
                    && next < end
                {
                    at = next;
                    let part = theirs.len().min(usize::try_from(end - at).unwrap());
                    file.read_exact_at(&mut theirs[..part], at).unwrap();
                    assert!(
                        theirs[..part].iter().all(|byte| *byte == 0),
                        "{what} at {at}"
                    );
                    at += part as u64;
                }
                at = end;
            }
            Piece::End => break,
        }
    }
    assert_eq!(at, size, "{what}: length");
    data
}

/// Bytes that cannot be compressed and are the same each time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = Seed(seed);
    (0..length.div_ceil(8))
        .flat_map(|_| state.next().to_le_bytes())
        .take(length)
        .collect()
}

/// SplitMix64.
struct Seed(u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// A sparse file with some bytes at some places.
fn sparse(path: &Path, length: u64, pieces: &[(u64, &[u8])]) {
    let file = File::create(path).unwrap();
    file.set_len(length).unwrap();
    for (at, bytes) in pieces {
        file.write_all_at(bytes, *at).unwrap();
    }
}

/// The disks that every format is tried with: empty, sparse with data at odd places, full of noise, and one whose size is
/// a multiple of nothing.
fn disks(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let at = |name: &str| folder.join(name);
    sparse(&at("empty.raw"), 3 << 20, &[]);
    let words = b"groundstate ".repeat(9_000);
    let (few, many) = (noise(1, 700), noise(2, 200_000));
    let pieces: [(u64, &[u8]); 6] = [
        (0, &few),
        (65_536 * 3 + 511, b"x"),
        (1_000_001, &many),
        (5 << 20, &words),
        ((7 << 20) - 1, &few),
        ((9 << 20) + 512 * 3 - 700, &few),
    ];
    sparse(&at("sparse.raw"), (9 << 20) + 512 * 3, &pieces);
    std::fs::write(at("noise.raw"), noise(3, (1 << 20) + 512)).unwrap();
    let mut odd = noise(4, 300_000);
    odd.resize(700_000, 0);
    odd.extend(noise(5, 99_999));
    std::fs::write(at("odd.raw"), odd).unwrap();
    ["empty", "sparse", "noise", "odd"]
        .map(|name| (name, at(&format!("{name}.raw"))))
        .to_vec()
}
