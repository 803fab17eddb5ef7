// SPDX-License-Identifier: Apache-2.0
//! What this machine was told by hand, and how far it has come: kept beside the repository, never in it, so that whoever
//! changes or restores the repository changes neither.
//!
//! ```text
//! <state directory>/trust/root.json    the pinned trust root
//! <state directory>/trust/seen.json    the newest root, catalogue and channels that were believed
//! ```

use super::error::TrustFault;
use super::files::{TrustFiles, read, write};
use groundstate_api::trust::{Seen, TrustRoot};
use groundstate_api::{Bytes, Digest, SCHEMA};
use image_core::trust::limits::{CATALOGUE_MAX, ROOT_MAX};
use image_core::trust::{check_root, parse};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The most that is read back: the channels of the largest catalogue, and as many that are gone.
const SEEN_MAX: Bytes = Bytes(4 * CATALOGUE_MAX.0);

/// The folder of the pinned root.
#[derive(Clone, Debug)]
pub struct Pin {
    dir: PathBuf,
}

/// What `seen.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    schema: u32,
    /// SHA-256 of the pinned root that it was seen under.
    pinned: Digest,
    seen: Seen,
}

impl Pin {
    /// The pin of a state directory.
    #[must_use]
    pub fn of_state(state_dir: &Path) -> Self {
        Self::at(&state_dir.join("trust"))
    }

    /// The pin in this folder, which need not be there.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
        }
    }

    /// Where the pinned root is.
    #[must_use]
    pub fn root_path(&self) -> PathBuf {
        self.dir.join("root.json")
    }

    fn seen_path(&self) -> PathBuf {
        self.dir.join("seen.json")
    }

    /// Whether a root is pinned.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.root_path().exists()
    }

    /// The pinned root.
    ///
    /// # Errors
    /// [`TrustFault::NoRoot`], or the file is none.
    pub fn root(&self) -> Result<TrustRoot, TrustFault> {
        let text = self.text()?;
        let root: TrustRoot = parse(&text)?;
        check_root(&root)?;
        Ok(root)
    }

    fn text(&self) -> Result<String, TrustFault> {
        let path = self.root_path();
        read(&path, ROOT_MAX)?.ok_or(TrustFault::NoRoot { path })
    }

    /// Pins this root in place of the one that is there. A later version of the same line keeps what was seen; any other
    /// root begins anew, as does `forget`.
    ///
    /// # Errors
    /// It is no trust root, or it cannot be kept.
    pub fn set(&self, document: &str, forget: bool) -> Result<TrustRoot, TrustFault> {
        let root: TrustRoot = parse(document)?;
        check_root(&root)?;
        let _lock = TrustFiles::at(&self.dir).lock()?;
        let is_same = self.text().is_ok_and(|before| before == document);
        if is_same && !forget {
            return Ok(root);
        }
        let later = self
            .root()
            .is_ok_and(|before| before.version < root.version);
        let seen = if later && !forget {
            self.seen()?
        } else {
            Seen::default()
        };
        write(&self.root_path(), document)?;
        self.write_seen(&seen)?;
        Ok(root)
    }

    /// Pins the root in this file, if it is another one than the one that was pinned from there before.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Self::set`].
    pub fn set_from(&self, file: &Path) -> Result<TrustRoot, TrustFault> {
        let text = read(file, ROOT_MAX)?.ok_or_else(|| TrustFault::NoRoot {
            path: file.to_path_buf(),
        })?;
        self.set(&text, false)
    }

    /// How far this machine has come under the pinned root.
    ///
    /// # Errors
    /// The file cannot be read: then nothing is believed, because anything could be old.
    pub fn seen(&self) -> Result<Seen, TrustFault> {
        let path = self.seen_path();
        let Some(text) = read(&path, SEEN_MAX)? else {
            return Ok(Seen::default());
        };
        let odd = |said: String| TrustFault::Seen {
            path: path.clone(),
            said,
        };
        let kept: Kept = serde_json::from_str(&text).map_err(|error| odd(error.to_string()))?;
        if kept.schema != SCHEMA {
            return Err(odd(format!("schema {} is not known", kept.schema)));
        }
        if kept.pinned != Digest::of(self.text()?.as_bytes()) {
            return Err(odd("it was seen under another pinned root".to_string()));
        }
        Ok(kept.seen)
    }

    /// Keeps how far this machine has come; what another process has seen since is never taken back.
    ///
    /// # Errors
    /// It cannot be written down: then it must not be acted on.
    pub fn keep(&self, seen: &Seen) -> Result<(), TrustFault> {
        let _lock = TrustFiles::at(&self.dir).lock()?;
        let before = self.seen()?;
        let rank = |seen: &Seen| (seen.root, seen.sequence, seen.at);
        if before.root <= seen.root
            && before.sequence <= seen.sequence
            && rank(&before) < rank(seen)
        {
            self.write_seen(seen)?;
        }
        Ok(())
    }

    fn write_seen(&self, seen: &Seen) -> Result<(), TrustFault> {
        let kept = Kept {
            schema: SCHEMA,
            pinned: Digest::of(self.text()?.as_bytes()),
            seen: seen.clone(),
        };
        let text = serde_json::to_string(&kept).expect("what was seen has string keys only");
        write(&self.seen_path(), &text)
    }
}
