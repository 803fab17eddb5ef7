// SPDX-License-Identifier: Apache-2.0
//! Reads the image back from the disk itself and compares every byte of it with the manifest.

use super::Moved;
use super::buffer::Aligned;
use super::clock::Clock;
use super::target::{REQUEST_MAX, Target};
use groundstate_api::image::Manifest;
use groundstate_api::limits::CHUNK_SIZE_MAX;
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};
use image_core::limits::flight;
use image_core::manifest::{digest, title};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Threads that hash: SHA-256 is slower than any disk.
const HASHERS: usize = 2;
/// The most buffers: one that is read into and one with each hasher.
const BUFFERS_MAX: usize = HASHERS + 1;

/// A piece of the image: a chunk, or a piece of a zero run.
#[derive(Clone, Copy)]
struct Piece {
    offset: u64,
    length: u64,
    /// `None`: it reads as zero.
    digest: Option<Digest>,
}

struct Job(Piece, Aligned);
struct Verdict(Piece, Aligned, Result<(), String>);

/// Reads every byte of the image from `target`, past the page cache, and compares: chunks by SHA-256, zero runs with
/// zero. Returns what is true of it, a line each.
///
/// # Errors
/// The disk gives other bytes than were written, or fails.
pub fn read_back(
    manifest: &Manifest,
    target: &Path,
    on: &mut dyn FnMut(Moved),
) -> Result<Vec<String>, Reason> {
    read_back_within(REQUEST_MAX, manifest, target, on)
}

/// The same of a disk none of whose requests may take longer than `patience`.
pub(super) fn read_back_within(
    patience: Duration,
    manifest: &Manifest,
    target: &Path,
    on: &mut dyn FnMut(Moved),
) -> Result<Vec<String>, Reason> {
    let path = target;
    let mut target = Target::open(path, manifest, false, patience)?;
    target.flush()?;
    target.forget()?;
    let clock = Clock::start();
    let (jobs, job) = mpsc::channel();
    let (tell, verdicts) = mpsc::channel();
    let job = Mutex::new(job);
    std::thread::scope(|scope| {
        for _ in 0..HASHERS {
            let (tell, job) = (tell.clone(), &job);
            scope.spawn(move || hash(job, &tell));
        }
        drop(tell);
        let verdict = compare(manifest, &mut target, path, &jobs, &verdicts, on);
        // The hashers end when their channel closes.
        drop(jobs);
        verdict
    })?;
    let took = clock.took();
    let rate = manifest.size.0.saturating_mul(1_000) / took.0.max(1);
    Ok(vec![
        format!(
            "{} of {} read back in {took} ({}/s), {} chunks and the zeros between them as the manifest says",
            manifest.size,
            title(manifest),
            Bytes(rate),
            manifest.chunks.len()
        ),
        format!("manifest {}", digest(manifest)),
        target.fact(),
    ])
}

fn compare(
    manifest: &Manifest,
    target: &mut Target,
    path: &Path,
    jobs: &Sender<Job>,
    verdicts: &Receiver<Verdict>,
    on: &mut dyn FnMut(Moved),
) -> Result<(), Reason> {
    let buffer_size = usize::try_from(manifest.chunk_size.0.min(CHUNK_SIZE_MAX.0)).unwrap_or(0);
    let buffers = flight(manifest.chunk_size).clamp(1, BUFFERS_MAX);
    let mut spare: Vec<Aligned> = (0..buffers).map(|_| Aligned::zeroed(buffer_size)).collect();
    let mut pieces = pieces(manifest).into_iter();
    let (mut out, mut done) = (0usize, 0u64);
    loop {
        while let Some(buffer) = spare.pop() {
            let Some(piece) = pieces.next() else {
                spare.push(buffer);
                break;
            };
            let length = usize::try_from(piece.length).expect("a piece fits a buffer");
            let buffer = target.read(buffer, length, Bytes(piece.offset))?;
            jobs.send(Job(piece, buffer))
                .expect("the hashers listen until the channel closes");
            out += 1;
        }
        if out == 0 {
            return Ok(());
        }
        let Verdict(piece, buffer, verdict) = verdicts.recv().expect("a hasher answers every job");
        out -= 1;
        spare.push(buffer);
        verdict.map_err(|seen| differs(manifest, path, piece, &seen))?;
        done += piece.length;
        on(Moved::Progress {
            done: Bytes(done),
            total: manifest.size,
        });
    }
}

/// All of the image, in pieces of at most the chunk size.
fn pieces(manifest: &Manifest) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let zeros = |pieces: &mut Vec<Piece>, mut at: u64, to: u64| {
        while at < to {
            let length = manifest.chunk_size.0.min(to - at);
            pieces.push(Piece {
                offset: at,
                length,
                digest: None,
            });
            at += length;
        }
    };
    for chunk in &manifest.chunks {
        zeros(&mut pieces, at, chunk.offset.0);
        pieces.push(Piece {
            offset: chunk.offset.0,
            length: chunk.length.0,
            digest: Some(chunk.digest),
        });
        at = chunk.offset.0 + chunk.length.0;
    }
    zeros(&mut pieces, at, manifest.size.0);
    pieces
}

fn hash(jobs: &Mutex<Receiver<Job>>, tell: &Sender<Verdict>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job(piece, buffer)) = next else {
            return;
        };
        let length = usize::try_from(piece.length).expect("a piece fits a buffer");
        let bytes = &buffer.bytes()[..length];
        let verdict = match piece.digest {
            Some(expected) => match Digest::of(bytes) {
                found if found == expected => Ok(()),
                found => Err(format!(
                    "the bytes have the digest {found}, the manifest says {expected}"
                )),
            },
            None => first_set(bytes).map_or(Ok(()), |at| {
                Err(format!(
                    "byte {} is {:#04x}, the manifest says that it is zero",
                    piece.offset + at as u64,
                    bytes[at]
                ))
            }),
        };
        if tell.send(Verdict(piece, buffer, verdict)).is_err() {
            return;
        }
    }
}

/// The first byte that is not zero. Sixteen at a time, because this reads the whole disk.
fn first_set(bytes: &[u8]) -> Option<usize> {
    let (wide, _) = bytes.as_chunks::<16>();
    let start = wide
        .iter()
        .position(|sixteen| u128::from_ne_bytes(*sixteen) != 0)
        .unwrap_or(wide.len())
        * 16;
    bytes[start..]
        .iter()
        .position(|byte| *byte != 0)
        .map(|at| start + at)
}

fn differs(manifest: &Manifest, path: &Path, piece: Piece, seen: &str) -> Reason {
    Reason::new(
        ReasonCode::DiskError,
        format!(
            "{} gives other bytes than were written: {} bytes at byte {} of {}",
            path.display(),
            piece.length,
            piece.offset,
            title(manifest)
        ),
        "replace the disk; if a new one does the same, test the machine's memory and the controller",
    )
    .seen(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_byte_is_found_wherever_it_is() {
        for length in [0, 1, 15, 16, 17, 64, 100] {
            let mut bytes = vec![0u8; length];
            assert_eq!(first_set(&bytes), None);
            for at in 0..length {
                bytes[at] = 1;
                assert_eq!(first_set(&bytes), Some(at));
                bytes[at] = 0;
            }
        }
    }
}
