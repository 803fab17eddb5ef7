// SPDX-License-Identifier: Apache-2.0
//! Fetches what is needed as a whole: the manifest and the blobs. A server that is away is waited for without end.

use super::Moved;
use super::ask::{Question, Sink, Trouble, ask, path};
use super::clock::{Clock, seed};
use super::source::{Progress, Source};
use groundstate_api::image::{Blob, ImageRef, Manifest};
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode, paths};
use image_core::ManifestError;
use image_core::limits::{BLOB_MAX, CORRUPT_REFETCHES_MAX, MANIFEST_NODE_MAX};
use image_core::manifest::parse_as;
use image_core::patience::Patience;
use image_core::proof::{self, Corrupt};
use sha2::Digest as _;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};

/// How often the manifest of the image before is asked for: what it would save is not worth waiting for a server.
const FORMER_ASKED_MAX: u32 = 4;

/// Fetches and checks the manifest that the plan names.
///
/// # Errors
/// The image is not there, is not what the plan names, or cannot be understood.
pub fn fetch_manifest(
    source: &Source,
    image: &ImageRef,
    on: &mut dyn FnMut(Moved),
) -> Result<Manifest, Reason> {
    manifest_within(u32::MAX, source, image, on)
}

/// The same for the image that lay on the target before.
pub(super) fn fetch_former(
    source: &Source,
    image: &ImageRef,
    on: &mut dyn FnMut(Moved),
) -> Result<Manifest, Reason> {
    manifest_within(FORMER_ASKED_MAX, source, image, on)
}

/// Where the server is away, it is asked `asked_max` times.
fn manifest_within(
    asked_max: u32,
    source: &Source,
    image: &ImageRef,
    on: &mut dyn FnMut(Moved),
) -> Result<Manifest, Reason> {
    let title = format!("{} {}", image.name, image.version);
    let what = format!("the manifest of {title}");
    let question = Question {
        path: path(paths::IMAGE_MANIFEST, &image.manifest),
        digest: image.manifest,
        what: &what,
        length: None,
        max: MANIFEST_NODE_MAX,
    };
    let mut bytes = Vec::new();
    patiently(asked_max, source, &question, &mut bytes, on).map_err(|stop| match stop {
        Stop::Corrupt(Corrupt::StoredLength { found, expected }) => ManifestError::TooLong {
            length: found,
            max: expected,
        }
        .reason(&title),
        Stop::Corrupt(fault) => other_manifest(&title, &image.manifest, &fault),
        Stop::Because(reason) => reason,
    })?;
    let manifest = parse_as(&bytes, &image.manifest, MANIFEST_NODE_MAX)
        .map_err(|error| error.reason(&title))?;
    if manifest.size != image.size || manifest.sector_size != image.sector_size {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!("the plan and the manifest of {title} do not agree on the image's size"),
            "order the run anew",
        )
        .about(Part::Field {
            path: "image.size".into(),
        })
        .seen(format!(
            "plan: {} bytes in sectors of {}; manifest: {} bytes in sectors of {}",
            image.size.0, image.sector_size, manifest.size.0, manifest.sector_size
        )));
    }
    Ok(manifest)
}

fn other_manifest(title: &str, digest: &Digest, fault: &Corrupt) -> Reason {
    Reason::new(
        ReasonCode::ChunkCorrupt,
        format!("the manifest of {title} is not the one that the plan names"),
        "import the image again and order the run anew",
    )
    .about(Part::Image {
        image: title.into(),
        digest: Some(digest.to_string()),
    })
    .seen(fault.to_string())
}

/// Fetches a blob into `file` (a memfd, or a file on the ESP), from its start, with no more than 64 KiB of it in memory
/// at a time. The file holds exactly the blob afterwards and stands at its start. `what` is what people call it, for
/// example `the kernel of debian-host 12.11-1`.
///
/// # Errors
/// The blob is not there, is not what the manifest says after [`CORRUPT_REFETCHES_MAX`] further fetches, or the file
/// cannot take it.
pub fn fetch_blob_into(
    source: &Source,
    blob: &Blob,
    what: &str,
    file: &mut File,
    on: &mut dyn FnMut(Moved),
) -> Result<(), Reason> {
    let mut sink = Hashed {
        file,
        hash: sha2::Sha256::new(),
        have: 0,
    };
    sink.restart().map_err(|error| no_room(what, &error))?;
    proved(source, blob, what, &mut sink, on, |sink| {
        let found = Digest(sink.hash.clone().finalize().into());
        if found == blob.digest {
            Ok(())
        } else {
            Err(Corrupt::Digest {
                expected: blob.digest,
                found,
            })
        }
    })?;
    sink.file.rewind().map_err(|error| no_room(what, &error))
}

struct Hashed<'a> {
    file: &'a mut File,
    hash: sha2::Sha256,
    have: u64,
}

impl Sink for Hashed<'_> {
    fn have(&self) -> u64 {
        self.have
    }
    fn restart(&mut self) -> io::Result<()> {
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.hash = sha2::Sha256::new();
        self.have = 0;
        Ok(())
    }
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }
}

fn proved<S: Sink>(
    source: &Source,
    blob: &Blob,
    what: &str,
    sink: &mut S,
    on: &mut dyn FnMut(Moved),
    proof: impl Fn(&S) -> Result<(), Corrupt>,
) -> Result<(), Reason> {
    let question = Question {
        path: path(paths::BLOB, &blob.digest),
        digest: blob.digest,
        what,
        length: Some(blob.length),
        max: BLOB_MAX,
    };
    let mut refetches = 0;
    loop {
        let fault = match patiently(u32::MAX, source, &question, sink, on) {
            Ok(()) => match proof(sink) {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            },
            Err(Stop::Corrupt(fault)) => fault,
            Err(Stop::Because(reason)) => return Err(reason),
        };
        if refetches == CORRUPT_REFETCHES_MAX {
            return Err(proof::blob_reason(what, blob, &fault).seen(format!(
                "fetched {} times, each time corrupt",
                refetches + 1
            )));
        }
        refetches += 1;
        sink.restart().map_err(|error| no_room(what, &error))?;
    }
}

enum Stop {
    Corrupt(Corrupt),
    Because(Reason),
}

/// Asks until there is an answer that is more than "not now", or `asked_max` times; `u32::MAX` is without end.
fn patiently(
    asked_max: u32,
    source: &Source,
    question: &Question<'_>,
    sink: &mut dyn Sink,
    on: &mut dyn FnMut(Moved),
) -> Result<(), Stop> {
    let clock = Clock::start();
    let mut patience = Patience::new(seed());
    let mut asked: u32 = 0;
    loop {
        asked = asked.saturating_add(1);
        let trouble = match ask(source, question, sink) {
            Ok(()) => None,
            Err(Trouble::Away(said)) => {
                let reason = patience.away(clock.now(), question.what, &said);
                if asked == asked_max && asked_max != u32::MAX {
                    return Err(Stop::Because(reason));
                }
                on(Moved::Waiting(reason));
                if let Some(until) = patience.until() {
                    std::thread::sleep(clock.until(until));
                }
                patience.ask();
                continue;
            }
            Err(trouble) => Some(trouble),
        };
        if patience.back() {
            on(Moved::GoingOn);
        }
        return match trouble {
            None => {
                let all = Bytes(sink.have());
                on(Moved::Progress(Progress {
                    done: all,
                    total: all,
                    fetched: all,
                    ..Progress::default()
                }));
                Ok(())
            }
            Some(Trouble::Corrupt(fault)) => Err(Stop::Corrupt(fault)),
            Some(Trouble::Refused(reason)) => Err(Stop::Because(reason)),
            Some(Trouble::Sink(error)) => Err(Stop::Because(no_room(question.what, &error))),
            Some(Trouble::Away(said)) => Err(Stop::Because(patience.away(
                clock.now(),
                question.what,
                &said,
            ))),
        };
    }
}

fn no_room(what: &str, error: &io::Error) -> Reason {
    let code = if error.kind() == io::ErrorKind::StorageFull {
        ReasonCode::DiskFull
    } else {
        ReasonCode::DiskError
    };
    Reason::new(
        code,
        format!("there is no room for {what}"),
        "see that the machine has the memory and the disk that it should have",
    )
    .seen(error.to_string())
}
