// SPDX-License-Identifier: Apache-2.0
//! Images in use: whoever is given a plan needs the image's files until he has them, whatever becomes of its name.
//!
//! A lease is a file that says until when. It is for [`Repository::gc`] alone; it keeps nobody from anything else.

use crate::error::RepoError;
use crate::repository::{Repository, read};
use crate::store::{children, digest_of};
use groundstate_api::{Digest, Millis};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an image is in use after a plan was made with it: the slowest deploy that a person waits for, and a night.
pub(crate) const LEASE: Duration = Duration::from_secs(24 * 3600);
/// The longest lease in bytes: a number.
const FILE_MAX: u64 = 32;

impl Repository {
    /// Keeps the files of that manifest from being cleared away for `time` from now. A lease that is longer already stays.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn lease(&self, manifest: &Digest, time: Duration) -> Result<(), RepoError> {
        let path = self.store.dir().join("leases").join(manifest.hex());
        let held = read(&path, FILE_MAX)
            .ok()
            .and_then(|text| String::from_utf8(text).ok());
        let held: Option<u64> = held.and_then(|text| text.parse().ok());
        let now = now();
        let until = now.saturating_add(time.as_secs());
        // Not written anew for every plan: most of the time is enough.
        let enough = now.saturating_add(time.as_secs() / 8 * 7);
        if held.is_some_and(|held| held >= enough) {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(parent).map_err(RepoError::file("created", parent))?;
        self.store.put(&path, until.to_string().as_bytes())
    }

    /// The manifests that are leased now, and until when. One whose end cannot be read is leased (`None`). `expired` hears of
    /// the others.
    pub(crate) fn leased(
        &self,
        expired: &mut dyn FnMut(&std::path::Path) -> Result<(), RepoError>,
    ) -> Result<BTreeMap<Digest, Option<Millis>>, RepoError> {
        let mut leased = BTreeMap::new();
        for path in children(&self.store.dir().join("leases"))? {
            let text = read(&path, FILE_MAX).map_err(RepoError::file("read", &path))?;
            let until: Option<u64> = String::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok());
            if until.is_some_and(|until| until < now()) {
                expired(&path)?;
            } else {
                let until = until.map(|until| Millis(until.saturating_mul(1_000)));
                leased.extend(digest_of(&path).map(|digest| (digest, until)));
            }
        }
        Ok(leased)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
