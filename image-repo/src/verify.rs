// SPDX-License-Identifier: Apache-2.0
//! Proves that an image can be given out whole, before any disk is touched for it.

use crate::error::RepoError;
use crate::leases::LEASE;
use crate::repository::Repository;
use crate::store::Kind;
use groundstate_api::image::{Blob, ImageRef, Manifest};
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode};
use sha2::Digest as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

/// Threads that read and hash.
const READERS: usize = 2;
/// The same where a bucket is behind the repository: most of them wait for it.
const FETCHERS: usize = 8;
/// What is read at once.
const PIECE: usize = 1 << 20;

/// A file that must hold certain bytes.
struct Item {
    what: String,
    kind: Kind,
    /// What it is called in a URL.
    name: Digest,
    length: Bytes,
    digest: Digest,
}

impl Repository {
    /// Reads every stored chunk and blob of the image and compares it with the manifest: run before a plan is given
    /// out, so that no disk is touched for an image that cannot be completed. An image that was read within a day, since
    /// this machine was started, and whose files are the same since as far as the file system tells, is not read again.
    /// The image is leased for a day: gc does not clear it away under the plan.
    ///
    /// # Errors
    /// [`ReasonCode::ImageMissing`] or [`ReasonCode::ChunkCorrupt`], naming image, digest and file.
    pub fn verify(&self, image: &ImageRef) -> Result<(), Reason> {
        let title = format!("{} {}", image.name, image.version);
        let manifest = self
            .manifest(&image.manifest)
            .map_err(|error| match error {
                RepoError::Manifest(error) => error.reason(&title),
                error @ RepoError::NoSuchManifest { .. } => {
                    self.missing(&title, &image.manifest, &error.to_string())
                }
                error => unreadable(&title, &image.manifest, &error),
            })?;
        // Whoever asks is about to make a plan with it.
        if let Err(error) = self.lease(&image.manifest, LEASE) {
            tracing::debug!(%error, "an image in use is not leased");
        }
        let began = SystemTime::now();
        let before = self.state(&manifest).ok();
        if before.is_some_and(|state| self.is_remembered(&image.manifest, &state)) {
            return Ok(());
        }
        self.prove_all(&title, &manifest)?;
        let after = self.state(&manifest).ok();
        if let Some(state) = before.filter(|_| before == after) {
            self.remember(&image.manifest, &state, began);
        }
        Ok(())
    }

    /// Reads every file of the image.
    fn prove_all(&self, title: &str, manifest: &Manifest) -> Result<(), Reason> {
        let items = self.items(manifest);
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let item = items.get(index)?;
                if let Err(reason) = self.prove(title, item) {
                    stop.store(true, Ordering::Relaxed);
                    return Some((index, reason));
                }
            }
            None
        };
        let first = std::thread::scope(|scope| {
            let count = if self.is_before_bucket() {
                FETCHERS
            } else {
                READERS
            };
            let readers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            readers
                .into_iter()
                .filter_map(|reader| reader.join().expect("a reader does not panic"))
                .min_by_key(|(index, _)| *index)
        });
        first.map_or(Ok(()), |(_, reason)| Err(reason))
    }

    fn items(&self, manifest: &Manifest) -> Vec<Item> {
        let blob = |what: &str, blob: &Blob| Item {
            what: what.into(),
            kind: Kind::Blob,
            name: blob.digest,
            length: blob.length,
            digest: blob.digest,
        };
        let mut items: Vec<Item> = match manifest.boot_files() {
            Some(files) => vec![
                blob("kernel", &files.kernel),
                blob("initrd", &files.initrd),
                blob("boot loader", &files.boot_loader),
            ],
            None => Vec::new(),
        };
        items.extend(manifest.chunks.iter().map(|chunk| Item {
            what: format!("chunk at byte {}", chunk.offset.0),
            kind: Kind::Chunk,
            name: chunk.digest,
            length: chunk.stored_length,
            digest: chunk.stored_digest,
        }));
        items
    }

    fn prove(&self, title: &str, item: &Item) -> Result<(), Reason> {
        let found = self.store.file(item.kind, &item.name);
        let found = found.map_err(|error| unreadable(title, &item.name, &error))?;
        let path = self.store.place(item.kind, &item.name);
        let Some(file) = found else {
            let said = format!("{} is not there", path.display());
            return Err(self.missing(title, &item.name, &said));
        };
        let read = |file| {
            hash_of(file, item.length).map_err(|error| {
                unreadable(title, &item.name, &RepoError::file("read", &path)(error))
            })
        };
        let (mut length, mut digest) = read(file)?;
        if (length, digest) != (item.length, item.digest) {
            // What was kept may be another form of the same bytes, or what the bucket had before.
            let anew = self.store.file_anew(item.kind, &item.name);
            if let Some(file) = anew.map_err(|error| unreadable(title, &item.name, &error))? {
                (length, digest) = read(file)?;
            }
        }
        if (length, digest) == (item.length, item.digest) {
            return Ok(());
        }
        let next = if self.is_before_bucket() {
            "take that object away in the bucket, publish the image again from the repository that it was signed in, then order \
             again"
        } else {
            "import the image again; if it happens again, test the repository's disk and memory"
        };
        Err(Reason::new(
            ReasonCode::ChunkCorrupt,
            format!("the {} of {title} is damaged in the repository", item.what),
            next,
        )
        .about(part(title, &item.name))
        .seen(format!("file {}", path.display()))
        .seen(format!(
            "it has {} bytes with the digest {digest}, the manifest says {} bytes with {}",
            length.0, item.length.0, item.digest
        )))
    }

    fn missing(&self, title: &str, digest: &Digest, said: &str) -> Reason {
        let (what, next) = if self.is_before_bucket() {
            (
                format!("a part of {title} is neither in the repository nor in the bucket"),
                "publish the image again, on the machine of the repository that has it: groundstate image publish NAME VERSION \
                 --s3 FILE",
            )
        } else {
            (
                format!("a part of {title} is not in the repository"),
                "import the image again",
            )
        };
        Reason::new(ReasonCode::ImageMissing, what, next)
            .about(part(title, digest))
            .seen(said)
    }
}

/// Reads no further than one byte past `expected`: more is wrong, however much more.
pub(crate) fn hash(path: &Path, expected: Bytes) -> io::Result<(Bytes, Digest)> {
    hash_of(File::open(path)?, expected)
}

fn hash_of(file: File, expected: Bytes) -> io::Result<(Bytes, Digest)> {
    let most = expected.0.saturating_add(1);
    let mut file = file.take(most);
    let mut hash = sha2::Sha256::new();
    let mut piece = vec![0; usize::try_from(most).map_or(PIECE, |most| most.min(PIECE))];
    let mut length = 0;
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok((Bytes(length), Digest(hash.finalize().into())));
        }
        length += count as u64;
        hash.update(&piece[..count]);
    }
}

fn part(title: &str, digest: &Digest) -> Part {
    Part::Image {
        image: title.into(),
        digest: Some(digest.to_string()),
    }
}

fn unreadable(title: &str, digest: &Digest, said: &RepoError) -> Reason {
    if let RepoError::Behind(error) = said {
        return error.reason(title).about(part(title, digest));
    }
    Reason::new(
        ReasonCode::ChunkCorrupt,
        format!("a part of {title} cannot be read from the repository"),
        "check the repository's disk and the rights on its directory, then import the image again",
    )
    .about(part(title, digest))
    .seen(said.to_string())
}
