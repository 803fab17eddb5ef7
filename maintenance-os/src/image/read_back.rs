// SPDX-License-Identifier: Apache-2.0
//! Reads the image back from the disk itself and compares every byte of it with the manifest; what was read back while the
//! image was being written is not read again.

use super::Moved;
use super::buffer::{Aligned, Pool};
use super::clock::Clock;
use super::hand::{Answer, Order, Piece};
use super::prove::right;
use super::rate::Rate;
use super::source::Progress;
use super::target::{REQUEST_MAX, Target};
use crate::medium::Access;
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};
use image_core::deploy::limits::{LOOKED_AT_ONCE, flight};
use image_core::deploy::{Chunks, Deploy, Span, cut, members, span_size};
use image_core::manifest::{check, digest, title};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads that hash: SHA-256 is slower than any disk.
const HASHERS: usize = 2;
/// The most pieces that are being read or hashed: each reader and each hasher has one, and there is one between them.
const PIECES_MAX: usize = 8;

/// A piece of the image: a span's chunks, or a piece of zeros.
#[derive(Clone, Copy)]
struct Part {
    span: Span,
    from: u64,
    to: u64,
}

enum Message {
    Disk(u64, Answer),
    Hashed(Part, Aligned, Chunks),
}

/// What of an image was read back while the rest of it was written: whole spans, each after a flush that came after it.
#[derive(Clone, Debug, Default)]
pub struct Proven {
    /// Of which image on which target.
    of: Option<(Digest, PathBuf)>,
    /// Whether each of the image's spans was.
    spans: Vec<bool>,
}

impl Proven {
    pub(super) fn of(target: &Path, manifest: &Manifest, machine: &Deploy<'_>) -> Self {
        Self {
            of: Some((digest(manifest), target.to_path_buf())),
            spans: machine.were_read_back(),
        }
    }

    /// How many bytes of the image that are, zeros included.
    #[must_use]
    pub fn bytes(&self, manifest: &Manifest) -> Bytes {
        let spans = cut(manifest);
        let proven = spans.iter().zip(&self.spans).filter(|(_, is)| **is);
        Bytes(proven.map(|(span, _)| span.length().0).sum())
    }

    /// What it says of this image on this target: nothing where it is about another.
    fn about(&self, target: &Path, manifest: &Manifest) -> Self {
        let is_it = |(image, at): &(Digest, PathBuf)| *image == digest(manifest) && at == target;
        if self.of.as_ref().is_some_and(is_it) {
            self.clone()
        } else {
            Self::default()
        }
    }

    fn has(&self, span: usize) -> bool {
        self.spans.get(span).copied().unwrap_or_default()
    }
}

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
    read_back_rest(manifest, target, &Proven::default(), on)
}

/// The same, but for what was read back while the image was written to this very target.
///
/// # Errors
/// As [`read_back`].
pub fn read_back_rest(
    manifest: &Manifest,
    target: &Path,
    proven: &Proven,
    on: &mut dyn FnMut(Moved),
) -> Result<Vec<String>, Reason> {
    read_back_within(REQUEST_MAX, manifest, target, proven, on)
}

/// The same of a disk none of whose requests may take longer than `patience`.
pub(super) fn read_back_within(
    patience: Duration,
    manifest: &Manifest,
    path: &Path,
    proven: &Proven,
    on: &mut dyn FnMut(Moved),
) -> Result<Vec<String>, Reason> {
    check(manifest).map_err(|error| error.reason(&title(manifest)))?;
    let (tell, told) = mpsc::channel();
    let answers = tell.clone();
    let target = Target::open(
        path,
        manifest,
        Access::ReadDirect,
        patience,
        move |number, answer| {
            // Nobody listens any more where it is over.
            let _ = answers.send(Message::Disk(number, answer));
        },
    )?;
    let proven = proven.about(path, manifest);
    let before = proven.bytes(manifest);
    let clock = Clock::start();
    let (jobs, job) = mpsc::channel();
    let job = Mutex::new(job);
    let mut reader = Reader {
        manifest,
        path,
        fact: target.fact(),
        target,
        told,
        jobs,
        parts: BTreeMap::new(),
        pool: pool(manifest),
        clock,
        rate: Rate::default(),
        done: before.0,
        proven,
        on,
    };
    let verdict = std::thread::scope(|scope| {
        for _ in 0..HASHERS {
            let (tell, job) = (tell.clone(), &job);
            scope.spawn(move || hash(manifest, job, &tell));
        }
        let verdict = reader.run();
        // The hashers end when their channel closes.
        reader.jobs = mpsc::channel().0;
        verdict
    });
    verdict?;
    let took = clock.took();
    let left = Bytes(manifest.size.0.saturating_sub(before.0));
    let rate = Bytes(left.0.saturating_mul(1_000) / took.0.max(1));
    let (size, title) = (manifest.size, title(manifest));
    let how = if before.0 == 0 {
        format!("{size} of {title} read back in {took} ({rate}/s)")
    } else {
        format!(
            "{size} of {title} read back: {before} while the rest was written, {left} in {took} after it ({rate}/s)"
        )
    };
    Ok(vec![
        format!(
            "{how}, {} chunks and the zeros between them as the manifest says",
            manifest.chunks.len()
        ),
        format!("manifest {}", digest(manifest)),
        reader.fact,
    ])
}

fn pool(manifest: &Manifest) -> Pool {
    let span = span_size(manifest.chunk_size);
    let longest = cut(manifest)
        .iter()
        .filter(|one| !one.is_zero())
        .map(|one| one.length().0)
        .max();
    let length = usize::try_from(longest.unwrap_or(1)).unwrap_or(1);
    Pool::new(length, flight(span))
}

struct Reader<'a> {
    manifest: &'a Manifest,
    path: &'a Path,
    fact: String,
    target: Target,
    told: Receiver<Message>,
    jobs: Sender<(Part, Aligned)>,
    /// What is being read, by the number of its order.
    parts: BTreeMap<u64, Part>,
    pool: Pool,
    clock: Clock,
    rate: Rate,
    done: u64,
    proven: Proven,
    on: &'a mut dyn FnMut(Moved),
}

impl Reader<'_> {
    fn run(&mut self) -> Result<(), Reason> {
        for (doing, order) in [
            ("flushed", Order::Flush),
            ("read past the page cache", Order::Forget),
        ] {
            self.target.order(doing.to_owned(), order)?;
            let Message::Disk(number, answer) = self.hear()? else {
                continue;
            };
            self.target.answered(number, answer.done)?;
        }
        let spans = cut(self.manifest);
        let proven = std::mem::take(&mut self.proven);
        let left = spans.iter().zip(0..).filter(|(_, at)| !proven.has(*at));
        let mut parts = left.flat_map(|(span, _)| parts(*span));
        let buffers = (2 * flight(span_size(self.manifest.chunk_size)) / 3).clamp(1, PIECES_MAX);
        let mut out = 0;
        loop {
            while out < buffers
                && let Some(part) = parts.next()
            {
                self.begin(part)?;
                out += 1;
            }
            if out == 0 {
                return Ok(());
            }
            out -= usize::from(self.step()?);
        }
    }

    fn begin(&mut self, part: Part) -> Result<(), Reason> {
        let doing = format!("read at byte {}", part.from);
        let order = if part.span.is_zero() {
            Order::Look(part.from, part.to)
        } else {
            let piece = Piece {
                start: 0,
                length: usize::try_from(part.to - part.from).unwrap_or(usize::MAX),
                at: part.from,
            };
            let buffer = self.pool.plain.take(&self.pool.count);
            let buffer = buffer.ok_or_else(|| self.target.silent())?;
            Order::Read(buffer, vec![piece])
        };
        let number = self.target.order(doing, order)?;
        self.parts.insert(number, part);
        Ok(())
    }

    /// Takes one message; whether a part is done.
    fn step(&mut self) -> Result<bool, Reason> {
        let part = match self.hear()? {
            Message::Disk(number, answer) => {
                let effect = self.target.answered(number, answer.done)?;
                let Some(part) = self.parts.remove(&number) else {
                    return Ok(false);
                };
                match answer.buffer {
                    Some(buffer) => {
                        // The hashers listen until the channel closes.
                        let _ = self.jobs.send((part, buffer));
                        return Ok(false);
                    }
                    None if effect.is_clear => part,
                    None => return Err(is_not_clear(self.path, self.manifest, part.from, part.to)),
                }
            }
            Message::Hashed(part, buffer, right) => {
                self.pool.plain.give_back(buffer);
                let wrong = part.span.all() & !right;
                if let Some(chunk) = members(part.span, wrong).next() {
                    let chunk = &self.manifest.chunks[chunk];
                    return Err(differs_in(self.path, self.manifest, chunk));
                }
                part
            }
        };
        self.done += part.to - part.from;
        self.progress();
        Ok(true)
    }

    fn progress(&mut self) {
        let (done, total) = (Bytes(self.done), self.manifest.size);
        let rate = self.rate.at(self.clock.took(), done);
        (self.on)(Moved::Progress(Progress {
            done,
            total,
            rate,
            left: Rate::left(rate, Bytes(total.0.saturating_sub(done.0))),
            ..Progress::default()
        }));
    }

    fn hear(&mut self) -> Result<Message, Reason> {
        let limit = self.target.deadline();
        let limit = limit.map(|at| at.saturating_duration_since(Instant::now()));
        let heard = match limit {
            Some(limit) => self.told.recv_timeout(limit),
            None => self.told.recv().map_err(RecvTimeoutError::from),
        };
        heard.map_err(|_| self.target.silent())
    }
}

/// A chunk reads back as something else.
pub(super) fn differs_in(path: &Path, manifest: &Manifest, chunk: &Chunk) -> Reason {
    let seen = format!(
        "the bytes have another digest, the manifest says {}",
        chunk.digest
    );
    differs(path, manifest, (chunk.offset.0, chunk.length.0), &seen)
}

/// Zeros do not read back as zeros.
pub(super) fn is_not_clear(path: &Path, manifest: &Manifest, from: u64, to: u64) -> Reason {
    let seen = "a byte of it is set, the manifest says that it is zero";
    differs(path, manifest, (from, to - from), seen)
}

fn differs(path: &Path, manifest: &Manifest, (at, length): (u64, u64), seen: &str) -> Reason {
    Reason::new(
        ReasonCode::DiskError,
        format!(
            "{} gives other bytes than were written: {length} bytes at byte {at} of {}",
            path.display(),
            title(manifest)
        ),
        "replace the disk; if a new one does the same, test the machine's memory and the controller",
    )
    .seen(seen)
}

/// A span of chunks is one part; zeros are looked at in pieces.
fn parts(span: Span) -> impl Iterator<Item = Part> {
    let step = if span.is_zero() {
        LOOKED_AT_ONCE.0
    } else {
        span.length().0
    };
    let (mut from, end) = (span.from.0, span.to.0);
    std::iter::from_fn(move || {
        let part = Part {
            span,
            from,
            to: end.min(from.saturating_add(step)),
        };
        (from < end).then(|| {
            from = part.to;
            part
        })
    })
}

fn hash(manifest: &Manifest, jobs: &Mutex<Receiver<(Part, Aligned)>>, tell: &Sender<Message>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((part, buffer)) = next else {
            return;
        };
        let is_right = right(manifest, part.span, part.span.all(), buffer.bytes());
        if tell.send(Message::Hashed(part, buffer, is_right)).is_err() {
            return;
        }
    }
}
