// SPDX-License-Identifier: Apache-2.0
//! How far the journal had come when this provisioner saw it last: kept beside it, so that a journal restored from an old backup
//! is refused and not believed. It is written after the journal, so it never says more than was durable.

use groundstate_api::Digest;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The file's name in the state directory.
const NAME: &str = "journal.mark";

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Which journal.
    pub(crate) journal: String,
    /// Number of its newest event.
    pub(crate) newest: u64,
    /// The site in force.
    pub(crate) site: Option<Digest>,
}

/// The file.
#[derive(Debug)]
pub(crate) struct MarkFile {
    path: PathBuf,
    written: Option<Mark>,
}

impl MarkFile {
    /// Reads it. What cannot be understood counts as not there: it was being written when the power went.
    pub(crate) fn open(state_dir: &Path) -> Self {
        let path = state_dir.join(NAME);
        let written = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, written }
    }

    /// Why the journal is not the one that was seen here; `None` where it is.
    pub(crate) fn refuses(&self, journal: Option<&str>, newest: u64) -> Option<String> {
        let mark = self.written.as_ref()?;
        let next = format!(
            "restore a newer one; or, where this one is to be used all the same and what came later is to be forgotten, remove {} and restart",
            self.path.display()
        );
        if journal.is_some_and(|id| id != mark.journal) || (journal.is_none() && newest > 0) {
            return Some(format!(
                "it is another journal than the one that was used here before: {next}"
            ));
        }
        (newest < mark.newest).then(|| {
            format!(
                "its newest event is {newest}, and {} was seen here: it is an old copy; {next}",
                mark.newest
            )
        })
    }

    /// Writes it where it says something new.
    pub(crate) fn write(&mut self, mark: Mark) {
        if self.written.as_ref() == Some(&mark) {
            return;
        }
        let put = || -> std::io::Result<()> {
            let new = self.path.with_extension("new");
            let mut file = std::fs::File::create(&new)?;
            file.write_all(&serde_json::to_vec(&mark)?)?;
            drop(file);
            std::fs::rename(&new, &self.path)
        };
        match put() {
            Ok(()) => self.written = Some(mark),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "how far the journal has come is not kept");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_copy_and_another_journal_are_refused_and_a_newer_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = MarkFile::open(dir.path());
        assert_eq!(file.refuses(None, 0), None);
        file.write(Mark {
            journal: "j1".into(),
            newest: 7,
            site: None,
        });
        let again = MarkFile::open(dir.path());
        assert_eq!(again.refuses(Some("j1"), 7), None);
        assert_eq!(again.refuses(Some("j1"), 9), None);
        let old = again.refuses(Some("j1"), 6).unwrap();
        assert!(old.contains("newest event is 6, and 7"), "{old}");
        assert!(again.refuses(Some("j2"), 9).unwrap().contains("another"));
        assert!(again.refuses(None, 0).unwrap().contains("old copy"));
        std::fs::write(dir.path().join(NAME), b"{\"jour").unwrap();
        assert_eq!(MarkFile::open(dir.path()).refuses(Some("j2"), 0), None);
    }
}
