// SPDX-License-Identifier: Apache-2.0
//! Clears away what no image needs any more.
//!
//! What is live is found from its roots: the names, what channels and signatures that nothing revokes name, what is leased to a deploy under
//! way, and every manifest that lost its name less than a grace time ago. A live manifest that cannot be read makes it stop
//! before anything is removed, because nobody knows what that manifest needs.
//!
//! It waits for imports and keeps new ones waiting. A server beside it is safe: what it still gives out is leased or young,
//! and a file that is open stays readable. Names go first, then manifests, then what only they needed, each step durable
//! before the next: after a crash there is too much, never too little.

use crate::error::RepoError;
use crate::repository::{Entry, Repository};
use crate::store::{Kind, children, digest_of, is_older, sync_dir};
use groundstate_api::{Bytes, Digest, Millis};
use image_core::manifest::title;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long an image without a name stays where nobody says another time: as long as a lease.
pub const GC_GRACE: Duration = Duration::from_secs(24 * 3600);

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcRules {
    /// Only says what would be done.
    pub dry_run: bool,
    /// How long a manifest stays that has no name, and a file that no manifest names.
    pub grace: Duration,
    /// How many versions of each name stay, the newest; `None`: all. One that a channel names or that is in use stays, too.
    pub keep_newest: Option<usize>,
}

impl Default for GcRules {
    fn default() -> Self {
        Self {
            dry_run: false,
            grace: GC_GRACE,
            keep_newest: None,
        }
    }
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Names and versions that the rules took away.
    pub removed_images: Vec<String>,
    /// Manifests that were removed.
    pub removed_manifests: u64,
    /// Chunks that were removed.
    pub removed_chunks: u64,
    /// Blobs that were removed.
    pub removed_blobs: u64,
    /// Drafts, leases and damaged chunks that nobody needs.
    pub removed_others: u64,
    /// Bytes that are free now.
    pub freed: Bytes,
    /// Manifests that stay because something names or leases them.
    pub live_manifests: u64,
    /// Chunks that stay because such a manifest names them.
    pub live_chunks: u64,
    /// Images that stay for their leases alone, by manifest.
    pub leased: Vec<Leased>,
    /// Files that stay only for the grace time: manifests without a name, what they alone name, and what nothing names.
    pub young: u64,
}

/// An image that stays because it is leased, and for no other reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leased {
    /// Its name and version, as its manifest says.
    pub image: String,
    /// Its manifest.
    pub manifest: Digest,
    /// Until when, in milliseconds since 1970. `None`: the lease cannot be read, and holds until it is removed.
    pub until: Option<Millis>,
}

/// What is live: 32 bytes a chunk.
#[derive(Debug, Default)]
struct Live {
    manifests: BTreeSet<Digest>,
    chunks: HashSet<Digest>,
    blobs: HashSet<Digest>,
}

impl Live {
    /// All that this manifest names is live.
    fn keep(&mut self, repository: &Repository, digest: &Digest) -> Result<(), RepoError> {
        let manifest = repository.manifest(digest)?;
        let files = manifest.boot_files();
        let blobs = files.map(|files| [files.kernel, files.initrd, files.boot_loader]);
        let blobs = blobs.iter().flatten().map(|blob| blob.digest);
        self.blobs.extend(blobs);
        let chunks = manifest.chunks.iter().map(|chunk| chunk.digest);
        self.chunks.extend(chunks);
        self.manifests.insert(*digest);
        Ok(())
    }

    const fn of(&self, kind: Kind) -> &HashSet<Digest> {
        match kind {
            Kind::Chunk => &self.chunks,
            Kind::Blob | Kind::Manifest => &self.blobs,
        }
    }
}

/// One run.
struct Sweep<'a> {
    repository: &'a Repository,
    rules: GcRules,
    live: Live,
    /// What manifests without a name name that are young yet.
    waits: Live,
    report: GcReport,
}

impl Repository {
    /// Clears away what no image needs any more.
    ///
    /// # Errors
    /// A live manifest cannot be read, and nothing was removed; or a file cannot be removed.
    pub fn gc(&self, rules: &GcRules) -> Result<GcReport, RepoError> {
        let _alone = self.store.alone()?;
        let _naming = self.store.naming()?;
        let mut sweep = Sweep {
            repository: self,
            rules: *rules,
            live: Live::default(),
            waits: Live::default(),
            report: GcReport {
                dry_run: rules.dry_run,
                ..GcReport::default()
            },
        };
        let surplus = sweep.mark()?;
        sweep.names(&surplus)?;
        sweep.manifests()?;
        sweep.files(Kind::Chunk)?;
        sweep.files(Kind::Blob)?;
        sweep.others()?;
        Ok(sweep.report)
    }
}

impl Sweep<'_> {
    /// Finds what is live; gives the names that the rules take away.
    fn mark(&mut self) -> Result<Vec<Entry>, RepoError> {
        let entries = self.repository.entries()?;
        let trusted = self.repository.trusted_manifests()?;
        let mut roots: BTreeSet<Digest> = trusted.into_keys().collect();
        let leased = self.repository.leased(&mut |_| Ok(()))?;
        let (without, _) = self.split(entries.clone(), &roots);
        let mut held = roots.clone();
        held.extend(without.iter().map(|entry| entry.manifest));
        roots.extend(leased.keys());
        let (kept, surplus) = self.split(entries, &roots);
        let named: BTreeSet<Digest> = kept.iter().map(|entry| entry.manifest).collect();
        let unnamed: BTreeSet<Digest> = surplus.iter().map(|entry| entry.manifest).collect();
        let mut present = Vec::new();
        self.repository.store.each(Kind::Manifest, &mut |path| {
            present.extend(digest_of(path).map(|digest| (digest, path.to_path_buf())));
            Ok(())
        })?;
        for (digest, path) in &present {
            // The rules take names away now: what they named becomes unused now, too.
            let is_young = unnamed.contains(digest) || !is_older(path, self.rules.grace);
            if named.contains(digest) || roots.contains(digest) {
                self.live.keep(self.repository, digest)?;
            } else if is_young && self.rules.grace > Duration::ZERO {
                match self.waits.keep(self.repository, digest) {
                    // Torn, and of no name: nobody can be fetching that image.
                    Err(RepoError::Manifest(_)) => {}
                    other => other?,
                }
            }
        }
        for (digest, until) in leased {
            if self.live.manifests.contains(&digest) && !held.contains(&digest) {
                self.report.leased.push(Leased {
                    image: title(&self.repository.manifest(&digest)?),
                    manifest: digest,
                    until,
                });
            }
        }
        // A name without its manifest needs something that nobody knows.
        let missing = named
            .iter()
            .find(|digest| !self.live.manifests.contains(*digest));
        if let Some(digest) = missing {
            return Err(RepoError::NoSuchManifest {
                digest: *digest,
                path: self.repository.store.path(Kind::Manifest, digest),
            });
        }
        Ok(surplus)
    }

    /// Splits names into those that stay and those that are too many. They come by name, the newest last.
    fn split(&self, entries: Vec<Entry>, roots: &BTreeSet<Digest>) -> (Vec<Entry>, Vec<Entry>) {
        let Some(newest) = self.rules.keep_newest else {
            return (entries, Vec::new());
        };
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &entries {
            *left.entry(entry.name.clone()).or_default() += 1;
        }
        entries.into_iter().partition(|entry| {
            let left = left.entry(entry.name.clone()).or_default();
            let stays = *left <= newest || roots.contains(&entry.manifest);
            *left = left.saturating_sub(1);
            stays
        })
    }

    fn names(&mut self, surplus: &[Entry]) -> Result<(), RepoError> {
        for entry in surplus {
            let title = format!("{} {}", entry.name, entry.version);
            self.report.removed_images.push(title);
            if !self.rules.dry_run {
                let names = self.repository.store.names();
                let path = names.join(&entry.name).join(&entry.version);
                self.repository.unname(&path, &entry.manifest)?;
            }
        }
        Ok(())
    }

    fn manifests(&mut self) -> Result<(), RepoError> {
        let mut gone = Vec::new();
        self.repository.store.each(Kind::Manifest, &mut |path| {
            let digest = digest_of(path);
            if digest.is_some_and(|digest| self.waits.manifests.contains(&digest)) {
                self.report.young += 1;
            } else if digest.is_some_and(|digest| !self.live.manifests.contains(&digest)) {
                gone.push(path.to_path_buf());
            }
            Ok(())
        })?;
        self.report.live_manifests = self.live.manifests.len() as u64;
        for path in &gone {
            self.report.removed_manifests += u64::from(self.take(path)?);
        }
        if !gone.is_empty() && !self.rules.dry_run {
            sync_dir(&self.repository.store.dir().join("manifests"))?;
        }
        Ok(())
    }

    fn files(&mut self, kind: Kind) -> Result<(), RepoError> {
        let repository = self.repository;
        repository.store.each(kind, &mut |path| {
            // What has no digest for a name is not ours to remove; fsck names it.
            let Some(digest) = digest_of(path) else {
                return Ok(());
            };
            if self.live.of(kind).contains(&digest) {
                self.report.live_chunks += u64::from(kind == Kind::Chunk);
            } else if self.waits.of(kind).contains(&digest) || !is_older(path, self.rules.grace) {
                self.report.young += 1;
            } else if self.take(path)? {
                match kind {
                    Kind::Chunk => self.report.removed_chunks += 1,
                    Kind::Blob | Kind::Manifest => self.report.removed_blobs += 1,
                }
            }
            Ok(())
        })
    }

    /// Drafts of killed imports, leases that have ended, and damaged chunks that no live image names.
    fn others(&mut self) -> Result<(), RepoError> {
        let store = &self.repository.store;
        let mut gone = Vec::new();
        self.repository.leased(&mut |path| {
            gone.push(path.to_path_buf());
            Ok(())
        })?;
        for path in children(&store.dir().join("damaged"))? {
            let needed = |digest: Digest| {
                self.live.chunks.contains(&digest) || self.waits.chunks.contains(&digest)
            };
            if digest_of(&path).is_some_and(|digest| !needed(digest)) {
                gone.push(path);
            }
        }
        for path in &gone {
            self.report.removed_others += u64::from(self.take(path)?);
        }
        if !self.rules.dry_run {
            self.report.removed_others += self.repository.store.clear_drafts()?;
        }
        Ok(())
    }

    /// Removes a file, or counts it; whether it was there.
    fn take(&mut self, path: &Path) -> Result<bool, RepoError> {
        let length = match fs::symlink_metadata(path) {
            Ok(data) => data.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(RepoError::file("measured", path)(error)),
        };
        if !self.rules.dry_run && !self.repository.store.remove(path)? {
            return Ok(false);
        }
        self.report.freed.0 += length;
        Ok(true)
    }
}
