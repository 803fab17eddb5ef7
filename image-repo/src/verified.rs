// SPDX-License-Identifier: Apache-2.0
//! Which images were read whole and found right, so that the next plan need not read them again.
//!
//! What is remembered is a digest over each file's device, inode, size, time of change of its bytes and time of change of
//! its entry: whoever writes to a file, replaces it or sets its times back changes that. What it cannot see is a disk that
//! gives other bytes than it took. So nothing is believed for longer than [`AGE_MAX`], nor after the machine was started
//! again, when what was read out of memory must be read from the disk; and a node proves every chunk it gets in any case.

use crate::error::RepoError;
use crate::repository::Repository;
use crate::store::Kind;
use groundstate_api::image::Manifest;
use groundstate_api::{Digest, SCHEMA};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an image is believed: a disk that decays is found within a day of plans.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// A file that was changed so shortly before it was read may be changed again without another time: the kernel's clock
/// ticks every 4 to 10 ms.
const TICK: Duration = Duration::from_millis(100);
/// The most images that are remembered, 150 bytes each.
const ROWS_MAX: usize = 256;
/// The longest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// Linux: another text after each start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is remembered, in memory and in `<dir>/verified`.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    rows: Mutex<Vec<Row>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    manifest: Digest,
    /// Over what the file system says of each file.
    state: Digest,
    /// Seconds since 1970.
    at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    schema: u32,
    /// Which start of the machine it was.
    boot: String,
    rows: Vec<Row>,
}

/// What the file system says of an image's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    digest: Digest,
    /// When the last of them was changed.
    changed: SystemTime,
}

impl Repository {
    /// Whether all files of the image were read and found right not long ago, and are the same since.
    pub(crate) fn is_proven(&self, digest: &Digest, manifest: &Manifest) -> bool {
        self.state(manifest)
            .is_ok_and(|state| self.is_remembered(digest, &state))
    }

    pub(crate) fn is_remembered(&self, manifest: &Digest, state: &State) -> bool {
        let found = |rows: &[Row]| {
            let now = seconds(SystemTime::now());
            rows.iter().any(|row| {
                let age = now.checked_sub(row.at);
                row.manifest == *manifest
                    && row.state == state.digest
                    && age.is_some_and(|age| age < AGE_MAX.as_secs())
            })
        };
        let mut rows = self.rows();
        if found(&rows) {
            return true;
        }
        *rows = self.kept_rows();
        found(&rows)
    }

    /// Remembers an image whose files were in this state before and after they were read, `began` being before that.
    pub(crate) fn remember(&self, manifest: &Digest, state: &State, began: SystemTime) {
        let is_old = began
            .duration_since(state.changed)
            .is_ok_and(|age| age >= TICK);
        if !is_old {
            return;
        }
        let mut rows = self.rows();
        *rows = self.kept_rows();
        rows.retain(|row| row.manifest != *manifest);
        rows.push(Row {
            manifest: *manifest,
            state: state.digest,
            at: seconds(began),
        });
        let surplus = rows.len().saturating_sub(ROWS_MAX);
        rows.drain(..surplus);
        if let Err(error) = self.keep(&rows) {
            // In a folder that is only read, this process alone remembers.
            tracing::debug!(%error, "what was verified is not kept");
        }
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Vec<Row>> {
        let rows = self.verified.rows.lock();
        rows.unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, rows: &[Row]) -> Result<(), RepoError> {
        let kept = Kept {
            schema: SCHEMA,
            boot: boot_id().unwrap_or_default(),
            rows: rows.to_vec(),
        };
        let text = serde_json::to_vec(&kept).expect("rows have string keys only");
        self.store.put(&self.kept_path(), &text)
    }

    /// What another process, or this one, has kept; together with what only this one knows.
    fn kept_rows(&self) -> Vec<Row> {
        let kept = crate::repository::read(&self.kept_path(), FILE_MAX)
            .ok()
            .and_then(|text| serde_json::from_slice::<Kept>(&text).ok())
            .filter(|kept| kept.schema == SCHEMA && boot_id().is_some_and(|id| id == kept.boot));
        kept.map_or_else(Vec::new, |kept| kept.rows)
    }

    fn kept_path(&self) -> PathBuf {
        self.store.dir().join("verified")
    }

    /// Asks the file system of every file that the manifest names.
    pub(crate) fn state(&self, manifest: &Manifest) -> io::Result<State> {
        let files = manifest.boot_files();
        let blobs = files.map(|files| [files.kernel, files.initrd, files.boot_loader]);
        let blobs = blobs.iter().flatten().map(|blob| (Kind::Blob, blob.digest));
        let chunks = manifest.chunks.iter();
        let all = blobs.chain(chunks.map(|chunk| (Kind::Chunk, chunk.digest)));
        let mut hash = Sha256::new();
        let mut changed = UNIX_EPOCH;
        for (kind, digest) in all {
            let data = fs::metadata(self.store.place(kind, &digest))?;
            let (entry, nanoseconds) = (data.ctime(), data.ctime_nsec());
            for word in [data.dev(), data.ino(), data.size()] {
                hash.update(word.to_le_bytes());
            }
            for word in [data.mtime(), data.mtime_nsec(), entry, nanoseconds] {
                hash.update(word.to_le_bytes());
            }
            let seconds = Duration::from_secs(u64::try_from(entry).unwrap_or(0));
            let rest = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
            changed = changed.max(UNIX_EPOCH + seconds + rest);
        }
        Ok(State {
            digest: Digest(hash.finalize().into()),
            changed,
        })
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn boot_id() -> Option<String> {
    fs::read_to_string(BOOT_ID).ok()
}
