// SPDX-License-Identifier: Apache-2.0
//! What is remembered about BMCs beside the journal: which way to the next boot worked per model and firmware, and certificates
//! that were trusted on first use. Losing it costs a few tries; it holds no secret.

use super::locked;
use bmc::{Learned, Lesson, MachineKey, Rung};
use groundstate_api::action::NextBoot;
use groundstate_api::{Digest, Millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file in the state directory.
pub(super) const FILE: &str = "bmc.json";
/// Certificates that are kept: as many as a site has BMCs.
const PINS_MAX: usize = 20_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    #[serde(default)]
    learned: Learned,
    #[serde(default)]
    pins: BTreeMap<String, Digest>,
}

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    book: Mutex<Book>,
    /// Whether the next leader would not know all of it yet.
    is_news: AtomicBool,
}

impl Kept {
    /// Reads it. A file that cannot be understood is put aside, and said.
    pub(super) fn open(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        let book = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "what was learned of BMCs cannot be read; it is put aside");
                if let Err(error) = std::fs::rename(&path, path.with_extension("json.bad")) {
                    tracing::error!(%error, "it cannot be put aside");
                }
                Book::default()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(path = %path.display(), %error, "what was learned of BMCs cannot be read");
                }
                Book::default()
            }
        };
        let book = Mutex::new(book);
        // A leader that takes over from files alone brings them into the journal.
        Self {
            path,
            book,
            is_news: true.into(),
        }
    }

    /// Puts what the leader before us left in the place of what was learned here; a certificate that only we saw stays.
    pub(super) fn take_over(&self, bytes: &[u8]) {
        let theirs: Book = match serde_json::from_slice(bytes) {
            Ok(theirs) => theirs,
            Err(error) => {
                tracing::error!(%error, "what the leader before learned of BMCs cannot be read; what was learned here is used");
                return;
            }
        };
        let mut book = locked(&self.book);
        book.learned = theirs.learned;
        book.pins.extend(theirs.pins);
        self.write(&book);
    }

    /// What the next leader must know; `None` where it knows it already.
    pub(super) fn to_hand_over(&self) -> Option<Vec<u8>> {
        if !self.is_news.swap(false, Ordering::SeqCst) {
            return None;
        }
        let book = locked(&self.book);
        if book.pins.is_empty() && book.learned.rows().is_empty() {
            return None;
        }
        serde_json::to_vec(&*book).ok()
    }

    /// It was not handed over after all.
    pub(super) fn hand_over_again(&self) {
        self.is_news.store(true, Ordering::SeqCst);
    }

    pub(super) fn learned(&self) -> Learned {
        locked(&self.book).learned.clone()
    }

    pub(super) fn pin(&self, address: &str) -> Option<Digest> {
        locked(&self.book).pins.get(address).copied()
    }

    pub(super) fn keep_pin(&self, address: &str, certificate: Digest) {
        let mut book = locked(&self.book);
        if book.pins.len() < PINS_MAX {
            book.pins.entry(address.to_owned()).or_insert(certificate);
        }
        self.write(&book);
    }

    pub(super) fn note(
        &self,
        machine: &MachineKey,
        to: NextBoot,
        rung: Rung,
        lesson: Lesson,
        at: Millis,
    ) {
        let mut book = locked(&self.book);
        book.learned.note(machine, to, rung, lesson, at);
        self.write(&book);
    }

    fn write(&self, book: &Book) {
        self.is_news.store(true, Ordering::SeqCst);
        let new = self.path.with_extension("json.new");
        let written = || -> io::Result<()> {
            let text = serde_json::to_vec_pretty(book)?;
            let mut open = std::fs::OpenOptions::new();
            let mut file = open
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)
        };
        if let Err(error) = written() {
            tracing::error!(path = %self.path.display(), %error, "what was learned of BMCs cannot be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_leader_takes_over_what_was_learned_once() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (before, after) = (Kept::open(one.path()), Kept::open(two.path()));
        assert_eq!(before.to_hand_over(), None, "there is nothing");
        let key = MachineKey::new("Contoso", "R1", "1.0");
        let booted = |kept: &Kept| {
            kept.note(
                &key,
                NextBoot::Network,
                Rung::Ipmi,
                Lesson::Booted,
                Millis(5),
            );
        };
        booted(&before);
        before.keep_pin("10.0.0.9", Digest::of(b"certificate"));
        after.keep_pin("10.0.0.9", Digest::of(b"another"));
        after.keep_pin("10.0.0.8", Digest::of(b"only here"));
        let left = before.to_hand_over().unwrap();
        assert_eq!(before.to_hand_over(), None, "it was handed over");
        before.hand_over_again();
        assert_eq!(before.to_hand_over().as_ref(), Some(&left));
        after.take_over(&left);
        after.take_over(b"{");
        let again = Kept::open(two.path());
        assert_eq!(again.learned().rows().len(), 1);
        assert_eq!(again.pin("10.0.0.9"), Some(Digest::of(b"certificate")));
        assert_eq!(again.pin("10.0.0.8"), Some(Digest::of(b"only here")));
    }

    #[test]
    fn it_outlives_a_restart_and_a_broken_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let key = MachineKey::new("Contoso", "R1", "1.0");
        let kept = Kept::open(folder.path());
        kept.note(
            &key,
            NextBoot::Network,
            Rung::Ipmi,
            Lesson::Booted,
            Millis(5),
        );
        let certificate = Digest::of(b"certificate");
        kept.keep_pin("10.0.0.9", certificate);
        // The first one stays.
        kept.keep_pin("10.0.0.9", Digest::of(b"another"));
        let again = Kept::open(folder.path());
        assert_eq!(again.learned().rows().len(), 1);
        assert_eq!(again.pin("10.0.0.9"), Some(certificate));
        std::fs::write(folder.path().join(FILE), b"{").unwrap();
        assert!(Kept::open(folder.path()).pin("10.0.0.9").is_none());
        assert!(folder.path().join("bmc.json.bad").exists());
    }
}
