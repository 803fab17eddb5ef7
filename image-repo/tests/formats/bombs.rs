// SPDX-License-Identifier: Apache-2.0
//! Streams that unpack to far more than they are, with nothing behind it.

use crate::{noise, read_all, terms};
use groundstate_api::Bytes;
use groundstate_api::image::ImageFormat::{self, Raw, RawGzip, RawXz, RawZstd};
use image_repo::RepoError;
use image_repo::formats::{self, FormatError, Input};
use std::io::{self, Read, Write as _};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// So many bytes of one value, packed by the program.
fn packed(program: &str, value: u8, bytes: usize) -> Vec<u8> {
    let child = Command::new(program)
        .args(["-c", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let piece = vec![value; 1 << 20];
        for _ in 0..bytes >> 20 {
            input.write_all(&piece).unwrap();
        }
    });
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    out
}

/// Reads to the end and forgets what comes.
fn drain(format: ImageFormat, bytes: Vec<u8>, max: Option<u64>) -> Result<u64, FormatError> {
    let dir = TempDir::new().unwrap();
    let mut terms = terms(dir.path());
    terms.max_size = max.map(Bytes);
    let result = formats::open(
        format,
        Input::Stream(Box::new(io::Cursor::new(bytes))),
        &terms,
    )
    .and_then(|mut opened| {
        let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
        loop {
            match opened.content.next(&mut buffer)? {
                image_repo::Piece::Data(count) => all += count as u64,
                image_repo::Piece::Zeros(count) => all += count,
                image_repo::Piece::End => return Ok(all),
            }
        }
    });
    result.map_err(|error| match error {
        RepoError::Format(error) => error,
        other => panic!("{other}"),
    })
}

#[test]
fn nothing_but_zeros_is_a_bomb_unless_its_size_is_stated() {
    for (format, program) in [(RawGzip, "gzip"), (RawZstd, "zstd")] {
        let bomb = packed(program, 0, 260 << 20);
        let error = drain(format, bomb.clone(), None).unwrap_err();
        assert!(
            matches!(error, FormatError::NothingButZeros { .. }),
            "{program}: {error}"
        );
        assert_eq!(
            drain(format, bomb.clone(), Some(260 << 20)).unwrap(),
            260 << 20
        );
        let error = drain(format, bomb, Some(259 << 20)).unwrap_err();
        assert!(
            matches!(error, FormatError::TooLarge { .. }),
            "{program}: {error}"
        );
    }
    // A small empty disk is one.
    assert_eq!(
        drain(RawGzip, packed("gzip", 0, 64 << 20), None).unwrap(),
        64 << 20
    );
}

#[test]
fn a_pattern_that_repeats_for_ever_is_a_bomb() {
    let bomb = packed("zstd", 0xff, 1100 << 20);
    let error = drain(RawZstd, bomb, None).unwrap_err();
    assert!(matches!(error, FormatError::Expands { .. }), "{error}");
}

/// An endless pipe.
struct Endless;

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        into.fill(1);
        Ok(into.len())
    }
}

#[test]
fn an_endless_pipe_ends_at_the_stated_size() {
    let dir = TempDir::new().unwrap();
    let mut terms = terms(dir.path());
    terms.max_size = Some(Bytes::mib(3));
    let error = read_all(Raw, Input::Stream(Box::new(Endless)), &terms).unwrap_err();
    let RepoError::Format(FormatError::TooLarge { max, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(max, Bytes::mib(3));
    let vhdx = io::Cursor::new(b"vhdxfile").chain(Endless);
    let error = read_all(ImageFormat::Vhdx, Input::Stream(Box::new(vhdx)), &terms).unwrap_err();
    assert!(
        matches!(error, RepoError::Format(FormatError::SpoolTooLarge { .. })),
        "{error}"
    );
}

#[test]
fn a_window_or_dictionary_beyond_the_limit_is_refused_before_memory_is_taken() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("noise");
    std::fs::write(&file, noise(1, 100_000)).unwrap();
    // A frame that says a window of 2 GiB: no single segment, exponent 21.
    let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec();
    let error = drain(RawZstd, frame, None).unwrap_err();
    assert!(matches!(error, FormatError::Window { .. }), "{error}");
    let out = Command::new("xz")
        .args(["-c", "--lzma2=dict=256MiB", "-T1", "-M", "6GiB"])
        .arg(&file)
        .output();
    let error = drain(RawXz, out.unwrap().stdout, None).unwrap_err();
    assert!(matches!(error, FormatError::Dictionary { .. }), "{error}");
}
