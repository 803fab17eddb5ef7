// SPDX-License-Identifier: Apache-2.0
//! Reads everything that is stored and says what is wrong, file by file, and which images are hurt by it.
//!
//! It repairs no bytes: those come from the file that was imported. Told to heal, it takes what is wrong out of the way,
//! into `<dir>/damaged`, and marks what is missing there; the next import of the same content then stores it again, in the
//! form that the hurt images state. It never touches a chunk that is right.

use crate::error::RepoError;
use crate::fsck_files::{Look, Seen};
use crate::repository::{Entry, Repository};
use crate::store::{Kind, children, digest_of, sync_dir};
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Digest};
use image_core::manifest::title;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It ends too early, or in zeros: it was being written when the power went.
    Torn,
    /// It holds other bytes than its name says.
    Damaged,
    /// Its name is no digest, or it lies in another digest's folder.
    Misnamed,
    /// A manifest or a name asks for it, and it is not there.
    Missing,
    /// Its plain bytes are right, but the stored ones are not those that an image states: stored again by another zstd.
    OtherForm,
    /// It lies among the names and is none.
    Entry,
    /// No manifest names it: what an import that did not end has left. No fault; gc removes it.
    Orphan,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// With which file.
    pub path: PathBuf,
    /// Which images it hurts, name and version.
    pub images: Vec<String>,
    /// Whether it was taken out of the way.
    pub quarantined: bool,
}

/// How a repository is. As a process ends: 0, 1 and 4, as those of e2fsck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsckVerdict {
    /// 0: nothing is wrong. There may be orphans.
    Clean,
    /// 1: something was wrong and was taken out of the way; no image is hurt.
    Healed,
    /// 4: something is wrong still: an image is hurt until it is imported again, or what was found was left in its place.
    Hurt,
}

impl FsckVerdict {
    /// As a process ends.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Healed => 1,
            Self::Hurt => 4,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    /// How it is.
    pub verdict: FsckVerdict,
    /// Manifests that were read.
    pub manifests: u64,
    /// Chunks that were read.
    pub chunks: u64,
    /// Blobs that were read.
    pub blobs: u64,
    /// How many bytes these files have.
    pub bytes: Bytes,
    /// How many files no image names, however young, and how many bytes they have: manifests without name, signature and
    /// channel, what they alone name, and what nothing names. They are not among the findings.
    pub orphans: u64,
    /// As [`FsckReport::orphans`].
    pub orphan_bytes: Bytes,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What manifests say of a file.
pub(crate) struct Stated {
    pub(crate) length: u64,
    pub(crate) digest: Digest,
    pub(crate) is_there: bool,
    /// Whether an image with a name, a signature or a channel asks for it.
    pub(crate) is_of_image: bool,
}

/// What manifests ask for: 100 bytes a chunk.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) chunks: HashMap<Digest, Stated>,
    pub(crate) blobs: HashMap<Digest, Stated>,
}

struct Run<'a> {
    repository: &'a Repository,
    heal: bool,
    report: FsckReport,
    asked: Asked,
    /// The manifests that names, signatures and channels name.
    images: BTreeSet<Digest>,
    /// What hurts images, and with which finding.
    bad: BTreeMap<Digest, usize>,
}

impl Repository {
    /// Reads everything. `heal` takes what is wrong out of the way. `progress` hears how many bytes were read.
    ///
    /// # Errors
    /// A folder cannot be listed, or a file cannot be read or moved.
    pub fn fsck(
        &self,
        heal: bool,
        progress: &mut dyn FnMut(Bytes),
    ) -> Result<FsckReport, RepoError> {
        let _lock = if heal {
            Some(self.store.alone()?)
        } else {
            self.store.looking()?
        };
        let mut run = Run {
            repository: self,
            heal,
            report: FsckReport {
                verdict: FsckVerdict::Clean,
                manifests: 0,
                chunks: 0,
                blobs: 0,
                bytes: Bytes(0),
                orphans: 0,
                orphan_bytes: Bytes(0),
                findings: Vec::new(),
            },
            asked: Asked::default(),
            images: self.trusted_manifests()?.into_keys().collect(),
            bad: BTreeMap::new(),
        };
        run.manifests()?;
        run.files(Kind::Chunk, progress)?;
        run.files(Kind::Blob, progress)?;
        run.missing()?;
        run.names()?;
        run.hurt()?;
        run.finish()
    }
}

impl Run<'_> {
    fn manifests(&mut self) -> Result<(), RepoError> {
        let images = &mut self.images;
        self.repository.walk(&mut |_, entry| match entry {
            Ok(entry) => {
                images.insert(entry.manifest);
                Ok(())
            }
            // Told with the names.
            Err(RepoError::Entry { .. }) => Ok(()),
            Err(error) => Err(error),
        })?;
        let mut all = Vec::new();
        self.repository.store.each(Kind::Manifest, &mut |path| {
            all.push(path.to_path_buf());
            Ok(())
        })?;
        for path in all {
            self.report.manifests += 1;
            let Some(digest) = digest_of(&path) else {
                self.found(Fault::Misnamed, &path, None)?;
                continue;
            };
            match self.repository.manifest(&digest) {
                Ok(manifest) => {
                    let is_of_image = self.images.contains(&digest);
                    if !is_of_image {
                        self.report.orphans += 1;
                        self.report.orphan_bytes.0 +=
                            fs::metadata(&path).map_or(0, |data| data.len());
                    }
                    self.ask(&manifest, is_of_image);
                }
                Err(RepoError::Manifest(_)) => {
                    let length = fs::metadata(&path).map_or(0, |data| data.len());
                    let fault = if length == 0 {
                        Fault::Torn
                    } else {
                        Fault::Damaged
                    };
                    self.found(fault, &path, None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn ask(&mut self, manifest: &Manifest, is_of_image: bool) {
        for chunk in &manifest.chunks {
            let stated = || Stated {
                length: chunk.stored_length.0,
                digest: chunk.stored_digest,
                is_there: false,
                is_of_image: false,
            };
            let stated = self.asked.chunks.entry(chunk.digest).or_insert_with(stated);
            stated.is_of_image |= is_of_image;
        }
        let files = manifest.boot_files();
        for blob in files
            .iter()
            .flat_map(|files| [files.kernel, files.initrd, files.boot_loader])
        {
            let stated = || Stated {
                length: blob.length.0,
                digest: blob.digest,
                is_there: false,
                is_of_image: false,
            };
            let stated = self.asked.blobs.entry(blob.digest).or_insert_with(stated);
            stated.is_of_image |= is_of_image;
        }
    }

    /// Folder by folder, so that a large store needs no list of all its files.
    fn files(&mut self, kind: Kind, progress: &mut dyn FnMut(Bytes)) -> Result<(), RepoError> {
        let top = match kind {
            Kind::Chunk => "chunks",
            Kind::Blob | Kind::Manifest => "blobs",
        };
        let mut folders = children(&self.repository.store.dir().join(top))?;
        folders.sort();
        for folder in folders {
            let files = if folder.is_dir() {
                children(&folder)?
            } else {
                vec![folder]
            };
            let look = Look {
                repository: self.repository,
                kind,
                asked: &self.asked,
            };
            for (path, seen) in look.all(files)? {
                self.take(kind, &path, &seen)?;
            }
            progress(self.report.bytes);
        }
        Ok(())
    }

    fn take(&mut self, kind: Kind, path: &Path, seen: &Seen) -> Result<(), RepoError> {
        match kind {
            Kind::Chunk => self.report.chunks += 1,
            Kind::Blob | Kind::Manifest => self.report.blobs += 1,
        }
        self.report.bytes.0 += seen.length;
        let digest = digest_of(path);
        let asked = match kind {
            Kind::Chunk => &mut self.asked.chunks,
            Kind::Blob | Kind::Manifest => &mut self.asked.blobs,
        };
        let stated = digest.and_then(|digest| asked.get_mut(&digest));
        let is_asked = stated.is_some();
        let is_of_image = stated.as_ref().is_some_and(|stated| stated.is_of_image);
        // A file in the wrong folder is not what stands in for one that is missing.
        if let Some(stated) = stated.filter(|_| seen.fault != Some(Fault::Misnamed)) {
            stated.is_there = true;
        }
        match seen.fault {
            Some(fault) => self.found(fault, path, digest.filter(|_| is_asked)),
            None if is_of_image => Ok(()),
            None => {
                self.report.orphans += 1;
                self.report.orphan_bytes.0 += seen.length;
                Ok(())
            }
        }
    }

    fn missing(&mut self) -> Result<(), RepoError> {
        let chunks = self.asked.chunks.iter().map(|row| (Kind::Chunk, row));
        let blobs = self.asked.blobs.iter().map(|row| (Kind::Blob, row));
        let missing: BTreeSet<(PathBuf, Digest)> = chunks
            .chain(blobs)
            .filter(|(_, (_, stated))| !stated.is_there)
            .map(|(kind, (digest, _))| (self.repository.store.path(kind, digest), *digest))
            .collect();
        for (path, digest) in missing {
            self.found(Fault::Missing, &path, Some(digest))?;
        }
        Ok(())
    }

    fn names(&mut self) -> Result<(), RepoError> {
        let repository = self.repository;
        repository.walk(&mut |path, entry| match entry {
            Ok(entry) => self.named(&entry),
            Err(RepoError::Entry { .. }) => self.found(Fault::Entry, path, None),
            Err(error) => Err(error),
        })
    }

    /// Whether the manifest that a name asks for is there and right.
    fn named(&mut self, entry: &Entry) -> Result<(), RepoError> {
        if self.repository.manifest(&entry.manifest).is_ok() {
            return Ok(());
        }
        let path = self.repository.store.path(Kind::Manifest, &entry.manifest);
        let at = self.report.findings.iter().position(|f| f.path == path);
        if at.is_none() {
            self.found(Fault::Missing, &path, None)?;
        }
        let at = at.unwrap_or(self.report.findings.len() - 1);
        let image = format!("{} {}", entry.name, entry.version);
        self.report.findings[at].images.push(image);
        Ok(())
    }

    /// Names the images that what was found hurts.
    fn hurt(&mut self) -> Result<(), RepoError> {
        if self.bad.is_empty() {
            return Ok(());
        }
        let (bad, report, repository) = (&self.bad, &mut self.report, self.repository);
        repository.store.each(Kind::Manifest, &mut |path| {
            let manifest = digest_of(path).and_then(|digest| repository.manifest(&digest).ok());
            let Some(manifest) = manifest else {
                return Ok(());
            };
            let files = manifest.boot_files();
            let blobs = files.map(|files| [files.kernel, files.initrd, files.boot_loader]);
            let blobs = blobs
                .iter()
                .flatten()
                .map(|blob| (blob.digest, blob.digest));
            let chunks = manifest.chunks.iter();
            let all = blobs.chain(chunks.map(|chunk| (chunk.digest, chunk.stored_digest)));
            let hurt: BTreeSet<usize> = all
                .filter_map(|(digest, _)| bad.get(&digest).copied())
                .collect();
            for index in hurt {
                report.findings[index].images.push(title(&manifest));
            }
            Ok(())
        })
    }

    fn found(
        &mut self,
        fault: Fault,
        path: &Path,
        digest: Option<Digest>,
    ) -> Result<(), RepoError> {
        let quarantined = self.heal && self.quarantine(fault, path, digest)?;
        if let Some(digest) = digest {
            self.bad.insert(digest, self.report.findings.len());
        }
        self.report.findings.push(Finding {
            fault,
            path: path.to_path_buf(),
            images: Vec::new(),
            quarantined,
        });
        Ok(())
    }

    /// Moves a file out of the way; whether it did.
    fn quarantine(
        &self,
        fault: Fault,
        path: &Path,
        digest: Option<Digest>,
    ) -> Result<bool, RepoError> {
        let damaged = self.repository.store.dir().join("damaged");
        fs::create_dir_all(&damaged).map_err(RepoError::file("created", &damaged))?;
        match (fault, digest) {
            (Fault::Torn | Fault::Damaged | Fault::Misnamed | Fault::Entry, _) => {
                let name = path.file_name().unwrap_or_default();
                let to = damaged.join(name);
                fs::rename(path, &to).map_err(RepoError::file("moved", path))?;
                sync_dir(&damaged)?;
                Ok(true)
            }
            // So that the next import asks which form is wanted.
            (Fault::Missing, Some(digest)) => {
                let to = damaged.join(digest.hex());
                File::create(&to).map_err(RepoError::file("created", &to))?;
                Ok(false)
            }
            (Fault::Missing | Fault::OtherForm | Fault::Orphan, _) => Ok(false),
        }
    }

    fn finish(mut self) -> Result<FsckReport, RepoError> {
        if self.heal {
            self.repository.store.clear_drafts()?;
        }
        let is_left = |finding: &Finding| !finding.quarantined || !finding.images.is_empty();
        self.report.verdict = if self.report.findings.is_empty() {
            FsckVerdict::Clean
        } else if self.report.findings.iter().any(is_left) {
            FsckVerdict::Hurt
        } else {
            FsckVerdict::Healed
        };
        Ok(self.report)
    }
}
